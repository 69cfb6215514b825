//! `GET /health/ready` and `GET /metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use shared::caller::{Admin, Keeper};
use shared::clients::Clients;
use shared::lookup::Unreachable;
use shared::problem::Problem;

use crate::metrics;
use crate::ready::{Checked, Gateway, Ready};

/// Whether everything that is needed answers.
///
/// 503 when a needed dependency is down. The details are for admins: what each dependency and each function is doing, and what is
/// wrong with it.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "readReadiness",
    tag = "operate",
    security((), ("bearer" = [])),
    responses(
        (status = 200, description = "All that is needed is up", body = Ready),
        (
            status = 503,
            description = "Redis or the store is down",
            body = Ready,
            headers(("Retry-After" = u32, description = "Seconds"))
        ),
    ),
)]
pub(crate) async fn ready(
    State(clients): State<Clients>,
    State(checked): State<Checked>,
    gateway: Gateway,
    admin: Result<Admin, Problem>,
) -> Response {
    let ready = match admin {
        Ok(_) => checked.look_closely(&clients, &gateway).await,
        Err(_) => checked.look(&clients).await.in_public(),
    };
    let status = if ready.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut response = (status, Json(ready)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert("retry-after", 5.into());
    }
    response
}

/// Prometheus text, for admins and services.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "readMetrics",
    tag = "operate",
    security(("bearer" = [])),
    responses((status = 200, description = "Exposition format 0.0.4", body = String, content_type = "text/plain")),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn figures(
    State(clients): State<Clients>,
    _: Keeper,
) -> Result<Response, Problem> {
    let figures = clients.queue.figures().await.map_err(Unreachable::from)?;
    let text = metrics::text(&figures);
    Ok((
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response())
}
