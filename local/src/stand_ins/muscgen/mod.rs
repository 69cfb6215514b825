//! muscgen's stand-in: `POST /generate {plan, prompt, duration, seed, …}` → audio, in each way that such a service may
//! answer. Reading order: `request`, `renders` (what it remembers), `work` (one render's life), then the routes here.

mod order;
mod renders;
mod request;
mod work;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use rustysynth::SoundFont;
use serde_json::json;

use super::bulk;
use super::calls::Call;
use super::exchange::{self, Controls, accepted, busy, problem, text_header};
use super::faults::Mode;
use super::report::Reporter;
pub use order::MuscgenFaults;
use order::Product;

use renders::{Outcome, Render, Renders};
use request::Request;

/// The name that `/health` and every result tell.
pub const NAME: &str = "muscgen-stand-in";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The running service.
pub(crate) struct Service {
    controls: Arc<Controls<MuscgenFaults>>,
    renders: Renders,
    font: Arc<SoundFont>,
    reporter: Reporter,
    address: SocketAddr,
    latest: Latest,
}

/// The music that was made last, and of what: the same again need not be made again.
type Latest = Mutex<Option<(String, Bytes)>>;

/// The routes of a service that renders at most `gpus` tracks at a time and is reached at `address`.
pub fn router(
    font: Arc<SoundFont>,
    gpus: usize,
    address: SocketAddr,
) -> Result<Router, reqwest::Error> {
    let controls = Arc::new(Controls::default());
    let service = Service {
        controls: controls.clone(),
        renders: Renders::new(gpus),
        font,
        reporter: Reporter::new()?,
        address,
        latest: Latest::default(),
    };
    Ok(Router::new()
        .route("/generate", post(generate))
        .route("/generate/{id}", delete(cancel))
        .route("/files/{name}", get(file))
        .with_state(Arc::new(service))
        .merge(exchange::routes(NAME, controls)))
}

async fn generate(
    State(service): State<Arc<Service>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call::new("POST", uri.path().to_owned(), &headers, &body);
    let fate = match service.controls.admit(call) {
        Ok(fate) => fate,
        Err(refusal) => return *refusal,
    };
    let request = match Request::read(&headers, &body) {
        Ok(request) => request,
        Err(why) => return problem(400, "bad_request", &why),
    };
    let mode = match service.controls.faults.get().common.mode {
        Mode::Auto if request.callback.is_some() => Mode::Callback,
        Mode::Auto => Mode::Sync,
        Mode::Callback if request.callback.is_none() => {
            return problem(
                400,
                "no_callback",
                "this service answers by callback, and none was offered",
            );
        }
        mode => mode,
    };
    let key = text_header(&headers, "idempotency-key");
    let started = service
        .renders
        .start(key, request, mode == Mode::Callback, fate, &service);
    let Some(render) = started else {
        return busy(503, 1, "All GPUs are busy.");
    };
    if mode == Mode::Callback {
        if render.order.early_report() {
            render.told().await;
        }
        return accepted(&render.id);
    }
    match render.outcome().await {
        Outcome::Finished(_) if render.order.product == Product::Endless && mode != Mode::Url => {
            bulk::endless("audio/wav")
        }
        Outcome::Finished(audio) => answer(mode, &service, &headers, &render, audio),
        Outcome::Failed(why) => problem(500, "render_failed", &why),
        Outcome::Cancelled => problem(409, "cancelled", "The render was cancelled."),
    }
}

fn answer(
    mode: Mode,
    service: &Service,
    headers: &HeaderMap,
    render: &Render,
    audio: Bytes,
) -> Response {
    let calls = &service.controls.calls;
    calls.deliver(render.key.as_deref(), &shared::job::sha256_hex(&audio));
    let seed = render.request.seed;
    let facts = json!({"model": NAME, "version": VERSION, "seed": seed});
    let with = |name: &str, value: String| {
        let mut answer = facts.clone();
        answer[name] = value.into();
        Json(answer).into_response()
    };
    match mode {
        Mode::Json => with("audioBase64", BASE64_STANDARD.encode(&audio)),
        Mode::Url => with("audioUrl", file_url(service, headers, &render.id)),
        _ => ([(header::CONTENT_TYPE, "audio/wav")], audio).into_response(),
    }
}

/// The file's address as the caller reaches this service.
fn file_url(service: &Service, headers: &HeaderMap, id: &str) -> String {
    let host = text_header(headers, "host").unwrap_or_else(|| service.address.to_string());
    format!("http://{host}/files/{id}.wav")
}

async fn cancel(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let call = Call::new("DELETE", uri.path().to_owned(), &headers, b"null");
    service.controls.calls.note(call);
    match service.renders.cancel(&id) {
        Some(render) => {
            tracing::info!(
                request_id = render.request_id(),
                job_id = render.request.job_id,
                "cancelled"
            );
            Json(json!({"id": render.id, "status": "cancelled"})).into_response()
        }
        None => problem(404, "unknown_render", "No render has this id or key."),
    }
}

async fn file(State(service): State<Arc<Service>>, Path(name): Path<String>) -> Response {
    let render = name
        .strip_suffix(".wav")
        .and_then(|id| service.renders.find(id));
    match render.and_then(|render| Some((render.audio()?, render))) {
        Some((_, render)) if render.order.product == Product::Endless => bulk::endless("audio/wav"),
        Some((audio, _)) => ([(header::CONTENT_TYPE, "audio/wav")], audio).into_response(),
        None => problem(404, "unknown_file", "No finished render has this id."),
    }
}

#[cfg(test)]
mod tests;
