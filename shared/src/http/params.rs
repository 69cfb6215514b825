//! Parameters of path and query, or a problem that names the wrong one.

use std::error::Error;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::fields::field_error;
use crate::job::JobId;
use crate::problem::{FieldError, Problem};

/// The query string as a `T`; 400 `invalid_query` otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The `{id}` of the path; 400 `malformed_id` if it is not a job id.
#[derive(Debug, Clone, Copy)]
pub struct JobPath(pub JobId);

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
        let params = RawPathParams::from_request_parts(parts, state).await;
        let id = params.ok().and_then(|params| {
            let (_, text) = params.iter().find(|(name, _)| *name == "id")?;
            text.parse::<JobId>().ok()
        });
        let id = id.ok_or_else(|| {
            let detail = "a job id is a UUID, in lower case and with its hyphens";
            let field = FieldError::new("/id", "malformed_id", detail);
            Problem::bad_request("malformed_id", detail).with_errors(vec![field])
        })?;
        tracing::Span::current().record("job_id", tracing::field::display(id));
        Ok(Self(id))
    }
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
