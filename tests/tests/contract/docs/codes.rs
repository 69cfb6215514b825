//! Codes and names that stand in the sources as string literals.

use shared::models::{Fault, ModelError, Service};
use shared::reason::Reason;

use super::{API, Names, REALTIME, named, rows, section, words};
use crate::project::{self, Text};

#[test]
fn every_problem_code_stands_in_the_table() {
    let (live, http): (Vec<_>, Vec<_>) = sources()
        .into_iter()
        .partition(|text| text.is_of(&["functions/live/"]));
    let http = problem_codes(&http);
    assert_eq!(named(API, "## Problem codes"), http);
    let said = named(REALTIME, "### Refusals");
    let live = problem_codes(&live);
    assert!(!live.is_empty() && live.is_subset(&said), "{live:?}");
    let others: Names = said.difference(&live).cloned().collect();
    assert!(others.is_subset(&http), "{others:?}");
}

fn problem_codes(sources: &[Text]) -> Names {
    const FIRST: [&str; 8] = [
        "unauthorized",
        "bad_request",
        "not_found",
        "conflict",
        "unprocessable",
        "too_many",
        "bad_gateway",
        "unavailable",
    ];
    let mut codes = Names::new();
    for text in sources {
        let body = &text.body;
        let owners = match body.contains(" for Problem {") || body.contains("impl Problem {") {
            true => &["Problem", "Self"][..],
            false => &["Problem"],
        };
        for owner in owners {
            let first = FIRST.iter().map(|name| (*name, 0));
            for (name, n) in first.chain([("new", 1)]) {
                for given in arguments(body, &format!("{owner}::{name}"), n) {
                    match literals(given).next() {
                        Some(code) => codes.extend([code]),
                        // Handed on, or bound to one of the literals that are read below.
                        None => assert_eq!(given, "code", "{}: {owner}::{name}", text.path),
                    }
                }
            }
        }
        for bound in body.split("let (code, detail) = match").skip(1) {
            codes.extend(opening(bound.split("};").next().unwrap()));
        }
    }
    codes
}

#[test]
fn every_code_of_a_field_stands_below_the_problems() {
    let mut codes = Names::new();
    for text in sources() {
        for call in ["FieldError::new", ".refuse", "wrong"] {
            codes.extend(
                arguments(&text.body, call, 1)
                    .into_iter()
                    .flat_map(literals),
            );
        }
    }
    let reading = source("shared/src/http/fields.rs").body;
    let described = reading.split("fn describe").nth(1).unwrap();
    codes.extend(opening(described.split("\n}").next().unwrap()));
    let text = section(API, "## Problem codes").join(" ");
    let documented = text.split("Codes in `errors`:").nth(1).unwrap();
    assert_eq!(words(documented).into_iter().collect::<Names>(), codes);
}

#[test]
fn every_error_code_of_a_job_stands_in_the_table() {
    let mut codes = Names::new();
    for text in sources() {
        let lines = text.code().filter(|line| match text.path.as_str() {
            path if path.starts_with("functions/worker/") => line.contains('_'),
            "functions/report/src/body.rs" | "functions/report/src/hook.rs" => {
                ["\"model_", "\"muscgen_"]
                    .iter()
                    .any(|code| line.contains(code))
            }
            "shared/src/audio/gate.rs" => line.contains("\"audio_"),
            _ => false,
        });
        codes.extend(lines.flat_map(literals).filter(|code| code.contains('_')));
        for line in text.body.lines().filter(|_| text.path.ends_with(".lua")) {
            let named = line.contains("code = '") || line.contains("local who =");
            let quoted = line.split('\'').skip(1).step_by(2);
            let quoted = quoted.filter(|word| named && is_snake(word) && word.contains('_'));
            codes.extend(quoted.map(str::to_owned));
        }
    }
    for planner in [Service::Jen1, Service::Ollama] {
        codes.insert(format!("{planner}_not_configured"));
    }
    for service in [
        Service::Jen1,
        Service::Ollama,
        Service::Muscgen,
        Service::AudioUrl,
    ] {
        let (text, limit, status) = (String::new, 0, 404);
        let mut faults = vec![
            Fault::Unavailable(text(), Reason::Unreachable),
            Fault::Refused {
                status,
                message: text(),
            },
            Fault::TooLarge { limit },
        ];
        match service {
            Service::AudioUrl => faults.push(Fault::Forbidden(text())),
            _ => faults.push(Fault::Malformed(text())),
        }
        // jen1 has no way to say it but a report, which brings a code of its own.
        if matches!(service, Service::Ollama | Service::Muscgen) {
            faults.push(Fault::Failed(text()));
        }
        // Only a Cog model says what it takes.
        if service == Service::Muscgen {
            faults.extend([Fault::Incompatible(text()), Fault::Unsupported(text())]);
        }
        for fault in faults {
            codes.insert(ModelError { service, fault }.code());
        }
    }
    assert_eq!(named(API, "### Error codes of jobs"), codes);
}

#[test]
fn every_warning_about_a_track_is_named() {
    let gate = source("shared/src/audio/gate.rs").body;
    let codes: Names = arguments(&gate, "warn", 0)
        .into_iter()
        .flat_map(literals)
        .collect();
    assert!(codes.contains("clipping"));
    let rows = rows(API, "## The job");
    let row = rows
        .iter()
        .find(|cells| cells[0].contains("track.warnings"));
    assert_eq!(
        words(&row.unwrap()[2]).into_iter().collect::<Names>(),
        codes
    );
}

/// Program text of the functions and the shared crate, without its tests.
fn sources() -> Vec<Text> {
    let ours = |text: &Text| text.is_of(&["shared/src/", "functions/"]);
    let test = |text: &Text| text.path.contains("/tests");
    let mut sources = project::sources();
    sources.retain(|text| ours(text) && !test(text));
    for text in &mut sources {
        let end = text.body.find("#[cfg(test)]\nmod tests");
        text.body.truncate(end.unwrap_or(text.body.len()));
    }
    sources
}

fn source(path: &str) -> Text {
    let found = sources().into_iter().find(|text| text.path == path);
    found.unwrap_or_else(|| panic!("{path} is gone"))
}

fn is_snake(text: &str) -> bool {
    let snake = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    !text.is_empty() && text.bytes().all(snake)
}

/// The string literals of a text that look like codes, line by line.
fn literals(text: &str) -> impl Iterator<Item = String> {
    let quoted = |line: &'_ str| -> Vec<String> {
        let quoted = line.split('"').skip(1).step_by(2);
        quoted
            .filter(|text| is_snake(text))
            .map(str::to_owned)
            .collect()
    };
    text.lines().flat_map(quoted)
}

/// The literals that open a tuple or an argument list.
fn opening(text: &str) -> impl Iterator<Item = String> {
    let literal = |rest: &str| literals(&rest[..rest.find(',')?]).next();
    let opened = text.split('(').skip(1).map(str::trim_start);
    opened
        .filter(|rest| rest.starts_with('"'))
        .filter_map(literal)
}

/// The n-th argument of every call that begins with `name(`.
fn arguments<'a>(text: &'a str, name: &str, n: usize) -> Vec<&'a str> {
    let opening = format!("{name}(");
    let calls = text.split(opening.as_str()).skip(1);
    calls.filter_map(|call| argument(call, n)).collect()
}

fn argument(call: &str, n: usize) -> Option<&str> {
    let (mut depth, mut from, mut count) = (0, 0, 0);
    for (at, letter) in call.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 && count == n => return Some(call[from..at].trim()),
            ',' if depth == 0 => (from, count) = (at + 1, count + 1),
            ')' => return None,
            _ => {}
        }
    }
    None
}
