//! The runbook knows every alarm and every figure.

use std::collections::BTreeSet;

use serde_json::json;
use shared::metrics::METRICS;

use crate::project;
use crate::template::Template;

#[test]
fn somebody_is_told_of_each_alarm_and_finds_it_in_the_runbook() {
    let template = Template::read();
    let runbook = project::read("docs/operations.md");
    let headings: BTreeSet<_> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .flat_map(|heading| heading.split(", "))
        .collect();
    let alarms: Vec<_> = template.of_type("AWS::CloudWatch::Alarm").collect();
    assert!(alarms.len() >= 20);
    for (name, alarm) in alarms {
        assert_eq!(alarm["AlarmActions"], json!([{"Ref": "Alarms"}]), "{name}");
        assert!(alarm["AlarmDescription"].is_string(), "{name}");
        assert!(headings.contains(name), "no runbook entry for {name}");
    }
}

#[test]
fn the_table_of_figures_is_the_list_of_figures() {
    let page = project::read("docs/operations.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `tutti_")?.split('|');
        let name = cells.next()?.trim().strip_suffix('`')?;
        Some((format!("tutti_{name}"), cells.next()?.trim().to_owned()))
    });
    let rows: Vec<_> = rows.collect();
    let listed = METRICS.iter().map(|metric| {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        (metric.name.to_owned(), kind)
    });
    assert_eq!(rows, listed.collect::<Vec<_>>());
}
