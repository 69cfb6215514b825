//! Who may know of whom.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::project::{self, Text};

/// The words of a job: they know each other and nothing else of the project.
const PURE: [&str; 15] = [
    "endpoint",
    "envelope",
    "event",
    "job",
    "lenient",
    "number",
    "pointer",
    "plan",
    "priority",
    "provenance",
    "socket",
    "source",
    "stage",
    "submission",
    "track",
];

/// Crates that only shape data; every other dependency of `shared` is a technology with an owner.
const DATA: [&str; 13] = [
    "aws_lc_rs",
    "base64",
    "bytes",
    "chrono",
    "data_encoding",
    "fastrand",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "thiserror",
    "url",
    "utoipa",
    "uuid",
];

/// Where Redis is spoken.
const REDIS_OWNERS: [&str; 2] = ["shared/src/queue/", "shared/src/doorbell/"];
/// Opens the connection for them.
const WIRING: &str = "shared/src/clients.rs";

/// What only a Redis key looks like: its hash tag, in `format!` or spelled out.
const KEY_MARKS: [&str; 4] = ["{{{", "}}}:", "{tutti}", "{p}:"];

/// Whether a line has the path `name::…`, and not `other_name::…`.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let inside = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !inside && line[at + name.len()..].starts_with("::")
    })
}

/// The modules after `crate::` in a line; a group gives each of its members.
fn own_modules(line: &str) -> Vec<&str> {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let first = |text| word(text).map_or(text, |end| &text[..end]);
    line.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split(',').map(|item| first(item.trim())).collect(),
            None => vec![first(rest)],
        })
        .collect()
}

fn is_pure(text: &Text) -> bool {
    PURE.iter().any(|module| {
        let (file, folder) = (
            format!("shared/src/{module}.rs"),
            format!("shared/src/{module}/"),
        );
        text.is_of(&[&file, &folder])
    })
}

/// The code of the crate and the functions, tests beside it left out.
fn shipped() -> Vec<Text> {
    let places = ["shared/src/", "functions/"];
    let sources = project::sources().into_iter();
    sources.filter(|text| text.is_of(&places)).collect()
}

#[test]
fn nobody_imports_a_function() {
    let functions = project::function_folders();
    let cargo = project::cargo();
    // The document is collected from all of them, and no function knows the collector.
    let others = |package: &&Value| package["name"] != "openapi";
    for package in cargo["packages"].as_array().unwrap().iter().filter(others) {
        for dependency in package["dependencies"].as_array().unwrap() {
            let path = dependency["path"].as_str().unwrap_or_default();
            let function = functions
                .iter()
                .find(|name| path.ends_with(&format!("functions/{name}")));
            assert_eq!(function, None, "{} imports it", package["name"]);
        }
    }
}

#[test]
fn a_function_imports_nothing_of_the_project_but_shared() {
    let cargo = project::cargo();
    let packages = cargo["packages"].as_array().unwrap();
    for folder in project::function_folders() {
        let package = packages.iter().find(|p| p["name"] == *folder).unwrap();
        let own: Vec<_> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|dependency| dependency["path"].is_string() && dependency["kind"].is_null())
            .map(|dependency| &dependency["name"])
            .collect();
        assert!(
            own.iter().all(|name| **name == "shared"),
            "{folder}: {own:?}"
        );
    }
}

#[test]
fn pure_modules_know_only_each_other() {
    let pure: Vec<_> = shipped().into_iter().filter(is_pure).collect();
    for module in PURE {
        let prefix = format!("shared/src/{module}");
        assert!(pure.iter().any(|text| text.is_of(&[&prefix])), "{module}");
    }
    for text in &pure {
        for line in text.code() {
            for module in own_modules(line) {
                assert!(PURE.contains(&module), "{}: {line}", text.path);
            }
            let tests = text.path.ends_with("tests.rs");
            assert!(
                tests || !line.starts_with("use super"),
                "{}: {line}",
                text.path
            );
        }
    }
}

#[test]
fn pure_modules_use_no_technology() {
    let cargo = project::cargo();
    let packages = cargo["packages"].as_array().unwrap();
    let shared = packages.iter().find(|p| p["name"] == "shared").unwrap();
    let technologies: BTreeSet<_> = shared["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|dependency| dependency["name"].as_str().unwrap().replace('-', "_"))
        .filter(|name| !DATA.contains(&name.as_str()))
        .collect();
    assert!(technologies.contains("redis") && technologies.contains("reqwest"));
    for text in shipped().iter().filter(|text| is_pure(text)) {
        for line in text.code() {
            let used = technologies.iter().find(|name| names(line, name));
            assert_eq!(used, None, "{}: {line}", text.path);
        }
    }
}

#[test]
fn only_the_queue_and_the_doorbell_speak_to_redis() {
    let mut owned = 0;
    for text in shipped() {
        let speaks = text.code().find(|line| names(line, "redis"));
        if text.is_of(&REDIS_OWNERS) {
            owned += usize::from(speaks.is_some());
        } else if text.path != WIRING {
            assert_eq!(speaks, None, "{}", text.path);
        }
    }
    assert!(owned > 0);
}

#[test]
fn only_the_queue_and_the_doorbell_spell_a_key() {
    let mut owned = 0;
    for text in shipped() {
        let mut lines = text.code();
        let spelled = lines.find(|line| KEY_MARKS.iter().any(|mark| line.contains(mark)));
        if text.is_of(&REDIS_OWNERS) {
            owned += usize::from(spelled.is_some());
        } else {
            assert_eq!(spelled, None, "{}", text.path);
        }
    }
    assert!(owned > 0);
}

#[test]
fn a_path_is_told_from_a_word_that_ends_like_it() {
    assert!(names("use redis::Cmd;", "redis") && names("(redis::cmd(", "redis"));
    assert!(!names("let url = \"redis://h\";", "redis") && !names("my_redis::x", "redis"));
    assert_eq!(
        own_modules("use crate::{job::JobId, queue};"),
        ["job", "queue"]
    );
    assert_eq!(own_modules("fn f(s: crate::stage::Stage)"), ["stage"]);
}
