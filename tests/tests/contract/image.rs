//! `local/Dockerfile` takes its versions from where they are said, and runs nothing as root.

use std::collections::BTreeMap;

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
        let (version, _) = rest.strip_prefix("rust:")?.split_once('-')?;
        (name == "FROM").then(|| version.to_owned())
    });
    let manifest = project::read("Cargo.toml");
    let needed = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let needed = version(needed.unwrap().trim_matches('"'));
    assert!(version(&given.unwrap()) >= needed, "{needed:?}");
}

#[test]
fn the_image_is_its_last_stage_which_holds_programs_and_no_toolchain() {
    let instructions = instructions();
    let last = instructions.iter().rposition(|(name, _)| name == "FROM");
    let stage = &instructions[last.unwrap()..];
    assert!(stage[0].1.starts_with("debian:"), "{}", stage[0].1);
    let copied = stage.iter().filter(|(name, _)| name == "COPY");
    let copied: Vec<_> = copied.map(|(_, rest)| rest.as_str()).collect();
    assert_eq!(
        copied,
        ["--from=build /opt/tools/bin/cargo-lambda /built/bin/ /usr/local/bin/"]
    );
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

/// The functions are those of `local/prepare.sh`, which knows them all.
#[test]
fn every_program_that_a_container_runs_is_in_the_image() {
    let script = project::read("local/prepare.sh");
    let list = |name: &str| {
        let start = format!("{name}=(");
        let mut lines = script.lines();
        let list = lines.find_map(|line| line.strip_prefix(&start)?.strip_suffix(')'));
        list.unwrap().split(' ').map(str::to_owned)
    };
    let built = r#"programs=("${functions[@]}" "${all_models[@]}" harness)"#;
    assert!(project::read("local/Dockerfile").contains(built));
    let mut programs: Vec<_> = list("models").chain(list("all_models")).collect();
    programs.push("harness".to_owned());

    let compose = yaml::read("local/docker-compose.yml");
    let services = compose["services"].as_object().unwrap().values();
    let ours = services.filter(|service| service["image"] == "tutti");
    let run: Vec<_> = ours
        .map(|service| service["command"][0].as_str().unwrap())
        .collect();
    assert!(run.len() > 3);
    for program in run {
        let found = programs.iter().any(|built| built == program);
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
