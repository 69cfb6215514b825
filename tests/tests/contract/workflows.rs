//! `.github/workflows` run scripts of this project, and `local/sandbox` gives parameters of the template.

use serde_json::{Map, Value};

use crate::project;
use crate::template::Template;
use tests::yaml;

const FILES: [&str; 2] = [
    ".github/workflows/checks.yml",
    ".github/workflows/sandbox.yml",
];

/// The jobs of a workflow, by name.
fn jobs(file: &str) -> Map<String, Value> {
    yaml::read(file)["jobs"].as_object().unwrap().clone()
}

fn steps(job: &Value) -> &Vec<Value> {
    job["steps"].as_array().unwrap()
}

/// The steps of `local/sandbox` that the workflow takes, in its order.
fn sandbox_steps() -> Vec<String> {
    let job = &jobs(FILES[1])["sandbox"];
    steps(job)
        .iter()
        .filter_map(|step| step["run"].as_str()?.strip_prefix("./local/sandbox "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_workflow_has_few_rights_and_ends() {
    for file in FILES {
        let rights = yaml::read(file)["permissions"].clone();
        assert_eq!(rights["contents"], "read", "{file}");
        // A token for AWS is what the sandbox is for.
        let token = &rights["id-token"];
        assert_eq!(token == "write", file.ends_with("sandbox.yml"), "{file}");
        for (name, job) in jobs(file) {
            assert!(job["timeout-minutes"].is_i64(), "{file}: {name}");
        }
    }
}

#[test]
fn a_workflow_runs_scripts_that_exist() {
    let mut scripts = 0;
    for file in FILES {
        for job in jobs(file).values() {
            let runs = steps(job).iter().filter_map(|step| step["run"].as_str());
            for word in runs.flat_map(str::split_whitespace) {
                let path = word.strip_prefix("./").unwrap_or(word);
                if path.starts_with("local/") || path.starts_with(".ci/") {
                    assert!(project::root().join(path).is_file(), "{file}: {word}");
                    scripts += 1;
                }
            }
        }
    }
    assert!(scripts > 5);
}

#[test]
fn the_sandbox_is_removed_whatever_happened() {
    let script = project::read("local/sandbox");
    let known = script.lines().find_map(|line| {
        let (names, _) = line.trim().split_once(r#") "$1" ;;"#)?;
        Some(names.split(" | ").map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(sandbox_steps(), known.unwrap());
    let job = &jobs(FILES[1])["sandbox"];
    let last = steps(job).last().unwrap();
    assert_eq!(last["run"], "./local/sandbox remove");
    assert_eq!(last["if"], "always()");
    // Its own time-out leaves the last step its time.
    let minutes = |of: &Value| of["timeout-minutes"].as_i64().unwrap_or(0);
    let needed: i64 = steps(job).iter().map(minutes).sum();
    assert!(minutes(job) >= needed, "{needed}");
}

#[test]
fn the_sandbox_gives_parameters_of_the_template() {
    let template = Template::read();
    let script = project::read("local/sandbox");
    let lines = script.lines().filter(|line| !line.starts_with('#'));
    let given: Vec<_> = lines
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.trim_start_matches('\'').split_once('='))
        .map(|(name, _)| name)
        .filter(|name| {
            let mut letters = name.chars();
            letters
                .next()
                .is_some_and(|first| first.is_ascii_uppercase())
                && letters.clone().all(|next| next.is_ascii_alphanumeric())
                && letters.any(|next| next.is_ascii_lowercase())
        })
        .collect();
    assert!(given.len() > 6, "{given:?}");
    for name in given {
        assert!(template.parameters().contains_key(name), "{name}");
    }
}
