//! `local/Dockerfile` takes its versions from where they are said, and runs nothing as root.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::project;
use tests::yaml;

/// Instruction and arguments, one a line, without comments.
fn instructions() -> Vec<(String, String)> {
    let text = project::read("local/Dockerfile");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let lines = lines.join("\n").replace("\\\n", " ");
    let split = lines.lines().filter_map(|line| line.split_once(' '));
    split
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// `1.95` and `1.95.0` as numbers.
fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn the_image_runs_as_somebody_without_rights() {
    let (mut stages, mut user) = (BTreeMap::new(), None);
    let mut stage = String::new();
    for (name, rest) in instructions() {
        if name == "FROM" {
            stages.insert(stage, user);
            let words: Vec<_> = rest.split(' ').collect();
            user = stages.get(words[0]).cloned().flatten();
            stage = words.last().copied().unwrap_or_default().to_owned();
        } else if name == "USER" {
            user = Some(rest);
        }
    }
    let user = user.expect("a USER");
    let made = instructions().iter().any(|(name, rest)| {
        name == "RUN" && rest.contains("useradd") && rest.contains(&format!(" {user} "))
    });
    assert!(made && user != "root", "{user}");
}

#[test]
fn the_rust_of_the_image_is_new_enough() {
    let given = instructions().into_iter().find_map(|(name, rest)| {
        (name == "ARG").then(|| rest.strip_prefix("RUST_VERSION=").map(str::to_owned))?
    });
    let manifest = project::read("Cargo.toml");
    let needed = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let needed = version(needed.unwrap().trim_matches('"'));
    assert!(version(&given.unwrap()) >= needed, "{needed:?}");
}

#[test]
fn cargo_lambda_has_one_version() {
    let instructions = instructions();
    let file = instructions.iter().find_map(|(name, rest)| {
        rest.strip_prefix("local/requirements.txt ")
            .filter(|_| name == "COPY")
    });
    let installs = format!(" -r {}", file.unwrap());
    let runs: Vec<_> = instructions
        .iter()
        .filter(|(name, _)| name == "RUN")
        .collect();
    assert!(runs.iter().any(|(_, rest)| rest.ends_with(&installs)));
    assert!(runs.iter().all(|(_, rest)| !rest.contains("cargo-lambda")));
}

#[test]
fn every_program_that_a_container_runs_is_in_the_image() {
    let compose = yaml::read("local/docker-compose.yml");
    let installed = instructions()
        .into_iter()
        .find_map(|(_, rest)| Some(rest.split_once("install -D -t /built/bin ")?.1.to_owned()));
    let installed = installed.unwrap();
    let ours = |service: &&Value| !service["build"].is_null();
    let services = compose["services"].as_object().unwrap().values();
    let programs: Vec<_> = services
        .filter(ours)
        .map(|service| service["command"][0].as_str().unwrap())
        .collect();
    assert!(programs.len() > 3);
    for program in programs {
        let found = installed.split(' ').any(|word| word == program);
        assert!(found, "{program}");
    }
}

#[test]
fn nothing_is_sent_to_the_image_that_is_not_committed() {
    let (ignored, kept_out) = (project::read(".gitignore"), project::read(".dockerignore"));
    let kept_out: Vec<_> = kept_out.lines().collect();
    for line in ignored.lines().chain(["/.git"]) {
        assert!(kept_out.contains(&line), "{line}");
    }
}
