//! `POST /jobs/report`, `PUT /jobs/{id}/audio` and `POST /hooks/cog/{token}`.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{post, put};
use shared::clients::Clients;
use shared::models::MAX_AUDIO;

use crate::{hook, report, upload};

/// Every route of this function.
pub fn router(clients: Clients) -> Router {
    let upload = put(upload::upload).layer(DefaultBodyLimit::max(MAX_AUDIO));
    let cog = post(hook::hook).layer(DefaultBodyLimit::max(hook::MAX_PREDICTION));
    Router::new()
        .route("/hooks/cog/{token}", cog)
        .route("/jobs/report", post(report::report))
        .route("/jobs/{id}/audio", upload)
        .with_state(clients)
}
