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

/// Puts a job into its tenant's line.
///
/// 202 with the job as it stands; a repeat under the same `Idempotency-Key` answers the same job.
#[utoipa::path(
    post,
    path = "/jobs",
    operation_id = "submitJob",
    tag = "jobs",
    security(("bearer" = [])),
    params(shared::submit::Headers),
    request_body(content = shared::submission::Body, examples(
        ("least" = (summary = "A narrative is enough", value = json!({"narrative": "a calm piano evening in the rain"}))),
        ("all" = (summary = "Everything that can be said at any time", value = json!({
            "narrative": "a brass band in the morning", "duration": 10, "model": "jen1", "options": {"temperature": 0.7},
            "seed": 7, "tags": ["demo", "brass-1"], "priority": "low"
        }))),
    )),
    responses((
        status = 202,
        description = "The job as it stands; it survives a loss of Redis",
        body = shared::view::JobView,
        headers(("Location" = String, description = "`/jobs/{id}`")),
        links(
            ("read" = (operation_id = "readJob", parameters(("id" = "$response.body#/id")))),
            ("events" = (operation_id = "readEvents", parameters(("id" = "$response.body#/id")))),
            ("audio" = (operation_id = "readAudio", parameters(("id" = "$response.body#/id")))),
            ("cancel" = (operation_id = "cancelJob", parameters(("id" = "$response.body#/id")))),
            ("retry" = (operation_id = "retryJob", parameters(("id" = "$response.body#/id")))),
            ("delete" = (operation_id = "deleteJob", parameters(("id" = "$response.body#/id")))),
        )
    )),
    extensions(("x-problems" = json!([
        "malformed_idempotency_key", "forbidden", "idempotency_key_reused", "line_full", "rate_limited"
    ]))),
)]
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
