//! One file for each thing that an operator looks at or steers.

mod audit;
mod dead;
mod health;
mod jobs;
mod overview;
mod queue;
mod tenants;
mod webhooks;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, patch, post, put};
use shared::clients::Clients;
use shared::verifier::Verifier;

use utoipa::OpenApi;

use crate::ready::Checked;

/// What this function answers, for the API's document.
#[derive(OpenApi)]
#[openapi(paths(
    health::ready,
    health::figures,
    overview::overview,
    jobs::search,
    jobs::cancel,
    jobs::retry,
    jobs::priority,
    tenants::list,
    tenants::read,
    tenants::change,
    webhooks::list,
    webhooks::create,
    webhooks::change,
    webhooks::remove,
    webhooks::rotate,
    queue::pause,
    queue::resume,
    queue::slots,
    dead::list,
    dead::redrive,
    audit::list,
))]
pub struct Document;

#[derive(Clone)]
pub(crate) struct Desk {
    clients: Clients,
    checked: Checked,
}

impl FromRef<Desk> for Verifier {
    fn from_ref(state: &Desk) -> Self {
        Self::from_ref(&state.clients)
    }
}

impl FromRef<Desk> for Clients {
    fn from_ref(state: &Desk) -> Self {
        state.clients.clone()
    }
}

impl FromRef<Desk> for Checked {
    fn from_ref(state: &Desk) -> Self {
        state.checked.clone()
    }
}

/// Every route of this function.
pub fn router(clients: Clients) -> Router {
    let state = Desk {
        clients,
        checked: Checked::default(),
    };
    Router::new()
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::figures))
        .route("/admin/overview", get(overview::overview))
        .route("/admin/jobs", get(jobs::search))
        .route("/admin/jobs/{id}/cancel", post(jobs::cancel))
        .route("/admin/jobs/{id}/retry", post(jobs::retry))
        .route("/admin/jobs/{id}/priority", post(jobs::priority))
        .route("/admin/tenants", get(tenants::list))
        .route(
            "/admin/tenants/{tenant}",
            get(tenants::read).put(tenants::change),
        )
        .route(
            "/admin/tenants/{tenant}/webhooks",
            get(webhooks::list).post(webhooks::create),
        )
        .route(
            "/admin/tenants/{tenant}/webhooks/secrets",
            post(webhooks::rotate),
        )
        .route(
            "/admin/tenants/{tenant}/webhooks/{id}",
            patch(webhooks::change).delete(webhooks::remove),
        )
        .route("/admin/queue/pause", post(queue::pause))
        .route("/admin/queue/resume", post(queue::resume))
        .route("/admin/queue/slots", put(queue::slots))
        .route("/admin/dead", get(dead::list))
        .route("/admin/dead/redrive", post(dead::redrive))
        .route("/admin/audit", get(audit::list))
        .with_state(state)
}
