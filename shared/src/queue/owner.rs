//! What a job's owner does: enqueue, cancel, reprioritise, retry, delete. And `restore`, which does again what Redis has forgotten.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{JobId, JobStatus, TenantId, UserId};
use crate::priority::Priority;
use crate::queue::{Answer, Queue, QueueError, Spent, scripts};
use crate::stage::Stage;
use crate::track::Track;

/// An accepted job on its way into the line.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub id: JobId,
    pub tenant: TenantId,
    pub user: UserId,
    pub created_at: DateTime<Utc>,
    pub start_by: DateTime<Utc>,
    pub finish_by: DateTime<Utc>,
    /// Requested audio seconds: what the tenant is charged in virtual time.
    pub cost: u32,
    pub seed: u32,
    pub seed_fixed: bool,
    pub max_attempts: u32,
    pub request_id: String,
    pub priority: Priority,
    pub tags: Vec<String>,
    /// What taking it in has cost so far.
    pub spent: Spent,
    /// What a refusal by a limit means for the id.
    pub refusal: Refusal,
}

/// What a refusal by a limit means for a job's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The id is dead. For the request that stored the envelope, and so for nobody who repeats it.
    Final,
    /// Nothing changes: another request may still bring the job in, or has, before Redis was emptied.
    Passing,
}

/// Answer of `admits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Admission {
    /// New work would be taken now.
    Open,
    /// Too many jobs of this tenant wait; only what the result cache answers would be taken.
    Full,
    /// This tenant submits too fast.
    Limited {
        /// When the next one is within the limit.
        retry_ms: u64,
    },
}

/// Answer of `refuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Buried {
    /// The id is dead.
    Refused,
    /// Another request has entered the job.
    Live,
}

/// What the object store proves of a job that Redis has forgotten.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Restored {
    pub stage: Stage,
    pub generation: u32,
}

/// Answer of `enqueue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Enqueued {
    /// It stands in line.
    Enqueued,
    /// The job is there already; nothing changed.
    Exists,
    /// Too many jobs of this tenant wait; nothing changed.
    Full,
    /// This tenant submits too fast; nothing changed.
    Limited {
        /// When the next one is within the limit.
        retry_ms: u64,
    },
    /// The id is dead: its submission was refused, or the job was deleted.
    Refused,
}

/// Answer of `reprioritise`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Reprioritised {
    Ok,
    /// It stands at this level already; nothing changed.
    Same,
    /// It has ended.
    Ended {
        status: JobStatus,
    },
    Unknown,
}

/// Answer of `cancel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Cancelled {
    Ok,
    /// It had ended before.
    Ended {
        status: JobStatus,
    },
    Unknown,
}

/// Answer of `retry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Retried {
    Ok,
    /// A completed job is not run again.
    Completed,
    /// It has not ended.
    Live,
    /// Too many jobs of this tenant wait; nothing changed.
    Full,
    /// This tenant submits too fast; nothing changed.
    Limited {
        /// When the next one is within the limit.
        retry_ms: u64,
    },
    Unknown,
}

/// Answer of `delete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Deleted {
    Ok,
    /// It has not ended.
    Live,
}

/// How a job comes in.
enum Entry {
    New { track: Option<String> },
    Restored(Restored),
    Retried { as_of: Restored, reason: String },
}

impl Queue {
    /// Asks whether new work of this tenant would be taken now; counts nothing.
    pub async fn admits(&self, tenant: &TenantId) -> Result<Answer<Admission>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            tenant: &'a TenantId,
        }
        self.call(&scripts::ADMITS, &Args { tenant }).await
    }

    /// Puts a job into its tenant's line. Repeating it for the same id changes nothing.
    pub async fn enqueue(&self, job: &NewJob) -> Result<Answer<Enqueued>, QueueError> {
        self.place(job, Entry::New { track: None }).await
    }

    /// Enters a job as completed: the result cache had its track.
    pub async fn enqueue_cached(
        &self,
        job: &NewJob,
        track: &Track,
    ) -> Result<Answer<Enqueued>, QueueError> {
        let track = serde_json::to_string(track).map_err(|e| QueueError::Record(e.to_string()))?;
        let track = Some(track);
        self.place(job, Entry::New { track }).await
    }

    /// Puts a job back to its old place in the line, unless Redis knows it after all, or knows it to be dead.
    pub async fn restore(
        &self,
        job: &NewJob,
        proven: Restored,
    ) -> Result<Answer<Enqueued>, QueueError> {
        self.place(job, Entry::Restored(proven)).await
    }

    /// Starts afresh an ended job that Redis has forgotten, within the limits of a submission.
    pub async fn retry_forgotten(
        &self,
        job: &NewJob,
        as_of: Restored,
        reason: &str,
    ) -> Result<Answer<Enqueued>, QueueError> {
        let reason = reason.to_owned();
        self.place(job, Entry::Retried { as_of, reason }).await
    }

    /// Gives a submission up that Redis certainly did not take; also where Redis is full.
    pub async fn refuse(&self, id: JobId) -> Result<Buried, QueueError> {
        #[derive(Serialize)]
        struct Args {
            id: JobId,
        }
        self.call_plain(&scripts::REFUSE, &Args { id }).await
    }

    async fn place(&self, job: &NewJob, entry: Entry) -> Result<Answer<Enqueued>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            tenant: &'a TenantId,
            user: &'a UserId,
            level: u32,
            created_ms: i64,
            start_by_ms: i64,
            finish_by_ms: i64,
            fields: BTreeMap<&'static str, String>,
            tags: &'a [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            restored: Option<Restored>,
            limited: bool,
            r#final: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            track: Option<String>,
        }
        let limited = !matches!(entry, Entry::Restored(_));
        let r#final = matches!(entry, Entry::New { .. }) && job.refusal == Refusal::Final;
        let (restored, reason, track) = match entry {
            Entry::New { track } => (None, None, track),
            Entry::Restored(proven) => (Some(proven), None, None),
            Entry::Retried { as_of, reason } => (Some(as_of), Some(reason), None),
        };
        let fields = BTreeMap::from([
            ("cost", job.cost.to_string()),
            ("seed", job.seed.to_string()),
            ("seed_fixed", u8::from(job.seed_fixed).to_string()),
            ("max_attempts", job.max_attempts.to_string()),
            ("request_id", job.request_id.clone()),
            ("generation", "0".to_owned()),
            ("billed_ms", job.spent.billed_ms.to_string()),
        ]);
        let args = Args {
            id: job.id,
            tenant: &job.tenant,
            user: &job.user,
            level: job.priority.level(),
            created_ms: job.created_at.timestamp_millis(),
            start_by_ms: job.start_by.timestamp_millis(),
            finish_by_ms: job.finish_by.timestamp_millis(),
            fields,
            tags: &job.tags,
            restored,
            limited,
            r#final,
            reason,
            track,
        };
        self.call(&scripts::ENQUEUE, &args).await
    }

    /// Ends a live job and frees its slot at once, also while it is being processed.
    pub async fn cancel(&self, id: JobId, reason: &str) -> Result<Answer<Cancelled>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            reason: &'a str,
            call: Uuid,
        }
        let call = Uuid::new_v4();
        self.call(&scripts::CANCEL, &Args { id, reason, call })
            .await
    }

    /// Moves a live job to another level.
    pub async fn reprioritise(
        &self,
        id: JobId,
        priority: Priority,
        reason: &str,
    ) -> Result<Answer<Reprioritised>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            level: u32,
            reason: &'a str,
            call: Uuid,
        }
        let (level, call) = (priority.level(), Uuid::new_v4());
        let args = Args {
            id,
            level,
            reason,
            call,
        };
        self.call(&scripts::REPRIORITISE, &args).await
    }

    /// The completed job of this tenant that answers `digest`, for as long as it is kept.
    pub async fn cached(
        &self,
        tenant: &TenantId,
        digest: &str,
    ) -> Result<Option<JobId>, QueueError> {
        let get = redis::Cmd::get(self.keys.cache(tenant, digest));
        let id: Option<String> = self.redis.run(&get).await?;
        Ok(id.and_then(|id| id.parse().ok()))
    }

    /// Starts an ended job afresh as `generation`, within the limits of a submission.
    pub async fn retry(
        &self,
        id: JobId,
        generation: u32,
        start_by: DateTime<Utc>,
        finish_by: DateTime<Utc>,
        reason: &str,
    ) -> Result<Answer<Retried>, QueueError> {
        self.retried(id, generation, start_by, finish_by, reason, true)
            .await
    }

    /// Does a retry again that was accepted and that Redis has forgotten.
    pub async fn restore_retry(
        &self,
        id: JobId,
        generation: u32,
        start_by: DateTime<Utc>,
        finish_by: DateTime<Utc>,
    ) -> Result<Answer<Retried>, QueueError> {
        self.retried(id, generation, start_by, finish_by, "restored", false)
            .await
    }

    async fn retried(
        &self,
        id: JobId,
        generation: u32,
        start_by: DateTime<Utc>,
        finish_by: DateTime<Utc>,
        reason: &str,
        limited: bool,
    ) -> Result<Answer<Retried>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            generation: u32,
            start_by_ms: i64,
            finish_by_ms: i64,
            reason: &'a str,
            limited: bool,
        }
        let start_by_ms = start_by.timestamp_millis();
        let finish_by_ms = finish_by.timestamp_millis();
        self.call(
            &scripts::RETRY,
            &Args {
                id,
                generation,
                start_by_ms,
                finish_by_ms,
                reason,
                limited,
            },
        )
        .await
    }

    /// Forgets an ended job and its index entries; its id is dead from now on.
    pub async fn delete(&self, id: JobId) -> Result<Deleted, QueueError> {
        #[derive(Serialize)]
        struct Args {
            id: JobId,
        }
        self.call_plain(&scripts::DELETE, &Args { id }).await
    }
}
