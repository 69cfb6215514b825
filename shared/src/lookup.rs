//! Finding a job wherever it is, and putting back one that Redis has forgotten.

use std::time::Duration;

use crate::clients::Clients;
use crate::envelope::{Envelope, Manifest, OpenMarker};
use crate::job::{JobId, JobStatus};
use crate::problem::Problem;
use crate::queue::{Enqueued, NewJob, QueueError, Restored, Snapshot};
use crate::settle;
use crate::stage::Stage;
use crate::store::StoreError;
use crate::view::Known;

/// When a caller should come back after we could not ask.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Redis or the store could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unreachable> for Problem {
    /// 503: both heal without us.
    fn from(cause: Unreachable) -> Self {
        let (code, detail) = match &cause {
            Unreachable::Queue(QueueError::Record(_)) => {
                return Self::internal().with_source(cause);
            }
            Unreachable::Queue(_) => (
                "queue_unavailable",
                "the queue cannot be reached; try again",
            ),
            Unreachable::Store(_) => (
                "store_unavailable",
                "the store cannot be reached; try again",
            ),
        };
        Self::unavailable(code, detail, TRY_AGAIN).with_source(cause)
    }
}

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

/// The job: from Redis, else from its manifest, else put back from its envelope.
pub async fn find(clients: &Clients, id: JobId) -> Result<Option<Known>, Unreachable> {
    if let Some(snapshot) = clients.queue.read(id).await? {
        return known(clients, snapshot).await;
    }
    match ensure(clients, id).await? {
        Ensured::Gone => Ok(None),
        Ensured::Ended(manifest) => Ok(Some((*manifest).into())),
        Ensured::Live => match clients.queue.read(id).await? {
            Some(snapshot) => known(clients, snapshot).await,
            None => Ok(None),
        },
    }
}

/// A snapshot with what lies in the store beside it; `None` if its envelope was deleted meanwhile.
pub async fn known(clients: &Clients, snapshot: Snapshot) -> Result<Option<Known>, Unreachable> {
    let Some(request) = envelope(clients, &snapshot).await? else {
        return Ok(None);
    };
    let plan = match snapshot.job.stage {
        Stage::Plan => None,
        Stage::Audio | Stage::Finish => clients.store.plan(snapshot.job.id).await?,
    };
    let mut known = without_plan(snapshot, request)?;
    known.plan = plan;
    Ok(Some(known))
}

/// As [`known`], from Redis alone: for lists.
pub fn without_plan(snapshot: Snapshot, request: Envelope) -> Result<Known, QueueError> {
    let Snapshot {
        job,
        outcome,
        position,
        ..
    } = snapshot;
    let malformed = |e: serde_json::Error| QueueError::Record(e.to_string());
    let (mut track, mut error) = (None, None);
    if let Some(text) = outcome {
        if job.status == JobStatus::Completed {
            track = Some(serde_json::from_str(&text).map_err(malformed)?);
        } else {
            error = Some(serde_json::from_str(&text).map_err(malformed)?);
        }
    }
    Ok(Known {
        job,
        request,
        plan: None,
        track,
        error,
        ahead: position,
    })
}

/// The job's envelope, from Redis where it is there.
pub async fn envelope(
    clients: &Clients,
    snapshot: &Snapshot,
) -> Result<Option<Envelope>, Unreachable> {
    match &snapshot.request {
        Some(text) => Ok(Some(
            serde_json::from_str(text).map_err(|e| QueueError::Record(e.to_string()))?,
        )),
        None => Ok(clients.store.request(snapshot.job.id).await?),
    }
}

/// Puts an accepted and unfinished job that Redis has forgotten back to its old place in the line.
pub async fn ensure(clients: &Clients, id: JobId) -> Result<Ensured, Unreachable> {
    let (queue, store) = (&clients.queue, &clients.store);
    if queue.glance(id).await?.is_some() {
        return Ok(Ensured::Live);
    }
    let marker: Option<OpenMarker> = store.open_marker(id).await?;
    if let Some(manifest) = store.manifest::<Manifest>(id).await? {
        let retried = marker
            .as_ref()
            .is_some_and(|m| manifest.is_superseded_by(m));
        if !retried {
            if marker.is_some() {
                store.remove_open(id).await?;
            }
            return Ok(Ensured::Ended(Box::new(manifest)));
        }
    }
    let Some(request) = store.request::<Envelope>(id).await? else {
        if marker.is_some() {
            store.remove_open(id).await?;
        }
        return Ok(Ensured::Gone);
    };
    let marker = match marker {
        Some(marker) => marker,
        None => {
            let marker = OpenMarker::starting(0, request.created_at);
            store.put_open(id, &marker).await?;
            marker
        }
    };
    let stage = if store.plan(id).await?.is_some() {
        Stage::Audio
    } else {
        Stage::Plan
    };
    let job = new_job(&request, &marker)?;
    let answer = queue
        .restore(
            &job,
            Restored {
                stage,
                generation: marker.generation,
            },
        )
        .await?;
    if answer.outcome == Enqueued::Enqueued {
        tracing::info!(job_id = %id, request_id = request.request_id, "a forgotten job was put back");
    }
    settle::pay(clients, answer.debt, Some(id)).await;
    Ok(Ensured::Live)
}

/// What the queue must know of an accepted job.
pub fn new_job(request: &Envelope, marker: &OpenMarker) -> Result<NewJob, QueueError> {
    Ok(NewJob {
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
        request: serde_json::to_string(request).map_err(|e| QueueError::Record(e.to_string()))?,
        tags: request.submission.tags.clone(),
    })
}

/// Whether a marker is that of a job which Redis says is over: its settling or its retry broke off.
pub async fn tidy(clients: &Clients, id: JobId) -> Result<(), Unreachable> {
    let over = clients
        .queue
        .read(id)
        .await?
        .is_some_and(|s| s.job.status.is_terminal());
    if over {
        settle::settle(clients, id).await?;
        clients.store.remove_open(id).await?;
        tracing::info!(job_id = %id, "a marker of an ended job was removed");
    }
    Ok(())
}
