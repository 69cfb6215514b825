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

use crate::capabilities::{Capabilities, Probed};

/// How long a caller waits who does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(10);

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
pub(crate) fn router(clients: Clients) -> Router {
    let state = Compose {
        clients,
        probed: Probed::default(),
    };
    Router::new()
        .route("/compose", get(capabilities).post(compose))
        .with_state(state)
}

async fn capabilities(State(Compose { clients, probed }): State<Compose>) -> Json<Capabilities> {
    Json(Capabilities::of(&clients, &probed).await)
}

/// 200 with the finished job if it ends while the caller waits, else 202 as `POST /jobs`.
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
        let job = known.job.id;
        let with_job = |problem: Problem| problem.with_job(job);
        wait::wait(&clients, job, Until::End, length)
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
