//! Cancel, retry, delete.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Utc;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::envelope::OpenMarker;
use shared::http::JobPath;
use shared::job::JobStatus;
use shared::lookup::{self, Unreachable};
use shared::problem::Problem;
use shared::queue::{Cancelled, Deleted, Retried};
use shared::settle;
use shared::view::{self, JobView};

use super::{owned, unknown_job};

/// Ends a live job and frees its slot at once; the model is told. Again: 200. Ended otherwise: 409.
pub(crate) async fn cancel(
    State(clients): State<Clients>,
    caller: Caller,
    JobPath(id): JobPath,
) -> Result<Json<JobView>, Problem> {
    let known = owned(&clients, &caller, id).await?;
    let reason = format!("cancelled by {}", caller.role);
    let answer = clients
        .queue
        .cancel(id, &reason)
        .await
        .map_err(Unreachable::from)?;
    settle::pay(&clients, answer.debt, None).await;
    let status = match answer.outcome {
        Cancelled::Ok => JobStatus::Cancelled,
        Cancelled::Ended { status } => status,
        Cancelled::Unknown => known.job.status,
    };
    if status != JobStatus::Cancelled {
        return Err(Problem::conflict(
            "already_ended",
            format!("the job is {status} and cannot be cancelled"),
        ));
    }
    Ok(Json(view::shown(
        &clients,
        owned(&clients, &caller, id).await?,
    )))
}

/// Starts a failed, cancelled or expired job afresh at the stage that it had reached. 202.
pub(crate) async fn retry(
    State(clients): State<Clients>,
    caller: Caller,
    JobPath(id): JobPath,
) -> Result<Response, Problem> {
    let known = owned(&clients, &caller, id).await?;
    match known.job.status {
        JobStatus::Completed => {
            return Err(Problem::conflict(
                "already_completed",
                "a completed job is not run again",
            ));
        }
        status if !status.is_terminal() => return Err(live()),
        _ => {}
    }
    // What the old run still owes is done first: settling would remove the marker of the new one.
    settle::settle(&clients, id).await?;
    let marker = OpenMarker::starting(known.job.generation + 1, Utc::now());
    clients
        .store
        .put_open(id, &marker)
        .await
        .map_err(Unreachable::from)?;
    let reason = format!("retried by {}", caller.role);
    let queue = &clients.queue;
    let answer = queue
        .retry(
            id,
            marker.generation,
            marker.start_by,
            marker.finish_by,
            &reason,
        )
        .await
        .map_err(Unreachable::from)?;
    settle::pay(&clients, answer.debt, Some(id)).await;
    match answer.outcome {
        Retried::Ok => {}
        // Redis has forgotten the job: the marker outranks the manifest, so it is put back as the next generation.
        Retried::Unknown => {
            lookup::ensure(&clients, id).await?;
        }
        Retried::Completed | Retried::Live => return Err(live()),
    }
    Ok(view::accepted(
        &clients,
        owned(&clients, &caller, id).await?,
    ))
}

/// Removes an ended job and its files. 204; a live one: 409.
pub(crate) async fn delete(
    State(clients): State<Clients>,
    caller: Caller,
    JobPath(id): JobPath,
) -> Result<StatusCode, Problem> {
    let known = owned(&clients, &caller, id).await?;
    if !known.job.status.is_terminal() {
        return Err(live());
    }
    settle::settle(&clients, id).await?;
    clients
        .store
        .remove_job(id)
        .await
        .map_err(Unreachable::from)?;
    let tags = &known.request.submission.tags;
    match clients
        .queue
        .delete(id, &known.job.user, tags)
        .await
        .map_err(Unreachable::from)?
    {
        Deleted::Ok => Ok(StatusCode::NO_CONTENT),
        Deleted::Live => Err(unknown_job()),
    }
}

fn live() -> Problem {
    Problem::conflict("not_ended", "the job has not ended; cancel it first")
}
