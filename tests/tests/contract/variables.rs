//! One list of variables: the crate's table, the README's, the template's.

use std::collections::BTreeSet;

use shared::config::VARIABLES;

use crate::project;
use crate::template::{Function, Template};

/// No deployment sets these.
const LAPTOP_ONLY: [&str; 1] = [
    // Refused on Lambda.
    "DEV_MODE",
];

/// The names in the first cells of the README's tables, where these are variables: ``| `NAME` | … |``.
fn of_readme() -> Vec<String> {
    let readme = project::read("README.md");
    let first_cell = |line: &str| {
        let cell = line.strip_prefix('|')?.split('|').next()?.trim();
        let name = cell.strip_prefix('`')?.strip_suffix('`')?;
        let spelled = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        name.chars().all(spelled).then(|| name.to_owned())
    };
    readme.lines().filter_map(first_cell).collect()
}

fn of_template(functions: &[Function<'_>]) -> BTreeSet<String> {
    let names = functions.iter().flat_map(|f| f.environment().into_keys());
    names.map(str::to_owned).collect()
}

#[test]
fn the_readme_shows_every_variable_in_the_order_of_the_table() {
    let names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(of_readme(), names);
}

#[test]
fn the_template_sets_every_variable_that_a_deployment_has() {
    let template = Template::read();
    let deployed: BTreeSet<_> = VARIABLES
        .iter()
        .map(|variable| variable.name.to_owned())
        .filter(|name| !LAPTOP_ONLY.contains(&name.as_str()))
        .collect();
    assert_eq!(of_template(&template.functions()), deployed);
    for name in LAPTOP_ONLY {
        assert!(VARIABLES.iter().any(|variable| variable.name == name));
    }
}

#[test]
fn every_function_is_given_the_variables_that_it_cannot_work_without() {
    let template = Template::read();
    let needs = |required_by: &str, function: &str| match required_by.strip_prefix("all but ") {
        Some(exempt) => function != exempt,
        None => required_by == function,
    };
    for function in template.functions() {
        let environment = function.environment();
        for variable in VARIABLES {
            if needs(variable.required_by, function.binary) {
                let given = environment.contains_key(variable.name);
                assert!(given, "{} lacks {}", function.name, variable.name);
            }
        }
    }
}

#[test]
fn a_parameter_and_its_variable_have_one_default() {
    let template = Template::read();
    let mut compared = 0;
    for function in template.functions() {
        for (name, value) in function.environment() {
            let parameter = value["Ref"].as_str();
            let parameter = parameter.and_then(|name| template.parameters().get(name));
            let given = parameter.and_then(|parameter| parameter.get("Default"));
            let Some(given) = given else { continue };
            let given = given.as_str().map_or(given.to_string(), str::to_owned);
            let variable = VARIABLES.iter().find(|variable| variable.name == name);
            assert_eq!(variable.unwrap().default, Some(given.as_str()), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 0);
}
