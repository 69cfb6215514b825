//! What an owner or an operator does to a job: cancel, retry, another priority, delete.

use std::time::Duration;

use chrono::Utc;

use crate::audit::Effect;
use crate::burial;
use crate::clients::Clients;
use crate::envelope::{Open, OpenMarker, Tombstone};
use crate::job::{JobId, JobRecord, JobStatus};
use crate::lookup::{self, TRY_AGAIN, Unreachable};
use crate::priority::Priority;
use crate::problem::Problem;
use crate::queue::{Cancelled, Deleted, Enqueued, Reprioritised, Retried};
use crate::settle;
use crate::store::Put;
use crate::submit;
use crate::view::Known;

/// How long a cancel may wait for the store before it answers, to settle the job and again to show it.
const STORE_WITHIN: Duration = Duration::from_millis(800);

/// Ends a live job and frees its slot at once; the model is told. Again: fine. Ended otherwise: 409.
///
/// It needs the queue alone: a store that is away must not keep a job on its GPU.
pub async fn cancel(clients: &Clients, job: &JobRecord, by: &str) -> Result<Effect<()>, Problem> {
    let id = job.id;
    let reason = format!("cancelled by {by}");
    let answer = clients.queue.cancel(id, &reason).await;
    let answer = answer.map_err(Unreachable::from)?;
    settle::pay_within(clients, answer.debt, None, STORE_WITHIN).await;
    let status = match answer.outcome {
        Cancelled::Ok => return Ok(Effect::Changed(())),
        Cancelled::Ended { status } => status,
        Cancelled::Unknown => job.status,
    };
    if status == JobStatus::Cancelled {
        return Ok(Effect::Unchanged(()));
    }
    Err(Problem::conflict(
        "already_ended",
        format!("the job is {status} and cannot be cancelled"),
    ))
}

/// The job as it is read after a cancel. 503 if the store cannot tell soon: the job is cancelled, but
/// that is not on record, and a caller who was told so must be able to rely on it.
pub async fn cancelled(
    read: impl Future<Output = Result<Known, Problem>>,
) -> Result<Known, Problem> {
    let late = |_| {
        let detail = "the job is cancelled, but the store did not put it on record yet; try again";
        Problem::unavailable("store_unavailable", detail, TRY_AGAIN)
    };
    let read = tokio::time::timeout(STORE_WITHIN, read).await;
    read.map_err(late)?
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
    // The old end is put on record first: the numbers of the manifests have no gap.
    settle::settle(clients, id).await?;
    let generation = known.job.generation + 1;
    let marker = OpenMarker {
        priority: known.job.priority,
        ..OpenMarker::starting(generation, Utc::now(), &known.request)
    };
    let reason = format!("retried by {by}");
    let (start_by, finish_by) = (marker.start_by, marker.finish_by);
    let answer = clients
        .queue
        .retry(id, generation, start_by, finish_by, &reason)
        .await
        .map_err(Unreachable::from)?;
    let mut debt = answer.debt;
    let mut left = answer.left;
    match answer.outcome {
        Retried::Ok => {}
        Retried::Unknown => {
            let job = lookup::new_job(&known.request, &marker);
            let as_of = lookup::proven(clients, id, generation).await?;
            let again = clients.queue.retry_forgotten(&job, as_of, &reason).await;
            let again = again.map_err(Unreachable::from)?;
            (debt, left) = (again.debt, again.left);
            match again.outcome {
                Enqueued::Enqueued => {}
                Enqueued::Exists => return Err(not_ended()),
                Enqueued::Full => return Err(submit::line_full()),
                Enqueued::Limited { retry_ms } => return Err(submit::too_fast(retry_ms)),
                Enqueued::Refused => return Err(lookup::unknown_job()),
            }
        }
        Retried::Full => return Err(submit::line_full()),
        Retried::Limited { retry_ms } => return Err(submit::too_fast(retry_ms)),
        Retried::Completed | Retried::Live => return Err(not_ended()),
    }
    lookup::note_quota("submit", clients.queue.policy().submit_per_minute, left);
    // The limits are looked at where the job begins to wait, so the marker follows, before the answer:
    // a retry whose caller heard nothing may be forgotten with Redis. The bell need not wait for it.
    let open = Open { id, generation };
    let (marked, ()) = tokio::join!(
        clients.store.put_open(open, &marker),
        settle::pay(clients, debt, Some(id))
    );
    marked.map_err(|e| Problem::from(Unreachable::from(e)).with_job(id))?;
    Ok(Effect::Changed(()))
}

/// Removes an ended job and its objects. Live: 409.
///
/// Redis decides between this and a retry at the same time. Then comes the tombstone, then the objects:
/// a delete that breaks off before the tombstone has not happened, one that breaks off behind it is
/// ended by [`end_delete`], or by the sweep. Of two deletes at the same time, the one that puts the tombstone has changed
/// something.
pub async fn delete(clients: &Clients, known: &Known) -> Result<Effect<()>, Problem> {
    if !known.job.status.is_terminal() {
        return Err(not_ended());
    }
    let id = known.job.id;
    settle::settle(clients, id).await?;
    let deleted = clients.queue.delete(id).await;
    match deleted.map_err(Unreachable::from)? {
        Deleted::Ok => {}
        Deleted::Live => return Err(not_ended()),
    }
    let stone = Tombstone::of(&known.request, known.track.as_ref());
    let put = clients.store.put_tombstone(id, &stone).await;
    let put = put.map_err(Unreachable::from)?;
    let open = Open {
        id,
        generation: known.job.generation,
    };
    let removed = clients.store.remove_open(open).await;
    removed.map_err(Unreachable::from)?;
    let buried = burial::bury(clients, id, &stone).await;
    buried.map_err(Unreachable::from)?;
    Ok(match put {
        Put::Stored => Effect::Changed(()),
        Put::Existed => Effect::Unchanged(()),
    })
}

/// Removes what a delete left that broke off behind the tombstone, where one did. Whose the job was does
/// not matter any more.
pub async fn end_delete(clients: &Clients, id: JobId) -> Result<(), Unreachable> {
    if let Some(stone) = clients.store.tombstone(id).await? {
        burial::bury(clients, id, &stone).await?;
    }
    Ok(())
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
    let open = Open {
        id,
        generation: known.job.generation,
    };
    let marker = clients.store.open_marker::<OpenMarker>(open).await;
    if let Some(marker) = marker.map_err(Unreachable::from)? {
        let marker = OpenMarker { priority, ..marker };
        let put = clients.store.put_open(open, &marker).await;
        put.map_err(Unreachable::from)?;
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
            Err(ended(status))
        }
        Reprioritised::Unknown => {
            lookup::ensure(clients, id).await?;
            Ok(Effect::Changed(()))
        }
    }
}

fn ended(status: JobStatus) -> Problem {
    Problem::conflict("already_ended", format!("the job is {status}"))
}

/// 409: what is asked for is possible after the end only.
pub fn not_ended() -> Problem {
    Problem::conflict("not_ended", "the job has not ended; cancel it first")
}
