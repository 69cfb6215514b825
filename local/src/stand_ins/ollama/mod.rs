//! Ollama's stand-in: `GET /api/tags` and `POST /api/chat` in its protocol; the language model is jen1's rules.

mod chat;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::calls::Call;
use super::exchange::{self, Controls};
use super::faults::{ErrorStatus, Seconds, Switches, spend};
use chat::Chat;

/// The name that `/health` tells.
pub const NAME: &str = "ollama-stand-in";
/// The one model that is installed.
pub const MODEL: &str = "stand-in:rules";
/// Its digest, as `/api/tags` tells it.
pub const DIGEST: &str = "0f1d3c5b79a2e4680f1d3c5b79a2e4680f1d3c5b79a2e4680f1d3c5b79a2e468";

/// Ollama's switches. Fields in `…_times` count down, one a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OllamaFaults {
    pub fail_times: u32,
    pub fail_status: ErrorStatus,
    /// 503 without `Retry-After`, which is Ollama's word for a full queue.
    pub busy_times: u32,
    /// Answers in prose.
    pub garbage_times: u32,
    /// How long planning takes.
    pub plan_seconds: Seconds,
}

impl Switches for OllamaFaults {}

/// The service's routes.
pub fn router() -> Router {
    let controls = Arc::new(Controls::<OllamaFaults>::default());
    Router::new()
        .route("/api/tags", get(tags))
        .route("/api/chat", post(chat))
        .with_state(controls.clone())
        .merge(exchange::routes(NAME, controls))
}

async fn tags() -> Response {
    let model = json!({
        "name": MODEL, "model": MODEL, "modified_at": "2026-01-01T00:00:00Z", "size": 0, "digest": DIGEST,
        "details": {"format": "rules", "family": "stand-in", "parameter_size": "0B", "quantization_level": "none"}
    });
    Json(json!({"models": [model]})).into_response()
}

async fn chat(
    State(controls): State<Arc<Controls<OllamaFaults>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call::new("POST", uri.path().to_owned(), &headers, &body);
    exchange::say(&call);
    controls.calls.note(call);
    let (fails, busy, order) = controls.faults.with(|state| {
        let fails = spend(&mut state.fail_times);
        let busy = !fails && spend(&mut state.busy_times);
        (fails, busy, state.clone())
    });
    if fails {
        return error(order.fail_status.into(), "the service was told to fail");
    }
    if busy {
        return error(
            503,
            "server busy, please try again. maximum pending requests exceeded",
        );
    }
    let chat: Chat = match serde_json::from_slice(&body) {
        Ok(chat) => chat,
        Err(why) => return error(400, &why.to_string()),
    };
    if chat.model != MODEL {
        return error(404, &format!("model '{}' not found", chat.model));
    }
    let garbage = controls
        .faults
        .with(|state| spend(&mut state.garbage_times));
    tokio::time::sleep(order.plan_seconds.duration()).await;
    let content = if garbage { chat.prose() } else { chat.plan() };
    if chat.stream {
        let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
        let chunks = chat::chunks(chat::pieces(&content));
        (kind, Body::from_stream(chunks)).into_response()
    } else {
        Json(chat::piece(&content, true)).into_response()
    }
}

/// An error answer in Ollama's shape.
fn error(status: u16, what: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"error": what}))).into_response()
}
