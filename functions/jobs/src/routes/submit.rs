//! `POST /jobs`: into the line.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::http::{Body, RequestId};
use shared::problem::Problem;
use shared::submit::{self, Context};
use shared::view;

/// 202 with the job as it stands; a repeat under the same `Idempotency-Key` answers the same job.
pub(crate) async fn submit(
    State(clients): State<Clients>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let known = submit::submit(&clients, caller, Context::new(id, &headers)?, body).await?;
    Ok(view::accepted(&clients, known))
}
