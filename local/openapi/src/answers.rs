//! What every operation has in common: problems that follow from what it takes, and the headers of every answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::functions::Part;
use crate::problems::{self, REQUEST_ID};

/// The codes that a handler names in its annotation; the rest follows from what it takes.
const NAMED: &str = "x-problems";
/// A handler that reads JSON whatever `Content-Type` says.
const ANY_TYPE: &str = "x-body-of-any-type";

/// Any request may meet these.
const ALWAYS: [&str; 5] = [
    "not_found",
    "method_not_allowed",
    "uri_too_long",
    "headers_too_large",
    "internal",
];
/// Redis or the store may be away.
const ASKING: [&str; 2] = ["queue_unavailable", "store_unavailable"];

/// Replaces the marks of the annotations by whole answers.
pub(crate) fn dress(part: &mut Part) {
    let asks = part.asks;
    for (path, item) in objects(&mut part.document["paths"]) {
        for (_, operation) in objects(item) {
            if let Some(operation) = operation.as_object_mut() {
                operation_of(&path, operation, asks);
            }
        }
    }
}

fn operation_of(path: &str, operation: &mut Map<String, Value>, asks: bool) {
    let codes = codes(path, operation, asks);
    let own = operation.entry("responses").or_insert_with(|| json!({}));
    for (status, answer) in objects(own) {
        required_headers(&status, answer);
    }
    let mut by_status: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for code in &codes {
        // A code that nobody knows keeps its place, so that the test which looks for it fails.
        let status = problems::status(code).unwrap_or(599);
        by_status.entry(status).or_default().insert(code);
    }
    for (status, codes) in by_status {
        // An answer of its own kind, as of /health/ready, is not a problem.
        if own.get(status.to_string()).is_none() {
            own[status.to_string()] = problems::answer(status, &codes);
        }
    }
    for (_, answer) in objects(own) {
        answer["headers"]["X-Request-Id"] = json!({"$ref": "#/components/headers/RequestId"});
    }
    let ask = json!({"$ref": "#/components/parameters/RequestId"});
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(ask);
    }
}

/// `X-Request-Id` as a caller may send it.
pub(crate) fn request_id_asked() -> Value {
    json!({
        "name": "X-Request-Id", "in": "header", "required": false, "schema": {"type": "string"},
        "description": "Taken if it is 1–64 of `A-Za-z0-9._:-`; follows the request through every log",
    })
}

/// `X-Request-Id` as every answer has it.
pub(crate) fn request_id_answered() -> Value {
    json!({
        "required": true,
        "description": "The caller's, if it is sane, else a new one",
        "schema": {"type": "string", "pattern": REQUEST_ID},
    })
}

/// Problems that many operations have are written down once: `409.not_ended` and the like.
pub(crate) fn share(document: &mut Value) {
    let mut shared = Map::new();
    for (_, item) in objects(&mut document["paths"]) {
        for (_, operation) in objects(item) {
            for (status, answer) in objects(&mut operation["responses"]) {
                let problem = &answer["content"]["application/problem+json"]["schema"];
                let Some(codes) = problem["properties"]["code"]["enum"].as_array() else {
                    continue;
                };
                let codes = codes.iter().filter_map(Value::as_str);
                let name = [status.as_str()]
                    .into_iter()
                    .chain(codes)
                    .collect::<Vec<_>>()
                    .join(".");
                let reference = json!({"$ref": format!("#/components/responses/{name}")});
                shared.insert(name, std::mem::replace(answer, reference));
            }
        }
    }
    document["components"]["responses"] = shared.into();
}

fn codes(path: &str, operation: &mut Map<String, Value>, asks: bool) -> BTreeSet<String> {
    let named = operation.remove(NAMED).unwrap_or_default();
    let named = named.as_array().into_iter().flatten();
    let mut codes: BTreeSet<String> = named.filter_map(Value::as_str).map(str::to_owned).collect();
    let mut add = |more: &[&str]| codes.extend(more.iter().map(|code| (*code).to_owned()));
    add(&ALWAYS);
    if asks {
        add(&ASKING);
    }
    let takes = |place| {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["in"] == place))
    };
    if takes("path") {
        // An address whose bytes are no text.
        add(&["bad_request"]);
    }
    if path.contains("{id}") {
        add(&["malformed_id"]);
    }
    if takes("query") {
        add(&["invalid_query"]);
    }
    let schemes = operation.get("security").and_then(Value::as_array);
    if schemes.is_some_and(|all| all.iter().all(|scheme| *scheme != json!({}))) {
        add(&["unauthenticated"]);
    }
    if schemes.is_some_and(|all| all.contains(&json!({"bearer": []}))) {
        add(&["issuer_unavailable"]);
    }
    if operation
        .get("requestBody")
        .is_some_and(|body| body["content"]["application/json"].is_object())
    {
        add(&["malformed_json", "body_too_large", "validation_failed"]);
        if operation.remove(ANY_TYPE).is_none() {
            add(&["unsupported_media_type"]);
        }
    }
    codes
}

/// A documented header is always there, but for the hint when to look at a job again.
fn required_headers(status: &str, answer: &mut Value) {
    let Some(headers) = answer.get_mut("headers") else {
        return;
    };
    for (name, header) in objects(headers) {
        header["required"] = json!(name != "Retry-After" || status == "503");
    }
}

/// The members of an object, to change; none of anything else.
pub(crate) fn objects(value: &mut Value) -> impl Iterator<Item = (String, &mut Value)> {
    let members = value.as_object_mut().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), value))
}
