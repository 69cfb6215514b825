//! The tables of docs/api.md and docs/models.md say what the code does, all of it and nothing else.
//!
//! Here the pages are read; `codes` finds what the sources name, `fields` writes out what goes over the wire.

mod codes;
mod fields;

use std::collections::BTreeSet;

use crate::project;
use crate::template::Template;

pub(crate) const API: &str = "docs/api.md";
const REALTIME: &str = "docs/realtime.md";
const MODELS: &str = "docs/models.md";

pub(crate) type Names = BTreeSet<String>;

/// The lines from a heading to the next one.
pub(crate) fn section(page: &str, heading: &str) -> Vec<String> {
    let text = project::read(page);
    let mut lines = text.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "{page} has no {heading:?}");
    let lines = lines.take_while(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// The cells of every table row in a section.
pub(crate) fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let lines = section(page, heading);
    let cells = |line: &String| -> Vec<String> {
        let line = line.trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    lines
        .iter()
        .filter(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

/// What stands between backticks.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The names in the first column of a section's tables.
fn named(page: &str, heading: &str) -> Names {
    let rows = rows(page, heading);
    rows.iter().flat_map(|cells| words(&cells[0])).collect()
}

#[test]
fn every_route_of_the_gateway_stands_in_the_table_with_its_function() {
    let template = Template::read();
    let mut routes = Names::new();
    for function in template.functions() {
        for route in function.routes() {
            let Some(method) = route.method else { continue };
            routes.insert(format!("{method} {} → {}", route.path, function.binary));
        }
    }
    let documented = rows(API, "## Routes").into_iter().skip(2);
    let documented: Names = documented
        .map(|cells| format!("{} → {}", words(&cells[0])[0], cells[1]))
        .collect();
    assert_eq!(documented, routes);
}
