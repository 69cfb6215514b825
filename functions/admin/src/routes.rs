//! `GET /health/ready` and `GET /metrics`.

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use shared::caller::{Caller, Role};
use shared::clients::Clients;
use shared::keyring::KeyRing;
use shared::lookup::Unreachable;
use shared::problem::Problem;

use crate::metrics;
use crate::ready::{Checked, Ready};

#[derive(Clone)]
struct Admin {
    clients: Clients,
    checked: Checked,
}

impl FromRef<Admin> for KeyRing {
    fn from_ref(state: &Admin) -> Self {
        Self::from_ref(&state.clients)
    }
}

/// Every route of this function.
pub(crate) fn router(clients: Clients) -> Router {
    let state = Admin {
        clients,
        checked: Checked::default(),
    };
    Router::new()
        .route("/health/ready", get(ready))
        .route("/metrics", get(figures))
        .with_state(state)
}

/// 503 when a needed dependency is down. The details are for admins.
async fn ready(
    State(Admin { clients, checked }): State<Admin>,
    caller: Result<Caller, Problem>,
) -> Response {
    let ready = checked.look(&clients).await;
    let status = if ready.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let admin = caller.is_ok_and(|caller| caller.role == Role::Admin);
    let body = if admin {
        ready
    } else {
        Ready {
            dependencies: None,
            ..ready
        }
    };
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert("retry-after", 5.into());
    }
    response
}

/// Prometheus text, for admins and services.
async fn figures(
    State(Admin { clients, .. }): State<Admin>,
    caller: Caller,
) -> Result<Response, Problem> {
    if caller.role != Role::Admin && !caller.role.is_service() {
        return Err(Problem::forbidden(
            "the metrics are for admins and services",
        ));
    }
    let counts = clients.queue.counts().await.map_err(Unreachable::from)?;
    let text = metrics::text(&counts, clients.queue.policy());
    Ok((
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response())
}
