//! Finding a job wherever it is, and putting back one that Redis has forgotten.

use std::sync::PoisonError;
use std::time::Duration;

use crate::clients::Clients;
use crate::envelope::{Envelope, Manifest, OpenMarker};
use crate::http::Quota;
use crate::job::{JobId, JobRecord, JobStatus, TenantId};
use crate::problem::Problem;
use crate::queue::{
    Attempted, Debt, Enqueued, Found, Glance, Left, Limit, NewJob, QueueError, Restored, Snapshot,
    Spent,
};
use crate::settle;
use crate::stage::Stage;
use crate::store::StoreError;
use crate::view::Known;
use crate::webhook;

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

impl Unreachable {
    /// One record or object has another shape than this version reads: asking again soon does not help.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Queue(error) => matches!(error, QueueError::Record(_)),
            Self::Store(error) => error.is_unreadable(),
        }
    }
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

fn too_often(retry_ms: u64) -> Problem {
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
    let known = unsettled(clients, snapshot).await?;
    Ok(match known {
        Some(known) if unrecorded => Some(settle::record(clients, known).await?.into()),
        known => known,
    })
}

/// As [`known`], whatever is on record: for settling.
pub(crate) async fn unsettled(
    clients: &Clients,
    snapshot: Snapshot,
) -> Result<Option<Known>, Unreachable> {
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
    // A deleted job's name may be used again where an idempotency key made it.
    let same = |envelope: &&Envelope| {
        envelope.created_at.timestamp_millis() == job.created_at.timestamp_millis()
    };
    if let Some(envelope) = kept().get(&job.id).filter(same) {
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
    let marker: Option<OpenMarker> = store.open_marker(id).await?;
    if let Some(manifest) = store.manifest::<Manifest>(id).await? {
        let retried = marker
            .as_ref()
            .is_some_and(|m| manifest.is_superseded_by(m));
        if !retried {
            if marker.is_some() {
                // It was not settled to the end.
                webhook::owe(clients, &manifest).await?;
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
            let marker = OpenMarker::starting(0, request.created_at, &request);
            store.put_open(id, &marker).await?;
            marker
        }
    };
    let stage = if store.plan(id).await?.is_some() {
        Stage::Audio
    } else {
        Stage::Plan
    };
    let job = new_job(&request, &marker);
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
    }
}

/// Makes Redis's record of a job agree with its marker: a retry, a priority or a settling that broke off is done.
pub async fn align(clients: &Clients, id: JobId, known: Glance) -> Result<(), Unreachable> {
    let Some(marker) = clients.store.open_marker::<OpenMarker>(id).await? else {
        return Ok(());
    };
    if marker.generation > known.generation {
        let answer = clients
            .queue
            .retry(
                id,
                marker.generation,
                marker.start_by,
                marker.finish_by,
                "restored",
            )
            .await?;
        tracing::info!(job_id = %id, outcome = ?answer.outcome, "a retry that Redis had forgotten was done again");
        settle::pay(clients, answer.debt, Some(id)).await;
    } else if known.status.is_terminal() {
        settle::settle(clients, id).await?;
        clients.store.remove_open(id).await?;
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

/// A job that Redis believes to be live, and that has no marker: it ended or was deleted before Redis was rolled back.
pub async fn end_as_stored(clients: &Clients, id: JobId) -> Result<(), Unreachable> {
    if clients.store.open_marker::<OpenMarker>(id).await?.is_some() {
        return Ok(());
    }
    let debt = match clients.store.manifest::<Manifest>(id).await? {
        Some(manifest) => adopt(clients, &manifest).await?,
        None if clients.store.request::<Envelope>(id).await?.is_none() => {
            // A bucket or a folder that is away has no request either.
            clients.store.ready().await?;
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
