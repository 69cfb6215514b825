use std::collections::BTreeSet;

use super::*;

fn operations() -> Vec<(String, Value)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap().clone();
    let of = |(path, item): (String, Value)| {
        let methods = item.as_object().unwrap().clone();
        methods
            .into_iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    };
    paths.into_iter().flat_map(of).collect()
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_and_a_known_tag() {
    let tags: Vec<_> = document()["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].clone())
        .collect();
    let mut names = BTreeSet::new();
    for (at, operation) in operations() {
        assert!(names.insert(operation["operationId"].to_string()), "{at}");
        assert!(operation["summary"].is_string(), "{at}");
        assert!(tags.contains(&operation["tags"][0]), "{at}");
    }
}

#[test]
fn every_code_that_an_annotation_names_is_in_the_table() {
    for (at, operation) in operations() {
        // Where a code that the table lacks would land.
        assert!(operation["responses"].get("599").is_none(), "{at}");
    }
}

#[test]
fn no_mark_of_the_annotations_is_left() {
    let text = text();
    assert!(!text.contains("x-problems") && !text.contains("x-body-of-any-type"));
    assert!(!text.contains("operation_id"));
}

#[test]
fn every_reference_leads_somewhere() {
    fn follow(value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    let found = document.pointer(reference.trim_start_matches('#'));
                    assert!(found.is_some_and(|found| !found.is_null()), "{reference}");
                }
                members.values().for_each(|member| follow(member, document));
            }
            Value::Array(items) => items.iter().for_each(|item| follow(item, document)),
            _ => {}
        }
    }
    let document = document();
    follow(&document, &document);
}

#[test]
fn the_limits_of_a_submission_are_those_of_the_parser() {
    use shared::submission::{DURATION_MAX, NARRATIVE_MAX, TAGS_MAX};
    let submission = &document()["components"]["schemas"]["Submission"]["properties"];
    assert_eq!(submission["narrative"]["maxLength"], NARRATIVE_MAX);
    assert_eq!(submission["duration"]["maximum"], DURATION_MAX);
    assert_eq!(submission["tags"]["maxItems"], TAGS_MAX);
}

#[test]
fn an_answer_has_null_only_where_the_field_is_always_there() {
    let schemas = document()["components"]["schemas"].clone();
    assert_eq!(schemas["Job"]["properties"]["startedAt"]["type"], "string");
    let cursor = &schemas["JobPage"]["properties"]["nextCursor"]["type"];
    assert_eq!(*cursor, json!(["string", "null"]));
    // What is sent may be null.
    let seed = &schemas["Submission"]["properties"]["seed"]["type"];
    assert_eq!(*seed, json!(["integer", "null"]));
}
