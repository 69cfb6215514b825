//! `/auth/login`, `/auth/refresh`, `/auth/logout`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use shared::http::Body;
use shared::identity::{self, ACCESS_LIFE, Account, Allowance, Attempt, Tokens, User};
use shared::problem::Problem;

use super::Desk;
use crate::form::Form;
use crate::origin::Origin;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    user: User,
    access_token: String,
    refresh_token: String,
    /// Seconds that the access token lives.
    expires_in: u64,
}

/// Counted before a password is looked at.
pub(crate) async fn login(
    State(desk): State<Desk>,
    Origin(address): Origin,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let credentials = Form::credentials(body)?;
    let attempt = Attempt::Login {
        name: &credentials.name,
    };
    let allowance = count(&desk, attempt, address).await?;
    desk.first_admin.ensure(&desk.clients).await?;
    let (name, password) = (&credentials.name, credentials.password);
    let session = identity::login(&desk.clients, &desk.hasher, name, password).await;
    answer(session, allowance)
}

/// A new pair for a refresh token, which is worth nothing afterwards.
pub(crate) async fn refresh(
    State(desk): State<Desk>,
    Origin(address): Origin,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let token = Form::refresh_token(body)?;
    let allowance = count(&desk, Attempt::Refresh, address).await?;
    answer(identity::rotate(&desk.clients, &token).await, allowance)
}

/// Ends the session: no refresh token of it is good any more.
pub(crate) async fn logout(
    State(desk): State<Desk>,
    Origin(address): Origin,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let token = Form::refresh_token(body)?;
    let allowance = count(&desk, Attempt::Refresh, address).await?;
    let ended = identity::end(&desk.clients, &token).await;
    ended.map_err(|problem| allowance.on(problem))?;
    Ok((StatusCode::NO_CONTENT, allowance.into_headers()).into_response())
}

async fn count(
    desk: &Desk,
    attempt: Attempt<'_>,
    address: Option<String>,
) -> Result<Allowance, Problem> {
    let rates = desk.clients.config.rates;
    let queue = &desk.clients.queue;
    rates.count(queue, attempt, address.as_deref()).await
}

fn answer(
    session: Result<(Account, Tokens), Problem>,
    allowance: Allowance,
) -> Result<Response, Problem> {
    let (account, tokens) = session.map_err(|problem| allowance.on(problem))?;
    let session = Session {
        user: User::from(&account),
        access_token: tokens.access,
        refresh_token: tokens.refresh,
        expires_in: ACCESS_LIFE.as_secs(),
    };
    Ok((allowance.into_headers(), Json(session)).into_response())
}
