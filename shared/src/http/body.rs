//! A JSON body, or a problem that says where it is wrong.

use std::fmt;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use super::fields::field_error;
use crate::lenient;
use crate::problem::Problem;

/// A `T` out of an object. By itself a derived type may also be read from a list of its fields, which nobody means.
#[derive(Debug, Clone, Copy)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

/// The request's JSON object as a `T`. 415 for another type, 413 when too long, 400 if it is not JSON, 422 if it is not a `T`.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

/// The same of a model service: its JSON is mended first, see [`crate::lenient`].
#[derive(Debug, Clone, Copy)]
pub struct LenientBody<T>(pub T);

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        parse_json(&json(request, state).await?).map(Self)
    }
}

impl<T, S> FromRequest<S> for LenientBody<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        parse_json(&lenient::mended(&json(request, state).await?)).map(Self)
    }
}

/// The body of a request that says it is JSON.
async fn json<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let status = axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let detail = "send JSON, with Content-Type: application/json";
        return Err(Problem::new(status, "unsupported_media_type", detail));
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| Problem::of_status(rejection.status()))
}

/// The text, an object, as a `T`; 400 if it is not JSON, 422 with the field's pointer if it is not a `T`.
pub fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // serde_json calls a number where a word of a list should be, or one that is too large, bad syntax.
        // What it passes over it does not read as text.
        let is_text = || std::str::from_utf8(bytes).is_ok();
        let is_json = || is_text() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
        if error.inner().classify() == Category::Data || is_json() {
            Problem::validation(vec![field_error(error.path(), &error.inner().to_string())])
        } else {
            malformed(error.inner())
        }
    })?;
    reader.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    Problem::bad_request(
        "malformed_json",
        format!("the body is not JSON: see line {line}, column {column}"),
    )
}

/// `application/json`, or a type that ends in `+json`; parameters do not matter.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|text| text.split(';').next())
        .unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::FieldError;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mood {
        Calm,
        Wild,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Song {
        narrative: String,
        duration: Option<u32>,
        mood: Option<Mood>,
        #[serde(default)]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Part {
        #[serde(rename = "a/b")]
        bars: u32,
    }

    /// Pointer, code and detail of the one field that is wrong.
    fn wrong(text: &str) -> (String, String, String) {
        let problem = parse_json::<Song>(text.as_bytes()).unwrap_err();
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (422, "validation_failed"),
            "{text}"
        );
        let [error] = problem.errors() else {
            panic!("{problem:?}")
        };
        (
            error.pointer.clone(),
            error.code.to_string(),
            error.detail.clone(),
        )
    }

    fn is(pointer: &str, code: &str, detail: &str) -> (String, String, String) {
        (pointer.to_owned(), code.to_owned(), detail.to_owned())
    }

    #[test]
    fn a_field_that_is_wrong_is_named_by_its_pointer() {
        assert_eq!(
            wrong(r#"{"narrative": 7}"#),
            is("/narrative", "wrong_type", "expected a string")
        );
        assert_eq!(
            wrong(r#"{"narrative": "x", "duration": -1}"#),
            is(
                "/duration",
                "out_of_range",
                "expected a whole number from 0 to 4294967295"
            )
        );
        assert_eq!(
            wrong(r#"{"narrative": "x", "mood": "sad"}"#),
            is("/mood", "unknown_value", "expected calm or wild")
        );
        assert_eq!(
            wrong(r#"{"narrative": "x", "parts": [{"a/b": 1}, {"a/b": "2"}]}"#),
            is(
                "/parts/1/a~1b",
                "wrong_type",
                "expected a whole number from 0 to 4294967295"
            )
        );
        assert_eq!(
            wrong(r#"{"narrative": "x", "mood": 7}"#),
            is("/mood", "wrong_type", "expected another value")
        );
        let large = parse_json::<serde_json::Value>(br#"{"duration": 1e999}"#).unwrap_err();
        assert_eq!(
            large.errors()[0],
            FieldError::new("/duration", "out_of_range", "the number is too large")
        );
        // A derived type could be read from a list; a body is an object.
        for list in ["[]", r#"["x", null]"#] {
            assert_eq!(wrong(list), is("", "wrong_type", "expected an object"));
        }
        assert_eq!(wrong("null"), is("", "wrong_type", "expected an object"));
    }

    #[test]
    fn missing_and_unknown_fields_are_named_too() {
        assert_eq!(
            wrong("{}"),
            is("/narrative", "missing", "this field is required")
        );
        assert_eq!(
            wrong(r#"{"narrative": "x", "parts": [{}]}"#).0,
            "/parts/0/a~1b"
        );
        assert_eq!(
            wrong(r#"{"narrative": "x", "nonsense": 1}"#),
            is("/nonsense", "unknown_field", "this field is not known here")
        );
        assert_eq!(
            wrong(r#"{"narrative": "x", "narrative": "y"}"#).1,
            "duplicate"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_not_json() {
        for bytes in [&b"\xff"[..], b"{\"narrative\": \"\xff\"}", b"{\"\xc3\": 1}"] {
            let problem = parse_json::<serde_json::Value>(bytes).unwrap_err();
            assert_eq!(problem.code(), "malformed_json", "{bytes:?}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_from_what_is_the_wrong_json() {
        for text in [
            "",
            "{",
            "narrative=x",
            r#"{"narrative": "x"} tail"#,
            &r#"{"a":"#.repeat(1000),
        ] {
            let problem = parse_json::<serde_json::Value>(text.as_bytes()).unwrap_err();
            assert_eq!(
                (problem.status().as_u16(), problem.code()),
                (400, "malformed_json"),
                "{text}"
            );
        }
    }
}
