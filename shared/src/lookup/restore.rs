//! Putting back a job that Redis has forgotten, and making Redis agree with what is stored.

use super::Unreachable;
use crate::burial;
use crate::clients::Clients;
use crate::delivery;
use crate::envelope::{Envelope, Manifest, Open, OpenMarker};
use crate::job::JobId;
use crate::queue::{Debt, Enqueued, Glance, NewJob, QueueError, Refusal, Restored, Spent};
use crate::settle;
use crate::stage::Stage;
use crate::store::Standing;

/// What the store proves of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Ensured {
    /// Redis knows it, now or already before.
    Live,
    /// It has ended; nothing is to be done.
    Ended(Box<Manifest>),
    /// Nobody accepted it, or it was deleted.
    Gone,
}

/// Puts an accepted and unfinished job that Redis has forgotten back to its old place in the line.
pub async fn ensure(clients: &Clients, id: JobId) -> Result<Ensured, Unreachable> {
    if clients.queue.glance(id).await?.is_some() {
        return Ok(Ensured::Live);
    }
    // On the heap, because it stands below so many callers.
    Box::pin(from_store(clients, Open { id, generation: 0 })).await
}

/// The same for a job that Redis does not know. What is asked for by name depends on what has ended; nearly always that is what was
/// `expected`, so one round trip does.
async fn from_store(clients: &Clients, expected: Open) -> Result<Ensured, Unreachable> {
    let (queue, store, id) = (&clients.queue, &clients.store, expected.id);
    let (dead, standing, marker) = tokio::join!(
        store.is_deleted(id),
        store.standing(id),
        store.open_marker::<OpenMarker>(expected),
    );
    if dead? {
        return Ok(Ensured::Gone);
    }
    let standing = standing?;
    let unfinished = Open {
        id,
        generation: standing.ended.map_or(0, |ended| ended + 1),
    };
    let marker = match unfinished == expected {
        true => marker?,
        false => store.open_marker(unfinished).await?,
    };
    let Some(marker) = marker else {
        return match standing.ended {
            Some(generation) => ended(clients, Open { id, generation }).await,
            // It is written before Redis hears of a job, so this one was never accepted.
            None => Ok(Ensured::Gone),
        };
    };
    let Some(request) = store.request::<Envelope>(id).await? else {
        store.remove_open(unfinished).await?;
        return Ok(Ensured::Gone);
    };
    let proven = restored(standing, marker.generation);
    let job = new_job(&request, &marker);
    let answer = queue.restore(&job, proven).await?;
    match answer.outcome {
        Enqueued::Enqueued => {
            tracing::info!(job_id = %id, request_id = request.request_id, "a forgotten job was put back");
        }
        // Its caller was told so; what is still stored of it was about to go.
        Enqueued::Refused => {
            burial::forget(clients, &request).await?;
            return Ok(Ensured::Gone);
        }
        _ => {}
    }
    settle::pay(clients, answer.debt, Some(id)).await;
    Ok(Ensured::Live)
}

/// Its last run has ended, and there is no other.
async fn ended(clients: &Clients, run: Open) -> Result<Ensured, Unreachable> {
    let store = &clients.store;
    let Some(manifest) = store.manifest::<Manifest>(run.id, run.generation).await? else {
        return Ok(Ensured::Gone);
    };
    if store.open_marker::<OpenMarker>(run).await?.is_some() {
        // It was not settled to the end.
        delivery::owe(clients, &manifest).await?;
        store.remove_open(run).await?;
    }
    Ok(Ensured::Ended(Box::new(manifest)))
}

/// The same for the job of a marker, which Redis did not know a moment ago; the marker goes if its generation is over.
pub async fn ensure_open(clients: &Clients, open: Open) -> Result<(), Unreachable> {
    let is_over = match from_store(clients, open).await? {
        Ensured::Live => false,
        // The marker of the newest generation has gone with its settling.
        Ensured::Ended(newest) => open.generation < newest.job.generation,
        Ensured::Gone => true,
    };
    if is_over {
        clients.store.remove_open(open).await?;
    }
    Ok(())
}

/// How far the store proves that a job has come.
pub(crate) async fn proven(
    clients: &Clients,
    id: JobId,
    generation: u32,
) -> Result<Restored, Unreachable> {
    Ok(restored(clients.store.standing(id).await?, generation))
}

fn restored(standing: Standing, generation: u32) -> Restored {
    let stage = match standing.planned {
        true => Stage::Audio,
        false => Stage::Plan,
    };
    Restored { stage, generation }
}

/// What the queue must know of an accepted job.
pub fn new_job(request: &Envelope, marker: &OpenMarker) -> NewJob {
    NewJob {
        id: request.id,
        tenant: request.tenant.clone(),
        user: request.user.clone(),
        created_at: request.created_at,
        start_by: marker.start_by,
        finish_by: marker.finish_by,
        cost: request.submission.duration,
        seed: request.submission.seed,
        seed_fixed: request.submission.seed_fixed,
        max_attempts: request.max_attempts,
        request_id: request.request_id.clone(),
        priority: marker.priority,
        tags: request.submission.tags.clone(),
        spent: Spent::default(),
        refusal: Refusal::Passing,
    }
}

/// Makes Redis's record of a job agree with a marker of its: a retry, a priority or a settling that broke off is done.
pub async fn align(clients: &Clients, open: Open, known: Glance) -> Result<(), Unreachable> {
    let Some(marker) = clients.store.open_marker::<OpenMarker>(open).await? else {
        return Ok(());
    };
    let id = open.id;
    // Redis may have evicted the places of a job and not its record.
    let mended = clients.queue.mend(id).await?;
    settle::pay(clients, mended.debt, Some(id)).await;
    if open.generation > known.generation {
        let answer = clients
            .queue
            .restore_retry(id, open.generation, marker.start_by, marker.finish_by)
            .await?;
        tracing::info!(job_id = %id, outcome = ?answer.outcome, "a retry that Redis had forgotten was done again");
        settle::pay(clients, answer.debt, Some(id)).await;
    } else if open.generation < known.generation {
        // A retry begins only when the end before it is settled.
        clients.store.remove_open(open).await?;
    } else if known.status.is_terminal() {
        // It removes the marker itself: if Redis is emptied meanwhile, that is all that keeps the job.
        settle::settle(clients, id).await?;
    } else if marker.priority != known.priority {
        let answer = clients
            .queue
            .reprioritise(id, marker.priority, "restored")
            .await?;
        settle::pay(clients, answer.debt, None).await;
    }
    Ok(())
}

/// Ends a job that Redis believes to be live, and that has no marker: it ended or was deleted before Redis was rolled back.
pub async fn end_as_stored(clients: &Clients, id: JobId) -> Result<(), Unreachable> {
    let Some(Glance { generation, .. }) = clients.queue.glance(id).await? else {
        return Ok(());
    };
    let (store, open) = (&clients.store, Open { id, generation });
    if store.open_marker::<OpenMarker>(open).await?.is_some() {
        return Ok(());
    }
    let debt = match store.manifest_since::<Manifest>(id, generation).await? {
        Some(manifest) => adopt(clients, &manifest).await?,
        None if store.request::<Envelope>(id).await?.is_none() => {
            // A bucket or a folder that is away has no request either.
            store.ready().await?;
            clients.queue.cancel(id, "deleted").await?.debt
        }
        // Accepted, and the marker is about to be written, or was lost.
        None => return Ok(()),
    };
    settle::pay(clients, debt, None).await;
    Ok(())
}

/// Tells Redis how the job ended.
pub async fn adopt(clients: &Clients, manifest: &Manifest) -> Result<Debt, Unreachable> {
    let malformed = |e: serde_json::Error| QueueError::Record(e.to_string());
    let result = match (&manifest.track, &manifest.error) {
        (Some(track), _) => Some(serde_json::to_string(track).map_err(malformed)?),
        (None, Some(error)) => Some(serde_json::to_string(error).map_err(malformed)?),
        (None, None) => None,
    };
    let answer = clients.queue.adopt(&manifest.job, result).await?;
    tracing::warn!(
        job_id = %manifest.job.id, status = %manifest.job.status, outcome = ?answer.outcome,
        "the job had ended before Redis forgot it"
    );
    Ok(answer.debt)
}
