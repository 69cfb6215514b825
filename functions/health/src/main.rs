//! Whether the API answers at all. Asks nobody: no Redis, no store, no configuration.

use axum::routing::get;
use axum::{Json, Router};
use lambda_http::Error;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("health");
    http::serve(router()).await
}

fn router() -> Router {
    let health = async || Json(serde_json::json!({"status": "ok"}));
    http::finish_router(Router::new().route("/health", get(health)))
}
