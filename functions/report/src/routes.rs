//! `POST /jobs/report` and `PUT /jobs/{id}/audio`.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{post, put};
use shared::clients::Clients;
use shared::models::MAX_AUDIO;

use crate::{report, upload};

/// Every route of this function.
pub(crate) fn router(clients: Clients) -> Router {
    let upload = put(upload::upload).layer(DefaultBodyLimit::max(MAX_AUDIO));
    Router::new()
        .route("/jobs/report", post(report::report))
        .route("/jobs/{id}/audio", upload)
        .with_state(clients)
}
