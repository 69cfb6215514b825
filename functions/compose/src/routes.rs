//! `POST /compose` and what can be composed with.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::http::{Body, RequestId, Wait};
use shared::lookup::{self, Unreachable};
use shared::problem::Problem;
use shared::submit::{self, Context};
use shared::view;
use shared::wait::{self, Until, WAIT_MAX};

use utoipa::OpenApi;

use crate::capabilities::{Capabilities, Probed};

/// How long a caller waits who does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(10);

/// What this function answers, for the API's document.
#[derive(OpenApi)]
#[openapi(paths(capabilities, compose))]
pub struct Document;

#[derive(Clone)]
struct Compose {
    clients: Clients,
    probed: Probed,
}

impl axum::extract::FromRef<Compose> for shared::verifier::Verifier {
    fn from_ref(state: &Compose) -> Self {
        Self::from_ref(&state.clients)
    }
}

/// Every route of this function.
pub fn router(clients: Clients) -> Router {
    let state = Compose {
        clients,
        probed: Probed::default(),
    };
    Router::new()
        .route("/compose", get(capabilities).post(compose))
        .with_state(state)
}

/// What can be composed with, within which limits, and whether the services answered lately.
#[utoipa::path(
    get,
    path = "/compose",
    operation_id = "readCapabilities",
    tag = "compose",
    responses((status = 200, description = "Models, limits, defaults, services", body = Capabilities)),
)]
async fn capabilities(State(Compose { clients, probed }): State<Compose>) -> Json<Capabilities> {
    Json(Capabilities::of(&clients, &probed).await)
}

/// Submits a job and waits for its end.
///
/// 200 with the finished job if it ends while the caller waits, else 202 as `POST /jobs`.
#[utoipa::path(
    post,
    path = "/compose",
    operation_id = "compose",
    tag = "compose",
    security(("bearer" = [])),
    params(
        submit::Headers,
        (
            "Prefer" = Option<String>, Header, example = "wait=20",
            description = "`wait=N` waits N seconds, at most 25, default 10; `wait=0` or `respond-async` does not wait"
        )
    ),
    request_body(content = shared::submission::Body, examples(
        ("least" = (summary = "A narrative is enough", value = json!({"narrative": "a calm piano evening in the rain"}))),
        ("same" = (summary = "The same seed gives the same track", value = json!({
            "narrative": "a calm piano evening in the rain", "duration": 10, "seed": 7, "tags": ["demo"]
        }))),
    )),
    responses(
        (
            status = 200,
            description = "The job, ended well or not",
            body = view::JobView,
            links(("audio" = (operation_id = "readAudio", parameters(("id" = "$response.body#/id")))))
        ),
        (
            status = 202,
            description = "The job as it stands",
            body = view::JobView,
            headers(("Location" = String, description = "`/jobs/{id}`")),
            links(("read" = (operation_id = "readJob", parameters(("id" = "$response.body#/id")))))
        ),
    ),
    extensions(("x-problems" = json!([
        "malformed_idempotency_key", "forbidden", "idempotency_key_reused", "line_full", "rate_limited"
    ]))),
)]
async fn compose(
    State(Compose { clients, .. }): State<Compose>,
    caller: Caller,
    id: RequestId,
    prefer: Wait,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let mut known = submit::submit(&clients, caller, Context::new(id, &headers)?, body).await?;
    let length = prefer.within(WAIT_DEFAULT, WAIT_MAX);
    if !known.job.status.is_terminal() && !length.is_zero() {
        let (job, tenant) = (known.job.id, known.job.tenant.clone());
        let with_job = |problem: Problem| problem.with_job(job);
        wait::wait(&clients, job, &tenant, Until::End, length)
            .await
            .map_err(|e| with_job(Unreachable::from(e).into()))?;
        if let Some(now) = lookup::find(&clients, job)
            .await
            .map_err(|e| with_job(e.into()))?
        {
            known = now;
        }
    }
    if known.job.status.is_terminal() {
        return Ok(Json(view::shown(&clients, known)).into_response());
    }
    Ok(view::accepted(&clients, known))
}
