//! The edge of every HTTP function: what each answer has, whichever handler made it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;
use tracing::field::Empty;

use super::{RequestId, cors, proxy, quota, trace};
use crate::config::{self, Secret};
use crate::metrics::{Embedded, SERVER_ERRORS};
use crate::problem::Problem;
use crate::telemetry;

/// The longest request body, in bytes; a route with larger ones sets its own `DefaultBodyLimit`.
pub const MAX_BODY: usize = 256 * 1024;
/// The longest path with its query, in bytes: room for a token and a cursor.
const MAX_TARGET: usize = 16 * 1024;
/// Names and values of all request headers, in bytes. API Gateway takes 10 KB; a laptop would take anything.
const MAX_HEADERS: usize = 32 * 1024;

/// The page that tells what is down.
const READINESS: &str = "/health/ready";

/// What every answer says to a browser, unless its handler says otherwise: take it for what it is, run nothing in it, show it in no
/// frame, tell nobody its address, and come back by TLS.
const SECURITY: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000"),
    ),
];

/// Gives a router with all its routes the same edge: request ids, problems for unmatched paths, wrong methods, long
/// bodies and headers, and panics, security headers, CORS by `CORS_ORIGINS`, and one access-log line a request.
pub fn finish_router(router: Router) -> Router {
    finish_router_for(router, config::cors_origins(), config::proxy_secrets())
}

/// The same for given origins, behind a proxy with one of these secrets.
pub(super) fn finish_router_for(
    router: Router,
    origins: Vec<HeaderValue>,
    secrets: Vec<Secret>,
) -> Router {
    router
        .fallback(async || Problem::of_status(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || Problem::of_status(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(cors::layer(origins), cors::answer))
        .layer(from_fn_with_state(secrets.into(), proxy::pass))
        .layer(from_fn(edge))
}

async fn edge(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    // The route, not the path: a path may hold a token.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    request.extensions_mut().insert(id.clone());

    let span = tracing::info_span!(
        "request", request_id = %id, trace_id = Empty, caller = Empty, job_id = Empty
    );
    trace::note_given(&span, request.headers());
    let answer = AssertUnwindSafe(answer(request, next))
        .catch_unwind()
        .instrument(span.clone());
    let (answer, quotas) = quota::counted(answer).await;
    let response = answer.unwrap_or_else(|panic| {
        let cause = std::io::Error::other(format!("panic: {}", panic_text(&*panic)));
        Problem::internal().with_source(cause).into_response()
    });
    let mut response = dressed(response, &id);
    quota::write(&quotas, response.headers_mut());
    span.in_scope(|| log(&method, route, started, &response));
    response
}

async fn answer(request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_TARGET) {
        return Problem::of_status(StatusCode::URI_TOO_LONG).into_response();
    }
    let sizes = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    if sizes.sum::<usize>() > MAX_HEADERS {
        return Problem::of_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).into_response();
    }
    next.run(request).await
}

/// The response with the headers and the body that every caller may rely on.
fn dressed(response: Response, id: &RequestId) -> Response {
    let mut response = as_problem(response, id);
    let headers = response.headers_mut();
    secure(headers);
    if let Some(value) = id.to_header() {
        headers.insert(RequestId::HEADER, value);
    }
    response
}

/// Adds the headers that every answer has, where they are not there yet.
pub(super) fn secure(headers: &mut HeaderMap) {
    let no_store = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in SECURITY.into_iter().chain([no_store]) {
        headers.entry(name).or_insert(value);
    }
}

/// A problem gets its request id; an error in plain text, as axum's own extractors answer, becomes a problem.
fn as_problem(response: Response, id: &RequestId) -> Response {
    let (mut parts, body) = response.into_parts();
    if !parts.status.is_client_error() && !parts.status.is_server_error() {
        return Response::from_parts(parts, body);
    }
    if parts.extensions.get::<Problem>().is_none() {
        let json = |value: &HeaderValue| value.as_bytes().ends_with(b"json");
        if parts.headers.get(CONTENT_TYPE).is_some_and(json) {
            return Response::from_parts(parts, body);
        }
        parts.extensions.insert(Problem::of_status(parts.status));
    }
    let text = parts
        .extensions
        .get::<Problem>()
        .map(|problem| problem.body(Some(&id.0)));
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    Response::from_parts(parts, Body::from(text.unwrap_or_default()))
}

fn log(method: &Method, route: &str, started: Instant, response: &Response) {
    let status = response.status().as_u16();
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let problem = response.extensions().get::<Problem>();
    let (code, cause) = (problem.map(Problem::code), problem.and_then(Problem::cause));
    if response.status().is_server_error() {
        tracing::error!(%method, route, status, duration_ms, code, cause, "{method} {route} answered {status}");
        // Its 503 is what it is there to say: the version that says so works.
        if route != READINESS {
            let version = format!("{}:{}", telemetry::service(), config::function_version());
            let line = Embedded::default().put(&SERVER_ERRORS, 1.0, Some(&version));
            line.send();
        }
    } else {
        tracing::info!(%method, route, status, duration_ms, code, cause, "{method} {route} answered {status}");
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
