//! Parameters of path and query, or a problem that names the wrong one.

use std::error::Error;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::fields::field_error;
use crate::job::{JobId, uuid_of};
use crate::pointer;
use crate::problem::{FieldError, Problem};

/// The query string as a `T`; 400 `invalid_query` otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The `{id}` of the path; 400 `malformed_id` if it is not a job id.
#[derive(Debug, Clone, Copy)]
pub struct JobPath(pub JobId);

/// The id in the path, of what is no job; 400 `malformed_id` if it is none.
#[derive(Debug, Clone, Copy)]
pub struct IdPath(pub Uuid);

type QueryError = serde_path_to_error::Error<serde::de::value::Error>;

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| invalid_query(&rejection))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let detail = "a job id is a UUID, in lower case and with its hyphens";
        let id = path_id(parts, state, detail, |text| text.parse::<JobId>().ok()).await?;
        tracing::Span::current().record("job_id", tracing::field::display(id));
        Ok(Self(id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let detail = "an id is a UUID, in lower case and with its hyphens";
        path_id(parts, state, detail, uuid_of).await.map(Self)
    }
}

/// The one parameter of the path.
async fn path_id<T, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    detail: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, Problem> {
    let params = RawPathParams::from_request_parts(parts, state).await.ok();
    let (name, text) = params.iter().flatten().next().unwrap_or(("id", ""));
    parse(text).ok_or_else(|| {
        let field = FieldError::new(pointer::of(name), "malformed_id", detail);
        Problem::bad_request("malformed_id", detail).with_errors(vec![field])
    })
}

fn invalid_query(rejection: &(dyn Error + 'static)) -> Problem {
    let mut cause = Some(rejection);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<QueryError>() {
            let field = field_error(error.path(), &error.inner().to_string());
            let detail = format!(
                "the parameter {}: {}",
                field.pointer.trim_start_matches('/'),
                field.detail
            );
            return Problem::bad_request("invalid_query", detail).with_errors(vec![field]);
        }
        cause = error.source();
    }
    Problem::bad_request("invalid_query", "the query could not be read")
}
