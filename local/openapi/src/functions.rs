//! Who serves HTTP. A new function adds its line here.

use serde_json::Value;
use utoipa::OpenApi;

/// What one function says of itself.
pub(crate) struct Part {
    pub(crate) document: Value,
    /// It asks Redis or the store, so any of its routes may answer 503.
    pub(crate) asks: bool,
}

/// What no function has for itself.
#[derive(OpenApi)]
#[openapi(components(schemas(shared::problem::FieldError)))]
struct Common;

pub(crate) fn parts() -> Vec<Part> {
    let part = |document: utoipa::openapi::OpenApi, asks| Part {
        document: serde_json::to_value(document).unwrap_or_default(),
        asks,
    };
    vec![
        part(Common::openapi(), false),
        part(compose::Document::openapi(), true),
        part(jobs::Document::openapi(), true),
        part(report::document::Document::openapi(), true),
        part(admin::Document::openapi(), true),
        part(auth::document::Document::openapi(), true),
        part(health::Document::openapi(), false),
    ]
}
