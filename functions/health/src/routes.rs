//! `GET /health` and `GET /openapi.json`.

use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::document;

/// What this function answers, for the API's document.
#[derive(OpenApi)]
#[openapi(paths(health, document::document))]
pub struct Document;

/// Every route of this function.
pub fn router() -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/openapi.json", get(document::document))
}

#[derive(Serialize, ToSchema)]
struct Health {
    status: Status,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HealthStatus)]
enum Status {
    Ok,
}

/// Whether the API answers at all; nothing else is asked.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "readHealth",
    tag = "operate",
    responses((status = 200, description = "It does", body = Health)),
)]
async fn health() -> Json<Health> {
    Json(Health { status: Status::Ok })
}
