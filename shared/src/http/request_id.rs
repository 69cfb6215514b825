//! The name of one request, in every log line and on every answer.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use uuid::Uuid;

/// `X-Request-Id`: the caller's if it is 1–64 of `[A-Za-z0-9._:-]`, else a new UUIDv7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// The header's name.
    pub const HEADER: &'static str = "x-request-id";

    pub(super) fn of(headers: &HeaderMap) -> Self {
        headers
            .get(Self::HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|text| is_sane(text))
            .map_or_else(Self::mint, |text| Self(text.to_owned()))
    }

    /// For a response; always valid, since only sane text gets in.
    pub(super) fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }

    fn mint() -> Self {
        Self(Uuid::now_v7().to_string())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let of_edge = parts.extensions.get::<Self>().cloned();
        Ok(of_edge.unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

fn is_sane(text: &str) -> bool {
    let sane = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(sane)
}
