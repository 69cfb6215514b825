//! Finding a job wherever it is, and putting back one that Redis has forgotten.

use std::sync::PoisonError;
use std::time::Duration;

use crate::clients::Clients;
use crate::delivery;
use crate::envelope::{Envelope, Manifest, Open, OpenMarker, Tombstone};
use crate::http::Quota;
use crate::job::{JobId, JobRecord, JobStatus, TenantId};
use crate::problem::Problem;
use crate::queue::{
    Attempted, Debt, Enqueued, Found, Glance, Left, Limit, NewJob, QueueError, Refusal, Restored,
    Snapshot, Spent,
};
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
            Unreachable::Store(StoreError::Deleted { .. }) => {
                return Self::not_found("unknown_job", "no such job").with_source(cause);
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
    match clients.queue.read(id).await? {
        Some(snapshot) => known(clients, snapshot).await,
        None => forgotten(clients, id).await,
    }
}

/// The same, counted against the caller's limit; 429 beyond it.
pub async fn find_for(
    clients: &Clients,
    id: JobId,
    tenant: &TenantId,
) -> Result<Option<Known>, Problem> {
    let found = clients.queue.read_for(id, tenant).await;
    let (found, left) = found.map_err(Unreachable::from)?;
    note_quota("read", clients.queue.policy().read_per_minute, left);
    Ok(match found {
        Found::Job(snapshot) => known(clients, *snapshot).await?,
        Found::Unknown => forgotten(clients, id).await?,
        Found::Limited { retry_ms } => return Err(too_often(retry_ms)),
    })
}

/// The same for the bearer of a signed link: counted against the limit of the job's own tenant, before the store is read if possible.
pub async fn find_by_link(clients: &Clients, id: JobId) -> Result<Option<Known>, Problem> {
    let snapshot = clients.queue.read(id).await.map_err(Unreachable::from)?;
    if let Some(snapshot) = snapshot {
        count_read(clients, &snapshot.job.tenant).await?;
        return Ok(known(clients, snapshot).await?);
    }
    let known = forgotten(clients, id).await?;
    if let Some(known) = &known {
        count_read(clients, &known.job.tenant).await?;
    }
    Ok(known)
}

/// Counts a read that no script counts by the way; 429 beyond the limit.
pub async fn count_read(clients: &Clients, tenant: &TenantId) -> Result<(), Problem> {
    let per_minute = clients.queue.policy().read_per_minute;
    if per_minute == 0 {
        return Ok(());
    }
    let limit = Limit {
        kind: "read",
        who: tenant.as_str().to_owned(),
        per_minute,
    };
    let attempted = clients.queue.attempt(&[limit]).await;
    let (remaining, reset_ms, refused) = match attempted.map_err(Unreachable::from)? {
        Attempted::Ok { left, full_ms } => (left.into(), full_ms, None),
        Attempted::Limited { retry_ms, .. } => (0, retry_ms, Some(too_often(retry_ms))),
    };
    let left = Left {
        remaining,
        reset_ms,
    };
    note_quota("read", per_minute, Some(left));
    refused.map_or(Ok(()), Err)
}

pub(crate) fn too_often(retry_ms: u64) -> Problem {
    let after = Duration::from_millis(retry_ms);
    Problem::too_many("rate_limited", "you ask too often", after)
}

/// Tells the caller what a limit of so many in a minute has left.
pub(crate) fn note_quota(name: &'static str, limit: u32, left: Option<Left>) {
    if let Some(left) = left {
        let quota = Quota {
            name,
            limit,
            window: Duration::from_secs(60),
            remaining: left.remaining,
            reset: Duration::from_millis(left.reset_ms),
        };
        quota.note();
    }
}

/// Its record alone: for who reports on it, often, and needs no more.
pub async fn record(clients: &Clients, id: JobId) -> Result<Option<JobRecord>, Unreachable> {
    match clients.queue.read(id).await? {
        Some(snapshot) => Ok(Some(snapshot.job)),
        None => Ok(forgotten(clients, id).await?.map(|known| known.job)),
    }
}

async fn forgotten(clients: &Clients, id: JobId) -> Result<Option<Known>, Unreachable> {
    match ensure(clients, id).await? {
        Ensured::Gone => Ok(None),
        Ensured::Ended(manifest) => Ok(Some((*manifest).into())),
        Ensured::Live => match clients.queue.read(id).await? {
            Some(snapshot) => known(clients, snapshot).await,
            None => Ok(None),
        },
    }
}

/// A snapshot with what lies in the store beside it; `None` if its envelope was deleted meanwhile. An end that only Redis knows of is
/// put on record first: what was shown once must not be forgotten.
pub async fn known(clients: &Clients, snapshot: Snapshot) -> Result<Option<Known>, Unreachable> {
    let unrecorded = snapshot.unrecorded;
    let Some(known) = unsettled(clients, snapshot).await? else {
        return Ok(None);
    };
    if !unrecorded {
        return Ok(Some(known));
    }
    match settle::record(clients, known).await {
        Ok(manifest) => Ok(Some(manifest.into())),
        Err(Unreachable::Store(StoreError::Deleted { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// As [`known`], whatever is on record: for settling.
pub(crate) async fn unsettled(
    clients: &Clients,
    snapshot: Snapshot,
) -> Result<Option<Known>, Unreachable> {
    // Redis lets go of a track's waveform when the manifest has it.
    if snapshot.job.status == JobStatus::Completed && !snapshot.unrecorded {
        let (id, generation) = (snapshot.job.id, snapshot.job.generation);
        if let Some(manifest) = clients.store.manifest::<Manifest>(id, generation).await? {
            return Ok(Some(manifest.into()));
        }
    }
    let Some(request) = envelope(clients, &snapshot.job).await? else {
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
        eta,
        waiting,
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
        eta,
        waiting,
    })
}

/// The job's envelope; one that was read lately is not read again, for it never changes.
pub async fn envelope(clients: &Clients, job: &JobRecord) -> Result<Option<Envelope>, Unreachable> {
    let kept = || {
        clients
            .envelopes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(envelope) = kept().get(&job.id) {
        return Ok(Some(envelope.clone()));
    }
    let found: Option<Envelope> = clients.store.request(job.id).await?;
    if let Some(envelope) = &found {
        kept().put(job.id, envelope.clone());
    }
    Ok(found)
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
    let Some(request) = store.request::<Envelope>(id).await? else {
        if marker.is_some() {
            store.remove_open(unfinished).await?;
        }
        return Ok(Ensured::Gone);
    };
    let marker = match marker {
        Some(marker) => marker,
        None => {
            let marker = OpenMarker::starting(0, request.created_at, &request);
            store.put_open(unfinished, &marker).await?;
            marker
        }
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
            forget(clients, &request).await?;
            return Ok(Ensured::Gone);
        }
        _ => {}
    }
    settle::pay(clients, answer.debt, Some(id)).await;
    Ok(Ensured::Live)
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

/// Removes what is stored of a submission that was refused for good.
///
/// Where a key names the id, a tombstone comes first: a repeat under that key would else store its
/// request among objects that are about to go.
pub(crate) async fn forget(clients: &Clients, request: &Envelope) -> Result<(), Unreachable> {
    let (store, id) = (&clients.store, request.id);
    if request.claim.is_some() {
        store
            .put_tombstone(id, &Tombstone::of(request, None))
            .await?;
    }
    store.remove_job(id).await?;
    store.remove_open(Open { id, generation: 0 }).await?;
    Ok(())
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
        settle::settle(clients, id).await?;
        clients.store.remove_open(open).await?;
        tracing::info!(job_id = %id, "a marker of an ended job was removed");
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
