//! `/auth/login`, `/auth/refresh`, `/auth/logout`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::http::Body;
use shared::identity::{self, ACCESS_LIFE, Account, Attempt, Tokens, User};
use shared::lookup::Unreachable;
use shared::problem::Problem;

use super::Desk;
use crate::form::Form;
use crate::origin::Origin;

/// A short access token, and what the next one is got with.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    user: User,
    access_token: String,
    refresh_token: String,
    /// Seconds that the access token lives.
    expires_in: u64,
}

/// A session for a name and its password.
///
/// Counted before the password is looked at; a name that is nobody's is answered like a wrong password.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    tag = "auth",
    request_body(content = crate::document::Credentials, example = json!({
        "emailOrUsername": "ann@example.com", "password": "correct horse battery"
    })),
    responses((status = 200, description = "A session", body = Session)),
    extensions(("x-problems" = json!(["wrong_credentials", "rate_limited", "sign_in_busy"]))),
)]
pub(crate) async fn login(
    State(desk): State<Desk>,
    Origin(address): Origin,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Session>, Problem> {
    let credentials = Form::credentials(body)?;
    desk.first_admin.ensure(&desk.clients).await?;
    let name = &credentials.name;
    let found = Account::by_name(&desk.clients.store, name).await;
    let found = found.map_err(Unreachable::from)?;
    let user = found.as_ref().map(|(account, _)| account.id);
    count(&desk, Attempt::Login { name, user }, address).await?;
    let password = credentials.password;
    let session = identity::login(&desk.clients, &desk.hasher, found, password).await?;
    Ok(Json(Session::from(session)))
}

/// A new pair for a refresh token, which is worth nothing afterwards.
///
/// A second use of one is taken for a theft and ends the session.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refreshSession",
    tag = "auth",
    request_body(content = crate::document::Renewal, example = json!({"refreshToken": "eyJ0eXAiOi…"})),
    responses((status = 200, description = "The session goes on", body = Session)),
    extensions(("x-problems" = json!(["unauthenticated", "refresh_reused", "session_ended", "rate_limited"]))),
)]
pub(crate) async fn refresh(
    State(desk): State<Desk>,
    Origin(address): Origin,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Session>, Problem> {
    let token = Form::refresh_token(body)?;
    count(&desk, Attempt::Refresh, address).await?;
    let session = identity::rotate(&desk.clients, &token).await?;
    Ok(Json(Session::from(session)))
}

/// Ends the session: no refresh token of it is good any more.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    tag = "auth",
    request_body(content = crate::document::Renewal, example = json!({"refreshToken": "eyJ0eXAiOi…"})),
    responses((status = 204, description = "It has ended, now or before")),
    extensions(("x-problems" = json!(["unauthenticated", "rate_limited"]))),
)]
pub(crate) async fn logout(
    State(desk): State<Desk>,
    Origin(address): Origin,
    Body(body): Body<Map<String, Value>>,
) -> Result<StatusCode, Problem> {
    let token = Form::refresh_token(body)?;
    count(&desk, Attempt::Refresh, address).await?;
    identity::end(&desk.clients, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn count(desk: &Desk, attempt: Attempt<'_>, address: Option<String>) -> Result<(), Problem> {
    let rates = desk.clients.config.rates;
    let queue = &desk.clients.queue;
    rates.count(queue, attempt, address.as_deref()).await
}

impl From<(Account, Tokens)> for Session {
    fn from((account, tokens): (Account, Tokens)) -> Self {
        Self {
            user: User::from(&account),
            access_token: tokens.access,
            refresh_token: tokens.refresh,
            expires_in: ACCESS_LIFE.as_secs(),
        }
    }
}
