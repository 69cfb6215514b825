//! The shapes of our events against those that AWS was seen to send, which stand in tests/events/.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::place::root;

/// Members whose names are the sender's own.
const FREE: [&str; 7] = [
    "headers",
    "multiValueHeaders",
    "multiValueQueryStringParameters",
    "pathParameters",
    "queryStringParameters",
    "stageVariables",
    "messageAttributes",
];

/// The recorded event of this name.
pub(crate) fn recorded(name: &str) -> Value {
    let path = root().join(format!("tests/events/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Every place in `ours` must be in `theirs`, and the other way round but for `lacking`, each with what stands below it.
pub(crate) fn compare(ours: &Value, theirs: &Value, lacking: &[&str]) {
    let (ours, theirs) = (places(ours), places(theirs));
    let invented: Vec<_> = ours.difference(&theirs).collect();
    assert!(invented.is_empty(), "AWS sends no {invented:?}");
    let missing: BTreeSet<_> = theirs.difference(&ours).cloned().collect();
    let named: BTreeSet<_> = missing
        .iter()
        .filter(|place| {
            lacking.iter().any(|name| {
                let below = place.strip_prefix(name);
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })
        .cloned()
        .collect();
    assert_eq!(missing, named, "AWS sends these as well");
    for name in lacking {
        assert!(theirs.contains(*name), "AWS sends no {name}");
        assert!(!ours.contains(*name), "{name} is not lacking");
    }
}

/// `requestContext.http.method`, `Records.0.body`: all there are, with the kind of what stands there.
fn places(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    found
}

fn walk(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    let below = |name: &str| match at {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let place = below(name);
                found.insert(place.clone());
                if !FREE.contains(&name.as_str()) {
                    walk(member, &place, found);
                }
            }
        }
        // The first stands for all: they are of one kind.
        Value::Array(items) => {
            if let Some(item @ Value::Object(_)) = items.first() {
                walk(item, &below("0"), found);
            }
        }
        _ => {}
    }
}
