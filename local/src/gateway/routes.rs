//! What is asked of the gateway over HTTP: handshakes by clients, and the management API by functions.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use super::connection;
use super::event::{Handshake, mint_id};
use super::registry::{Entry, Outgoing};
use super::{FRAME_MAX, MESSAGE_MAX, Shared};

/// The stage of an address that names none.
const STAGE: &str = "prod";

/// Bytes that may wait in one socket's frame buffer; one message is written at a time.
const WRITES_MAX: usize = 4 * MESSAGE_MAX;

type Params = Path<HashMap<String, String>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let management: MethodRouter<Arc<Shared>> = get(tell).post(push).delete(close);
    Router::new()
        .route("/", get(connect))
        .route("/{stage}", get(connect))
        .route("/@connections/{id}", management.clone())
        .route("/{stage}/@connections/{id}", management)
        .layer(DefaultBodyLimit::max(MESSAGE_MAX))
        .with_state(shared)
}

async fn connect(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(params): Params,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let handshake = Handshake {
        connection_id: mint_id(),
        at: Utc::now(),
        stage: params.get("stage").map_or(STAGE, String::as_str).to_owned(),
        source_ip: peer.ip().to_string(),
        headers,
        query,
    };
    let id = handshake.connection_id.clone();
    if shared.registry.is_full() {
        return refused(StatusCode::TOO_MANY_REQUESTS, &id);
    }
    let (verdict, socket) = connection::open(&shared, handshake);
    match verdict.await {
        Ok(Ok(())) => upgrade
            .max_frame_size(FRAME_MAX)
            .max_message_size(MESSAGE_MAX)
            .max_write_buffer_size(WRITES_MAX)
            .on_upgrade(async |upgraded| {
                // Nobody is left to take it when the gateway stops.
                let _ = socket.send(upgraded);
            }),
        Ok(Err(status)) => refused(status, &id),
        Err(_) => refused(StatusCode::BAD_GATEWAY, &id),
    }
}

fn refused(status: StatusCode, id: &str) -> Response {
    let message = match status {
        StatusCode::BAD_GATEWAY => "Internal server error",
        StatusCode::GATEWAY_TIMEOUT => "Endpoint request timed out",
        status => status.canonical_reason().unwrap_or_default(),
    };
    let body = json!({"message": message, "connectionId": id, "requestId": mint_id()});
    (status, axum::Json(body)).into_response()
}

/// An error of the management API, as the SDKs read it.
fn trouble(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let body = axum::Json(json!({"message": message}));
    (status, [("x-amzn-errortype", kind)], body).into_response()
}

fn gone() -> Response {
    trouble(StatusCode::GONE, "GoneException", "Gone")
}

fn known(shared: &Shared, params: &HashMap<String, String>) -> Option<Arc<Entry>> {
    shared.registry.get(params.get("id")?)
}

/// Answered as soon as the message is in the socket's queue.
async fn push(
    State(shared): State<Arc<Shared>>,
    Path(params): Params,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let message = match body {
        Ok(message) => message,
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let kind = "PayloadTooLargeException";
            return trouble(StatusCode::PAYLOAD_TOO_LARGE, kind, "Message too long");
        }
        Err(error) => return error.into_response(),
    };
    let Some(entry) = known(&shared, &params) else {
        return gone();
    };
    match entry.outbox.try_send(Outgoing::Message(message)) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(TrySendError::Closed(_)) => gone(),
        Err(TrySendError::Full(_)) => trouble(
            StatusCode::TOO_MANY_REQUESTS,
            "LimitExceededException",
            "The buffer of the client is full",
        ),
    }
}

async fn tell(State(shared): State<Arc<Shared>>, Path(params): Params) -> Response {
    let Some(entry) = known(&shared, &params) else {
        return gone();
    };
    let body = json!({
        "connectedAt": iso(entry.handshake.at),
        "identity": entry.handshake.identity(),
        "lastActiveAt": iso(entry.last_active()),
    });
    axum::Json(body).into_response()
}

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What was pushed before still arrives.
async fn close(State(shared): State<Arc<Shared>>, Path(params): Params) -> Response {
    let entry = params.get("id").and_then(|id| shared.registry.remove(id));
    let Some(entry) = entry else {
        return gone();
    };
    // A full queue empties, or its client is cut within this time.
    let asked = entry.outbox.send(Outgoing::Close);
    let _ = timeout(shared.limits.stalled, asked).await;
    (StatusCode::NO_CONTENT, [(header::CONTENT_LENGTH, "0")]).into_response()
}
