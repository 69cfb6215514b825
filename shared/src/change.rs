//! What an owner or an operator does to a job: cancel, retry, another priority. Durable first, then Redis, then the bell.

use chrono::Utc;

use crate::audit::Effect;
use crate::clients::Clients;
use crate::envelope::OpenMarker;
use crate::job::{JobId, JobStatus};
use crate::lookup::{self, Unreachable};
use crate::priority::Priority;
use crate::problem::Problem;
use crate::queue::{Cancelled, Reprioritised, Retried};
use crate::settle;
use crate::view::Known;

/// Ends a live job and frees its slot at once; the model is told. Again: fine. Ended otherwise: 409.
pub async fn cancel(clients: &Clients, known: &Known, by: &str) -> Result<Effect<()>, Problem> {
    let id = known.job.id;
    let reason = format!("cancelled by {by}");
    let answer = clients.queue.cancel(id, &reason).await;
    let answer = answer.map_err(Unreachable::from)?;
    settle::pay(clients, answer.debt, None).await;
    let status = match answer.outcome {
        Cancelled::Ok => return Ok(Effect::Changed(())),
        Cancelled::Ended { status } => status,
        Cancelled::Unknown => known.job.status,
    };
    if status == JobStatus::Cancelled {
        return Ok(Effect::Unchanged(()));
    }
    Err(Problem::conflict(
        "already_ended",
        format!("the job is {status} and cannot be cancelled"),
    ))
}

/// Starts a failed, cancelled or expired job afresh at the stage that it had reached. Completed or live: 409.
pub async fn retry(clients: &Clients, known: &Known, by: &str) -> Result<Effect<()>, Problem> {
    let id = known.job.id;
    match known.job.status {
        JobStatus::Completed => {
            let detail = "a completed job is not run again";
            return Err(Problem::conflict("already_completed", detail));
        }
        status if !status.is_terminal() => return Err(not_ended()),
        _ => {}
    }
    // What the old run still owes is done first: settling would remove the marker of the new one.
    settle::settle(clients, id).await?;
    let marker = OpenMarker {
        priority: known.job.priority,
        ..OpenMarker::starting(known.job.generation + 1, Utc::now(), &known.request)
    };
    put_marker(clients, id, &marker).await?;
    let reason = format!("retried by {by}");
    let (start_by, finish_by) = (marker.start_by, marker.finish_by);
    let answer = clients
        .queue
        .retry(id, marker.generation, start_by, finish_by, &reason)
        .await
        .map_err(Unreachable::from)?;
    settle::pay(clients, answer.debt, Some(id)).await;
    match answer.outcome {
        Retried::Ok => Ok(Effect::Changed(())),
        // Redis has forgotten the job: the marker outranks the manifest, so it is put back as the next generation.
        Retried::Unknown => {
            lookup::ensure(clients, id).await?;
            Ok(Effect::Changed(()))
        }
        Retried::Completed | Retried::Live => Err(not_ended()),
    }
}

/// Moves a live job to another level. Ended: 409.
pub async fn reprioritise(
    clients: &Clients,
    known: &Known,
    priority: Priority,
    by: &str,
) -> Result<Effect<()>, Problem> {
    let id = known.job.id;
    if known.job.status.is_terminal() {
        return Err(ended(known.job.status));
    }
    let marker = clients.store.open_marker::<OpenMarker>(id).await;
    if let Some(marker) = marker.map_err(Unreachable::from)? {
        put_marker(clients, id, &OpenMarker { priority, ..marker }).await?;
    }
    let reason = format!("{priority} priority by {by}");
    let answer = clients.queue.reprioritise(id, priority, &reason).await;
    let answer = answer.map_err(Unreachable::from)?;
    settle::pay(clients, answer.debt, None).await;
    match answer.outcome {
        Reprioritised::Ok => Ok(Effect::Changed(())),
        Reprioritised::Same => Ok(Effect::Unchanged(())),
        Reprioritised::Ended { status } => {
            // It ended meanwhile, and the marker may have been written after it was settled.
            settle::settle(clients, id).await?;
            let removed = clients.store.remove_open(id).await;
            removed.map_err(Unreachable::from)?;
            Err(ended(status))
        }
        Reprioritised::Unknown => {
            lookup::ensure(clients, id).await?;
            Ok(Effect::Changed(()))
        }
    }
}

async fn put_marker(clients: &Clients, id: JobId, marker: &OpenMarker) -> Result<(), Problem> {
    let put = clients.store.put_open(id, marker).await;
    Ok(put.map_err(Unreachable::from)?)
}

fn ended(status: JobStatus) -> Problem {
    Problem::conflict("already_ended", format!("the job is {status}"))
}

/// 409: what is asked for is possible after the end only.
pub fn not_ended() -> Problem {
    Problem::conflict("not_ended", "the job has not ended; cancel it first")
}
