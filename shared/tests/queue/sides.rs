//! Holds the sides together: scripts, methods, tests, and the names of keys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use shared::queue::SCRIPTS;

/// Files that stand before scripts.
const PARTS: [&str; 6] = ["prelude", "rate", "estimate", "lines", "delivery", "walk"];
/// Keys that no script touches: those of the doorbells, and a set.
const PLAIN: [&str; 7] = [
    "bell",
    "bell_later",
    "notice",
    "notice_later",
    "message",
    "message_later",
    "hooked",
];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Name and text of every file of this kind in a folder.
fn files(folder: &str, kind: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(here(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let wanted = paths.filter(|path| path.extension().is_some_and(|e| e == kind));
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    wanted.map(read).collect()
}

/// What stands between `start` and the next character that is no part of a name.
fn names_after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = String> + 'a {
    let name = |rest: &str| -> String {
        let letters = rest.chars();
        letters
            .take_while(|c| c.is_ascii_lowercase() || *c == '_')
            .collect()
    };
    text.split(start).skip(1).map(name)
}

#[test]
fn every_script_is_listed() {
    let mut found: Vec<_> = files("src/queue/lua", "lua");
    found.retain(|(name, _)| !PARTS.contains(&name.as_str()));
    found.sort();
    let listed: Vec<_> = SCRIPTS
        .iter()
        .map(|(n, t)| ((*n).to_owned(), (*t).to_owned()))
        .collect();
    assert_eq!(listed, found);
}

#[test]
fn every_script_says_what_it_takes_and_returns_and_is_short() {
    for (name, text) in SCRIPTS {
        assert!(text.starts_with("#!lua"), "{name}: no shebang");
        let header: Vec<_> = text
            .lines()
            .skip(1)
            .take_while(|l| l.starts_with("--"))
            .collect();
        let said = |word: &str| header.iter().any(|line| line.starts_with(word));
        assert!(
            said("-- Args: ") && said("-- Returns: "),
            "{name}: {header:?}"
        );
        let length = text.lines().count();
        assert!(length <= 60, "{name} has {length} lines");
    }
}

#[test]
fn every_script_has_a_method_of_its_name_and_a_test() {
    let sources = files("src/queue", "rs");
    let tests = files("tests/queue", "rs");
    for (name, _) in SCRIPTS {
        let methods = [
            format!("pub async fn {name}("),
            format!("pub async fn {name}<"),
        ];
        let has = |text: &str| methods.iter().any(|method| text.contains(method));
        assert!(
            sources.iter().any(|(_, text)| has(text)),
            "no method {name}"
        );
        let call = format!(".{name}(");
        let tested =
            |(_, text): &(String, String)| text.contains("#[tokio::test]") && text.contains(&call);
        assert!(tests.iter().any(tested), "no test of {name}");
    }
}

#[test]
fn scripts_and_keys_spell_the_same_names() {
    let in_scripts: BTreeSet<String> = files("src/queue/lua", "lua")
        .iter()
        .flat_map(|(_, text)| names_after(text, "key('").collect::<Vec<_>>())
        .collect();
    let keys = std::fs::read_to_string(here("src/queue/keys.rs")).unwrap();
    let plain = names_after(&keys, "key(\"");
    let with_more = names_after(&keys, "key(format_args!(\"");
    let mut in_keys: BTreeSet<String> = plain.chain(with_more).collect();
    for plain in PLAIN {
        assert!(in_keys.remove(plain), "{plain} is gone");
    }
    assert_eq!(in_scripts, in_keys);
}

/// The words that the header of a script lists as its outcomes.
fn outcomes(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("-- Returns: outcome ") else {
        return Vec::new();
    };
    let header = rest.split("\n").enumerate();
    let header = header.take_while(|(n, line)| *n == 0 || line.starts_with("--"));
    let header: Vec<_> = header.map(|(_, line)| line).collect();
    let header = format!("| {}", header.join(" "));
    names_after(&header, "| ").collect()
}

/// What a script's method answers with, and the name of the variant that stands for this word.
fn variant(sources: &[(String, String)], name: &str, word: &str) -> String {
    let answer = |method: String| {
        let texts = sources.iter().map(|(_, text)| text);
        let (_, rest) = texts.filter_map(|text| text.split_once(&method)).next()?;
        let (_, answer) = rest.split_once("-> Result<")?;
        let answer = answer.strip_prefix("Answer<").unwrap_or(answer);
        // Of a pair the outcome comes first.
        let answer = answer.trim_start_matches(['(', ' ', '\n']);
        Some(answer[..answer.find(['<', '>', ','])?].to_owned())
    };
    let own = answer(format!("pub async fn {name}_for("));
    let own = own.or_else(|| answer(format!("pub async fn {name}(")));
    let own = own.or_else(|| answer(format!("pub async fn {name}<")));
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    let word = if word == "found" { "job" } else { word };
    let word: String = word.split('_').map(capital).collect();
    format!("{}::{word}", own.unwrap())
}

#[test]
fn every_outcome_of_every_script_is_listed_and_met_in_a_test_of_its_method() {
    let sources = files("src/queue", "rs");
    let tests = files("tests/queue", "rs");
    let tests: Vec<&str> = tests
        .iter()
        .flat_map(|(_, text)| text.split("#[tokio::test]").skip(1))
        .filter_map(|test| Some(test.split_once('{')?.1))
        .collect();
    let mut met = 0;
    for (name, text) in SCRIPTS {
        let listed = outcomes(text);
        for word in names_after(text, "outcome = '") {
            assert!(listed.contains(&word), "{name} does not list {word}");
        }
        for word in listed {
            let meant = variant(&sources, name, &word);
            let calls = [format!("{name}("), format!("{name}_")];
            let seen =
                |test: &&str| calls.iter().any(|c| test.contains(c)) && test.contains(&meant);
            assert!(tests.iter().any(seen), "{name}: no test meets {meant}");
            met += 1;
        }
    }
    assert!(met > 50, "{met}");
}
