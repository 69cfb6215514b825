//! One file for each thing: sessions, tickets for sockets, users, tokens of services.

pub(crate) mod service_tokens;
pub(crate) mod sessions;
pub(crate) mod ticket;
pub(crate) mod users;

use axum::extract::FromRef;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use shared::clients::Clients;
use shared::identity::{FirstAdmin, Hasher};
use shared::job::uuid_of;
use shared::list::{self, READS};
use shared::lookup::Unreachable;
use shared::problem::Problem;
use shared::store::StoreError;
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
        .route("/auth/ticket", post(ticket::create))
        .route("/auth/users", get(users::list).post(users::create))
        .route("/auth/users/{id}", get(users::read).patch(users::change))
        .route(
            "/auth/service-tokens",
            get(service_tokens::list).post(service_tokens::create),
        )
        .route("/auth/service-tokens/{jti}", delete(service_tokens::revoke))
        .with_state(state)
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
        let after =
            uuid_of(cursor).ok_or_else(|| list::wrong("cursor", "invalid_cursor", detail))?;
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

impl<T> Page<T> {
    /// What is read for each id of a page that may hold `limit`; behind a full one there may be more.
    async fn of<F>(
        ids: Vec<Uuid>,
        limit: usize,
        read: impl FnMut(Uuid) -> F,
    ) -> Result<Json<Self>, Problem>
    where
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        let next_cursor = ids.last().filter(|_| ids.len() == limit).copied();
        let found: Vec<Option<T>> = stream::iter(ids)
            .map(read)
            .buffered(READS)
            .try_collect()
            .await
            .map_err(Unreachable::Store)?;
        let items = found.into_iter().flatten().collect();
        Ok(Json(Self { items, next_cursor }))
    }
}
