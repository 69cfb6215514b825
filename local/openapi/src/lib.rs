//! The API's document (OpenAPI 3.1): made from what each function says of itself, kept in docs/openapi.json, served by `health`.
//!
//! `functions` is the list of them; `problems` has every code, `answers` dresses each operation with what all have in common,
//! `schemas` says precisely what the derives leave open, `conditions` what holds between fields, `examples` shows answers.

mod answers;
mod conditions;
mod examples;
mod functions;
mod problems;
mod schemas;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub use problems::{FIELD_CODES, PROBLEMS};

/// How docs/openapi.json is made anew.
pub const COMMAND: &str = "cargo run -p openapi";

/// Where the document is kept.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

/// The document as it is kept.
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// The whole document.
pub fn document() -> Value {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tutti",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Narrative in, finished and checked audio track out. Errors are RFC 9457 problems with a stable `code`.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "compose", "description": "Submit and wait; what can be asked for"},
            {"name": "jobs", "description": "Submit, follow, fetch, change"},
            {"name": "report", "description": "For model services"},
            {"name": "operate", "description": "For operators"},
            {"name": "auth", "description": "Sign in; who may"},
        ],
        "paths": {},
        "components": {
            "schemas": {"Problem": problems::schema()},
            "responses": {},
            "headers": {
                "RequestId": answers::request_id_answered(),
                "RateLimit": {
                    "description": "What each limit that counted has left: `\"read\";r=5999;t=1`",
                    "schema": {"type": "string"},
                },
                "RateLimit-Policy": {
                    "description": "The limits that counted: `\"read\";q=6000;w=60`; absent where there is none",
                    "schema": {"type": "string"},
                },
            },
            "parameters": {"RequestId": answers::request_id_asked()},
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "An access token; its role decides what it opens.",
                },
                "callbackToken": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "Given to a model with its work: opens the report routes for that job.",
                },
                "signedLink": {
                    "type": "apiKey", "in": "query", "name": "sig",
                    "description": "`track.url` of a job, as it is: opens that audio until `exp`.",
                },
            },
        },
    });
    for mut part in functions::parts() {
        answers::dress(&mut part);
        let schemas = part.document["components"]["schemas"].take();
        merge(&mut document["components"]["schemas"], schemas);
        merge(&mut document["paths"], part.document["paths"].take());
    }
    schemas::refine(&mut document);
    conditions::add(&mut document);
    answers::share(&mut document);
    examples::show(&mut document);
    document
}

/// One path may have methods in two functions.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests;
