//! One file for each thing: sessions, users, tokens of services.

pub(crate) mod service_tokens;
pub(crate) mod sessions;
pub(crate) mod users;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::routing::{delete, get, post};
use serde::{Deserialize, Serialize};
use shared::clients::Clients;
use shared::identity::{FirstAdmin, Hasher};
use shared::list;
use shared::problem::{FieldError, Problem};
use shared::verifier::Verifier;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::document::Id;

#[derive(Clone)]
pub(crate) struct Desk {
    clients: Clients,
    hasher: Hasher,
    first_admin: FirstAdmin,
}

impl FromRef<Desk> for Verifier {
    fn from_ref(state: &Desk) -> Self {
        Self::from_ref(&state.clients)
    }
}

impl FromRef<Desk> for Clients {
    fn from_ref(state: &Desk) -> Self {
        state.clients.clone()
    }
}

impl FromRef<Desk> for Hasher {
    fn from_ref(state: &Desk) -> Self {
        state.hasher.clone()
    }
}

/// Every route of this function.
pub fn router(clients: Clients) -> Router {
    let state = Desk {
        clients,
        hasher: Hasher::default(),
        first_admin: FirstAdmin::default(),
    };
    Router::new()
        .route("/auth/login", post(sessions::login))
        .route("/auth/refresh", post(sessions::refresh))
        .route("/auth/logout", post(sessions::logout))
        .route("/auth/users", get(users::list).post(users::create))
        .route("/auth/users/{id}", get(users::read).patch(users::change))
        .route(
            "/auth/service-tokens",
            get(service_tokens::list).post(service_tokens::create),
        )
        .route("/auth/service-tokens/{jti}", delete(service_tokens::revoke))
        .with_state(state)
}

/// The id at the end of the path; 400 `malformed_id` if it is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdPath(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let (name, text) = params.iter().flatten().next().unwrap_or(("id", ""));
        usual(text).map(Self).ok_or_else(|| {
            let detail = "an id is a UUID, in lower case and with its hyphens";
            let field = FieldError::new(format!("/{name}"), "malformed_id", detail);
            Problem::bad_request("malformed_id", detail).with_errors(vec![field])
        })
    }
}

/// One id has one spelling.
fn usual(text: &str) -> Option<Uuid> {
    text.parse().ok().filter(|id: &Uuid| id.to_string() == text)
}

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// `nextCursor` of the page before.
    #[param(value_type = Option<Id>)]
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
}

impl Paging {
    /// The id after which the page begins, and how much it holds.
    fn read(&self) -> Result<(Option<Uuid>, usize), Problem> {
        let limit = list::limit(self.limit)?;
        let Some(cursor) = &self.cursor else {
            return Ok((None, limit));
        };
        let detail = "must come from the same list";
        let after = usual(cursor).ok_or_else(|| list::wrong("cursor", "invalid_cursor", detail))?;
        Ok((Some(after), limit))
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    items: Vec<T>,
    /// `null` is the end.
    #[schema(required, value_type = Option<Id>)]
    next_cursor: Option<Uuid>,
}

/// Behind a full page there may be more.
fn next(ids: &[Uuid], limit: usize) -> Option<Uuid> {
    ids.last().filter(|_| ids.len() == limit).copied()
}
