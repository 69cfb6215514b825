//! `/auth/service-tokens`: for admins. A token is shown once; it is taken back by its `jti`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::audit::{Act, Effect, Operator};
use shared::caller::Admin;
use shared::clients::Clients;
use shared::http::{Body, IdPath, Query, RequestId};
use shared::identity::{self, Revocations, ServiceToken};
use shared::lookup::Unreachable;
use shared::problem::Problem;

use super::{Page, Paging};
use crate::form::Form;

/// A token, which is shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = IssuedToken)]
pub(crate) struct Issued {
    token: String,
    #[serde(flatten)]
    about: ServiceToken,
}

/// Makes a long-lived token for a service.
///
/// Kept before it is shown: what nobody can take back is not given out.
#[utoipa::path(
    post,
    path = "/auth/service-tokens",
    operation_id = "createServiceToken",
    tag = "auth",
    security(("bearer" = [])),
    request_body(content = crate::document::NewToken, example = json!({"sub": "gpu-1", "role": "worker", "expiresIn": 2_592_000})),
    responses((
        status = 201,
        description = "The token",
        body = Issued,
        links(("revoke" = (operation_id = "revokeServiceToken", parameters(("jti" = "$response.body#/jti"))))),
    )),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn create(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Body(body): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Issued>), Problem> {
    let asked = Form::service_token(body)?;
    let issued = ServiceToken::issue(&clients.config.keys, asked);
    let (about, token) = issued.map_err(|error| Problem::internal().with_source(error))?;
    let operator = Operator::new(&caller, request);
    let act = Act::new("service_token.create", about.jti, Value::Null, &about);
    let kept = async {
        let put = clients.store.put_service_token(about.jti, &about).await;
        put.map_err(Unreachable::from)?;
        Ok(Effect::Changed(()))
    };
    operator.act(&clients, act, kept).await?;
    Ok((StatusCode::CREATED, Json(Issued { token, about })))
}

/// Every service token without itself, the oldest first.
#[utoipa::path(
    get,
    path = "/auth/service-tokens",
    operation_id = "listServiceTokens",
    tag = "auth",
    security(("bearer" = [])),
    params(Paging),
    responses((
        status = 200,
        description = "A page of tokens",
        body = Page<ServiceToken>,
        links(("next" = (operation_id = "listServiceTokens", parameters(("query.cursor" = "$response.body#/nextCursor"))))),
    )),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn list(
    State(clients): State<Clients>,
    _: Admin,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ServiceToken>>, Problem> {
    let (after, limit) = paging.read()?;
    let ids = clients.store.service_token_page(after, limit).await;
    let read = async |jti| ServiceToken::read(&clients.store, jti).await;
    Page::of(ids.map_err(Unreachable::from)?, limit, read).await
}

/// Takes a service token back.
///
/// In force at once, everywhere, also for its open sockets; again changes nothing.
#[utoipa::path(
    delete,
    path = "/auth/service-tokens/{jti}",
    operation_id = "revokeServiceToken",
    tag = "auth",
    security(("bearer" = [])),
    params(("jti" = crate::document::Id, Path)),
    responses((status = 204, description = "It opens nothing any more")),
    extensions(("x-problems" = json!(["forbidden", "malformed_id", "unknown_token"]))),
)]
pub(crate) async fn revoke(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    IdPath(jti): IdPath,
) -> Result<StatusCode, Problem> {
    let found = ServiceToken::read(&clients.store, jti).await;
    let unknown = || Problem::not_found("unknown_token", "no such token was issued here");
    let token = found.map_err(Unreachable::from)?.ok_or_else(unknown)?;
    let act = Act::new(
        "service_token.revoke",
        jti,
        &token,
        json!({"revoked": true}),
    );
    let revocations = Revocations::from(&clients);
    let revoke = async { Ok(revocations.revoke(jti, token.exp()).await?) };
    // Also of one that was taken back: Redis may not have heard of it.
    Operator::new(&caller, request)
        .act(&clients, act, revoke)
        .await?;
    identity::hang_up(&clients, &token.sub, Some(jti)).await?;
    Ok(StatusCode::NO_CONTENT)
}
