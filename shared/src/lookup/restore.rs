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
    let (queue, store) = (&clients.queue, &clients.store);
    if queue.glance(id).await?.is_some() {
        return Ok(Ensured::Live);
    }
    let (dead, manifest) =
        tokio::join!(store.is_deleted(id), store.newest_manifest::<Manifest>(id));
    if dead? {
        return Ok(Ensured::Gone);
    }
    let manifest = manifest?;
    let unfinished = Open {
        id,
        generation: manifest.as_ref().map_or(0, |m| m.job.generation + 1),
    };
    let marker: Option<OpenMarker> = store.open_marker(unfinished).await?;
    if let (Some(manifest), None) = (&manifest, &marker) {
        let ended = Open {
            id,
            generation: manifest.job.generation,
        };
        if store.open_marker::<OpenMarker>(ended).await?.is_some() {
            // It was not settled to the end.
            delivery::owe(clients, manifest).await?;
            store.remove_open(ended).await?;
        }
        return Ok(Ensured::Ended(Box::new(manifest.clone())));
    }
    let Some(marker) = marker else {
        // It is written before Redis hears of a job, so this one was never accepted.
        return Ok(Ensured::Gone);
    };
    let Some(request) = store.request::<Envelope>(id).await? else {
        store.remove_open(unfinished).await?;
        return Ok(Ensured::Gone);
    };
    let proven = proven(clients, id, marker.generation).await?;
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

/// The same for the job of a marker; the marker goes if its generation is over.
pub async fn ensure_open(clients: &Clients, open: Open) -> Result<(), Unreachable> {
    let is_over = match ensure(clients, open.id).await? {
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
    let stage = match clients.store.plan(id).await? {
        Some(_) => Stage::Audio,
        None => Stage::Plan,
    };
    Ok(Restored { stage, generation })
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
