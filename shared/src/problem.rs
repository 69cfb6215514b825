//! Errors as callers see them: RFC 9457 bodies with a stable code. What the log sees travels beside them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::job::JobId;

/// One field that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body; `/name` for a parameter of path or query.
    pub pointer: String,
    /// Stable, `snake_case`.
    pub code: Cow<'static, str>,
    /// One sentence.
    pub detail: String,
}

impl FieldError {
    /// One entry of [`Problem::validation`].
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            code: code.into(),
            detail: detail.into(),
        }
    }
}

/// An error answer. Boxed, so that a `Result` with one stays small.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    retryable: bool,
    errors: Vec<FieldError>,
    job: Option<JobId>,
    headers: HeaderMap,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// Any status. 429, 502, 503 and 504 are retryable, the rest is not, unless [`Self::retryable`] says otherwise.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            detail: detail.into(),
            retryable: matches!(status.as_u16(), 429 | 502..=504),
            errors: Vec::new(),
            job: None,
            headers: HeaderMap::new(),
            source: None,
        }))
    }

    /// What can be said when only the status is known.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status.as_u16() {
            404 => ("not_found", "there is nothing at this address"),
            405 => (
                "method_not_allowed",
                "this address does not answer this method",
            ),
            413 => (
                "body_too_large",
                "the body is larger than this address accepts",
            ),
            414 => ("uri_too_long", "the address is longer than is accepted"),
            415 => ("unsupported_media_type", "the body must be JSON"),
            431 => (
                "headers_too_large",
                "the headers are larger than is accepted",
            ),
            400..500 => ("bad_request", "the request could not be understood"),
            _ => ("internal", "something went wrong on our side"),
        };
        Self::new(status, code, detail)
    }

    /// 400
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401, asking for a bearer token.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::unauthorized("unauthenticated", detail)
    }

    /// 401 for another reason; it asks for a bearer token too, as it must ask for something (RFC 9110 §15.5.2).
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, code, detail);
        problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 413
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    /// 422 with every field that is wrong.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{}: {}", only.pointer, only.detail),
            all => format!("{} fields are not acceptable", all.len()),
        };
        Self::unprocessable("validation_failed", detail).with_errors(errors)
    }

    /// 422 for another reason than its fields.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429
    pub fn too_many(code: &'static str, detail: impl Into<String>, after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail).with_retry_after(after)
    }

    /// 500
    pub fn internal() -> Self {
        Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// 502
    pub fn bad_gateway(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, code, detail)
    }

    /// 503
    pub fn unavailable(code: &'static str, detail: impl Into<String>, after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).with_retry_after(after)
    }

    /// Whether the same request may succeed later.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// `Retry-After` in whole seconds, rounded up.
    pub fn with_retry_after(self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// One more response header; replaces one of the same name.
    pub fn with_header(mut self, name: axum::http::HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Names the fields.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Names the job, as `jobId`: it may exist although the answer is an error.
    pub fn with_job(mut self, job: JobId) -> Self {
        self.0.job = Some(job);
        self
    }

    /// The inside cause: for the log alone.
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Stable, `snake_case`.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// One sentence for the caller.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields that were not accepted.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The inside cause and its causes in one line, for the log.
    pub fn cause(&self) -> Option<String> {
        let mut next: Option<&dyn Error> = Some(self.0.source.as_deref()?);
        let mut line = String::new();
        while let Some(error) = next {
            let separator = if line.is_empty() { "" } else { ": " };
            // Writing to a String cannot fail.
            let _ = write!(line, "{separator}{error}");
            next = error.source();
        }
        Some(line)
    }

    /// The `application/problem+json` text.
    pub(crate) fn body(&self, request_id: Option<&str>) -> String {
        let parts = &self.0;
        let mut body = Map::new();
        body.insert("type".to_owned(), json!("about:blank"));
        body.insert(
            "title".to_owned(),
            json!(parts.status.canonical_reason().unwrap_or("Error")),
        );
        body.insert("status".to_owned(), json!(parts.status.as_u16()));
        body.insert("detail".to_owned(), json!(parts.detail));
        body.insert("code".to_owned(), json!(parts.code));
        body.insert("retryable".to_owned(), json!(parts.retryable));
        if let Some(id) = request_id {
            body.insert("requestId".to_owned(), json!(id));
        }
        if let Some(job) = parts.job {
            body.insert("jobId".to_owned(), json!(job));
        }
        if !parts.errors.is_empty() {
            body.insert("errors".to_owned(), json!(parts.errors));
        }
        Value::Object(body).to_string()
    }
}

impl IntoResponse for Problem {
    /// The problem also travels in the response's extensions: the edge adds the request id and logs the cause.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body(None)));
        *response.status_mut() = self.0.status;
        response.headers_mut().extend(self.0.headers.clone());
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the line is cut")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_body_has_every_member_that_clients_rely_on() {
        let job = JobId::mint();
        let problem = Problem::validation(vec![FieldError::new(
            "/duration",
            "out_of_range",
            "is too long",
        )])
        .with_job(job);
        let body: Value = serde_json::from_str(&problem.body(Some("r-1"))).unwrap();
        assert_eq!(
            body,
            json!({
                "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
                "detail": "/duration: is too long", "code": "validation_failed", "retryable": false,
                "requestId": "r-1", "jobId": job,
                "errors": [{"pointer": "/duration", "code": "out_of_range", "detail": "is too long"}],
            })
        );
    }

    #[test]
    fn the_cause_reaches_the_log_and_not_the_caller() {
        let problem =
            Problem::internal().with_source(Outer(std::io::Error::other("redis at 10.0.0.7")));
        assert_eq!(
            problem.cause().as_deref(),
            Some("the line is cut: redis at 10.0.0.7")
        );
        assert!(!problem.body(None).contains("redis"));
        assert_eq!(Problem::internal().cause(), None);
    }

    #[test]
    fn what_may_be_tried_again_says_so() {
        let busy = Problem::unavailable(
            "queue_unavailable",
            "try again",
            Duration::from_millis(1200),
        );
        let response = busy.into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let problem = response.extensions().get::<Problem>().unwrap();
        assert!(problem.body(None).contains(r#""retryable":true"#));
        assert!(
            Problem::conflict("finished", "")
                .retryable(true)
                .body(None)
                .contains(r#""retryable":true"#)
        );
    }
}
