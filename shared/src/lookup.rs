//! Finding a job wherever it is, and putting back one that Redis has forgotten.

mod restore;

use std::hash::Hash;
use std::sync::PoisonError;
use std::time::Duration;

use crate::clients::{Clients, Recent};
use crate::envelope::{Envelope, Manifest};
use crate::http::Quota;
use crate::job::{JobId, JobRecord, JobStatus, TenantId};
use crate::problem::Problem;
use crate::queue::{Attempted, Found, Left, Limit, QueueError, Snapshot};
use crate::settle;
use crate::stage::Stage;
use crate::store::StoreError;
use crate::view::Known;

pub(crate) use self::restore::proven;
pub use self::restore::{Ensured, adopt, align, end_as_stored, ensure, ensure_open, new_job};

/// When a caller should come back after we could not ask.
pub(crate) const TRY_AGAIN: Duration = Duration::from_secs(2);

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
            Unreachable::Store(StoreError::Deleted { .. }) => {
                return unknown_job().with_source(cause);
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

/// 404: there is no such job, or it is not the caller's.
pub fn unknown_job() -> Problem {
    Problem::not_found("unknown_job", "there is no such job")
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
    Ok(match counted(clients, id, tenant).await? {
        Some(snapshot) => known(clients, *snapshot).await?,
        None => forgotten(clients, id).await?,
    })
}

/// Its record alone, counted in the same way: the store is asked only for a job that Redis does not know.
pub async fn record_for(
    clients: &Clients,
    id: JobId,
    tenant: &TenantId,
) -> Result<Option<JobRecord>, Problem> {
    Ok(match counted(clients, id, tenant).await? {
        Some(snapshot) => Some(snapshot.job),
        None => forgotten(clients, id).await?.map(|known| known.job),
    })
}

async fn counted(
    clients: &Clients,
    id: JobId,
    tenant: &TenantId,
) -> Result<Option<Box<Snapshot>>, Problem> {
    let found = clients.queue.read_for(id, tenant).await;
    let (found, left) = found.map_err(Unreachable::from)?;
    note_quota("read", clients.queue.policy().read_per_minute, left);
    match found {
        Found::Job(snapshot) => Ok(Some(snapshot)),
        Found::Unknown => Ok(None),
        Found::Limited { retry_ms } => Err(too_often(retry_ms)),
    }
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
        let name = (snapshot.job.id, snapshot.job.generation);
        let read = || clients.store.manifest::<Manifest>(name.0, name.1);
        if let Some(manifest) = recent(&clients.manifests, name, read).await? {
            return Ok(Some(manifest.into()));
        }
    }
    let Some(request) = envelope(clients, &snapshot.job).await? else {
        // A bucket that is away has no envelope either.
        clients.store.ready().await?;
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
    let read = || clients.store.request(job.id);
    Ok(recent(&clients.envelopes, job.id, read).await?)
}

/// An object that never changes: as it was read lately, else by `read`.
async fn recent<K: Copy + Eq + Hash, V: Clone>(
    kept: &Recent<K, V>,
    name: K,
    read: impl AsyncFnOnce() -> Result<Option<V>, StoreError>,
) -> Result<Option<V>, StoreError> {
    let kept = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(value) = kept().get(&name) {
        return Ok(Some(value.clone()));
    }
    let found = read().await?;
    if let Some(value) = &found {
        kept().put(name, value.clone());
    }
    Ok(found)
}
