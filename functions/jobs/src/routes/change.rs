//! Cancel, retry, delete.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::audit::Act;
use shared::caller::Caller;
use shared::change;
use shared::clients::Clients;
use shared::http::{JobPath, RequestId};
use shared::job::JobId;
use shared::lookup;
use shared::problem::Problem;
use shared::view::{self, JobView};

use super::{act, owned};

/// Ends a live job and frees its slot at once; the model is told. Again: 200. Ended otherwise: 409.
#[utoipa::path(
    post,
    path = "/jobs/{id}/cancel",
    operation_id = "cancelJob",
    tag = "jobs",
    security(("bearer" = [])),
    params(("id" = JobId, Path)),
    responses((status = 200, description = "The job as it is now", body = JobView)),
    extensions(("x-problems" = json!(["unknown_job", "already_ended", "rate_limited"]))),
)]
pub(crate) async fn cancel(
    State(clients): State<Clients>,
    caller: Caller,
    request: RequestId,
    JobPath(id): JobPath,
) -> Result<Json<JobView>, Problem> {
    let job = lookup::record_for(&clients, id, &caller.tenant).await?;
    let job = job.filter(|job| caller.may_see(&job.user));
    let job = job.ok_or_else(lookup::unknown_job)?;
    let cancel = change::cancel(&clients, &job, caller.role.as_str());
    let who = (&caller, request);
    act(&clients, who, &job, Act::cancel(&job), cancel).await?;
    let now = change::cancelled(owned(&clients, &caller, id)).await?;
    Ok(Json(view::shown(&clients, now)))
}

/// Starts a failed, cancelled or expired job afresh at the stage that it had reached. 202.
#[utoipa::path(
    post,
    path = "/jobs/{id}/retry",
    operation_id = "retryJob",
    tag = "jobs",
    security(("bearer" = [])),
    params(("id" = JobId, Path)),
    responses((
        status = 202,
        description = "The job as it stands",
        body = JobView,
        headers(("Location" = String, description = "`/jobs/{id}`"))
    )),
    extensions(("x-problems" = json!(["unknown_job", "already_completed", "not_ended", "line_full", "rate_limited"]))),
)]
pub(crate) async fn retry(
    State(clients): State<Clients>,
    caller: Caller,
    request: RequestId,
    JobPath(id): JobPath,
) -> Result<Response, Problem> {
    let known = owned(&clients, &caller, id).await?;
    let retry = change::retry(&clients, &known, caller.role.as_str());
    let who = (&caller, request);
    act(&clients, who, &known.job, Act::retry(&known), retry).await?;
    let now = owned(&clients, &caller, id).await?;
    Ok(view::accepted(&clients, now))
}

/// Removes an ended job and its files. 204; a live one: 409.
#[utoipa::path(
    delete,
    path = "/jobs/{id}",
    operation_id = "deleteJob",
    tag = "jobs",
    security(("bearer" = [])),
    params(("id" = JobId, Path)),
    responses((status = 204, description = "It is gone")),
    extensions(("x-problems" = json!(["unknown_job", "not_ended", "rate_limited"]))),
)]
pub(crate) async fn delete(
    State(clients): State<Clients>,
    caller: Caller,
    request: RequestId,
    JobPath(id): JobPath,
) -> Result<StatusCode, Problem> {
    let known = match owned(&clients, &caller, id).await {
        // Perhaps the caller was told 503, and comes again.
        Err(unknown) if unknown.code() == lookup::unknown_job().code() => {
            change::end_delete(&clients, id).await?;
            return Err(unknown);
        }
        owned => owned?,
    };
    let delete = change::delete(&clients, &known);
    let who = (&caller, request);
    act(&clients, who, &known.job, Act::delete(&known), delete).await?;
    Ok(StatusCode::NO_CONTENT)
}
