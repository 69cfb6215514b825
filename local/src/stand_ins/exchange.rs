//! What every stand-in does with a call: note it, refuse it if so told, and answer in one error shape.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::calls::{Call, Calls};
use super::chance::Fate;
use super::faults::{FaultState, Faults, Refusal, Switches};

/// A service's switches and its log of calls.
#[derive(Default)]
pub struct Controls<F> {
    pub faults: Faults<F>,
    pub calls: Calls,
}

/// Where a report goes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Callback {
    pub url: String,
    pub token: String,
    /// How often progress is wanted.
    pub every_seconds: Option<f64>,
    /// As the request came with it; a report goes back with the same.
    #[serde(skip)]
    pub traceparent: Option<String>,
}

impl<F: FaultState> Controls<F> {
    /// Notes the call: what is to become of it, or the answer if it is refused before any work.
    pub fn admit(&self, mut call: Call) -> Result<Fate, Box<Response>> {
        say(&call);
        let key = call.idempotency_key.as_deref().unwrap_or_default();
        let chances = self.faults.with(|state| state.common().chances.clone());
        let fate = chances.fate(key, self.calls.under(key));
        call.fate = fate;
        self.calls.note(call);
        match self.faults.refusal(fate) {
            None => Ok(fate),
            Some(refusal) => Err(Box::new(refused(refusal))),
        }
    }
}

/// Logs that a call came.
pub fn say(call: &Call) {
    tracing::info!(
        request_id = call.request_id.as_deref().unwrap_or_default(),
        job_id = call.job_id.as_deref().unwrap_or_default(),
        "{} {}",
        call.method,
        call.path
    );
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Fail { status } => {
            problem(status, "told_to_fail", "The service was told to fail.")
        }
        Refusal::Busy {
            status,
            retry_after_seconds,
        } => busy(
            status,
            retry_after_seconds,
            "The service was told to be busy.",
        ),
    }
}

/// `/health`, `/faults` and `/calls` of a service.
pub fn routes<F: Switches + Sync>(name: &'static str, controls: Arc<Controls<F>>) -> Router {
    let health = move || async move { Json(json!({"status": "ok", "service": name})) };
    Router::new()
        .route("/health", get(health))
        .route("/faults", get(faults::<F>).put(change_faults::<F>))
        .route("/calls", get(calls::<F>).delete(forget_calls::<F>))
        .with_state(controls)
}

async fn faults<F: Switches>(State(controls): State<Arc<Controls<F>>>) -> Json<F> {
    Json(controls.faults.get())
}

async fn change_faults<F: Switches>(
    State(controls): State<Arc<Controls<F>>>,
    Json(fields): Json<Map<String, Value>>,
) -> Response {
    match controls.faults.change(fields) {
        Ok(state) => Json(state).into_response(),
        Err(why) => problem(400, "bad_fault", &why),
    }
}

async fn calls<F: Switches>(State(controls): State<Arc<Controls<F>>>) -> Json<Vec<Call>> {
    Json(controls.calls.all())
}

async fn forget_calls<F: Switches>(State(controls): State<Arc<Controls<F>>>) -> StatusCode {
    controls.calls.forget();
    StatusCode::NO_CONTENT
}

/// An error answer: `{code, message}`.
pub fn problem(status: u16, code: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"code": code, "message": message}))).into_response()
}

/// A full service's answer.
pub fn busy(status: u16, retry_after_seconds: u32, message: &str) -> Response {
    let retry_after = [(header::RETRY_AFTER, retry_after_seconds.to_string())];
    (retry_after, problem(status, "busy", message)).into_response()
}

/// 202 with the id of the work.
pub fn accepted(id: &str) -> Response {
    (StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response()
}

/// A request header as text.
pub fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
