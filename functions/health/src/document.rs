//! `GET /openapi.json`: the API's document, made from the code of all functions and kept in docs/.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use shared::http::matches;
use shared::job::sha256_hex;

const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// Strong: the bytes are the same wherever this build runs.
static TAG: LazyLock<String> =
    LazyLock::new(|| format!("\"{}\"", &sha256_hex(DOCUMENT.as_bytes())[..32]));

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "readDocument",
    tag = "operate",
    params(("If-None-Match" = Option<String>, Header, description = "`ETag` of the last read: 304 if nothing changed")),
    responses(
        (
            status = 200,
            description = "OpenAPI 3.1",
            body = Object,
            headers(("ETag" = String, description = "Changes with the document"))
        ),
        (
            status = 304,
            description = "Nothing changed",
            headers(("ETag" = String, description = "As sent"))
        ),
    ),
)]
pub(crate) async fn document(headers: HeaderMap) -> Response {
    let mut response = if matches(&headers, &TAG) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, json)], DOCUMENT).into_response()
    };
    let cached = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, cached);
    if let Ok(tag) = HeaderValue::from_str(&TAG) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
