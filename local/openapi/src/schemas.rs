//! What the derives leave open and the code does not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answers::objects;

const SCHEMAS: &str = "#/components/schemas/";

/// Numbers get the bounds of their types; audio is bytes; an answer leaves out what it does not have.
pub(crate) fn refine(document: &mut Value) {
    visit(document, &mut bound);
    visit(document, &mut linked);
    visit(document, &mut bytes);
    let mut asked = BTreeSet::new();
    for (_, item) in objects(&mut document["paths"]) {
        for (_, operation) in objects(item) {
            for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
                // Text in an address or a header: it is there or not.
                if let Some(schema) = parameter.get_mut("schema") {
                    some(schema);
                }
            }
            references(&operation["requestBody"], &mut asked);
            references(&operation["parameters"], &mut asked);
        }
    }
    let schemas = document["components"]["schemas"].clone();
    loop {
        let before = asked.len();
        for name in asked.clone() {
            references(&schemas[name], &mut asked);
        }
        if asked.len() == before {
            break;
        }
    }
    for (name, schema) in objects(&mut document["components"]["schemas"]) {
        if !asked.contains(&name) {
            visit(schema, &mut without_null);
        }
    }
}

fn visit(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    change(value);
    match value {
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| visit(member, change)),
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
        _ => {}
    }
}

/// The derive's crate spells one word of a link its own way.
fn linked(link: &mut Value) {
    if let Some(link) = link.as_object_mut()
        && let Some(operation) = link.remove("operation_id")
    {
        link.insert("operationId".to_owned(), operation);
    }
}

/// `format` is how the derive names a Rust type: `int32` for 32 bits, signed or not.
fn bound(schema: &mut Value) {
    let whole = |kind: &Value| *kind == "integer" || kind[0] == "integer";
    if !schema.get("type").is_some_and(whole) {
        return;
    }
    let most = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => json!(u32::MAX),
        _ => json!(u64::MAX),
    };
    let unsigned = schema.get("minimum").is_some();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("format");
        if unsigned {
            schema.entry("maximum").or_insert(most);
        }
    }
}

/// Audio is bytes, one at least.
fn bytes(content: &mut Value) {
    for (kind, media) in objects(content) {
        if kind.starts_with("audio/") || kind == "application/octet-stream" {
            media["schema"] = json!({"type": "string", "format": "binary", "minLength": 1});
        }
    }
}

/// Serde leaves out what is `None`, unless the schema requires it.
fn without_null(schema: &mut Value) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let required = |name: &str| {
        required
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == name))
    };
    let Some(properties) = schema.get_mut("properties") else {
        return;
    };
    for (name, property) in objects(properties) {
        if !required(&name) {
            some(property);
        }
    }
}

/// The schema of an `Option` becomes that of what is in it.
fn some(property: &mut Value) {
    if let Some([one, null]) = property["type"].as_array().map(Vec::as_slice)
        && null == "null"
    {
        property["type"] = one.clone();
    }
    if let Some([null, one]) = property["oneOf"].as_array().map(Vec::as_slice)
        && null["type"] == "null"
    {
        let mut one = one.clone();
        if property["description"].is_string() {
            one["description"] = property["description"].clone();
        }
        *property = one;
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str);
            found.extend(
                name.and_then(|name| name.strip_prefix(SCHEMAS))
                    .map(str::to_owned),
            );
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
