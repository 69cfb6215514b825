//! Tickets for WebSockets.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::caller::{Caller, Claims};
use shared::clients::Clients;
use shared::config::Address;
use shared::identity::{TICKET_LIFE, issue_ticket};
use shared::lookup::count_read;
use shared::problem::Problem;
use utoipa::ToSchema;

/// What opens one connection.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ticket {
    /// Goes into the address as `?ticket=…`. Works once.
    ticket: String,
    /// Where to connect, `wss://…`; `null` where this deployment has no sockets.
    #[schema(required, format = "uri")]
    url: Option<String>,
    /// Seconds that the ticket may lie about.
    expires_in: u64,
}

/// A ticket that opens one WebSocket for the caller, within a minute.
///
/// The connection may do what the token may, and is closed when that expires.
#[utoipa::path(
    post,
    path = "/auth/ticket",
    operation_id = "createTicket",
    tag = "auth",
    security(("bearer" = [])),
    responses((status = 200, description = "A ticket", body = Ticket)),
    extensions(("x-problems" = json!(["rate_limited"]))),
)]
pub(crate) async fn create(
    State(clients): State<Clients>,
    Claims(claims): Claims,
) -> Result<Json<Ticket>, Problem> {
    let caller = Caller::from(claims.clone());
    count_read(&clients, &caller.tenant).await?;
    let ticket = issue_ticket(&clients, claims).await?;
    Ok(Json(Ticket {
        ticket,
        url: clients.config.sockets_url.as_ref().map(address),
        expires_in: TICKET_LIFE.as_secs(),
    }))
}

/// `https` becomes `wss`, `http` becomes `ws`.
fn address(management: &Address) -> String {
    management.url().as_str().replacen("http", "ws", 1)
}
