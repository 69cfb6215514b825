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

impl Queue {
    /// Into its tenant's line. Repeating it for the same id changes nothing.
    pub async fn enqueue(&self, job: &NewJob) -> Result<Answer<Enqueued>, QueueError> {
        self.place(job, None, None).await
    }

    /// Into the records as completed: the result cache had its track, which lies among the job's own objects already.
    pub async fn enqueue_cached(
        &self,
        job: &NewJob,
        track: &Track,
    ) -> Result<Answer<Enqueued>, QueueError> {
        let track = serde_json::to_string(track).map_err(|e| QueueError::Record(e.to_string()))?;
        self.place(job, None, Some(track)).await
    }

    /// Back to its old place in the line, unless Redis knows the job after all.
    pub async fn restore(
        &self,
        job: &NewJob,
        proven: Restored,
    ) -> Result<Answer<Enqueued>, QueueError> {
        self.place(job, Some(proven), None).await
    }

    async fn place(
        &self,
        job: &NewJob,
        restored: Option<Restored>,
        track: Option<String>,
    ) -> Result<Answer<Enqueued>, QueueError> {
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
            #[serde(skip_serializing_if = "Option::is_none")]
            track: Option<String>,
        }
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

    /// Starts an ended job afresh as `generation`.
    pub async fn retry(
        &self,
        id: JobId,
        generation: u32,
        start_by: DateTime<Utc>,
        finish_by: DateTime<Utc>,
        reason: &str,
    ) -> Result<Answer<Retried>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            generation: u32,
            start_by_ms: i64,
            finish_by_ms: i64,
            reason: &'a str,
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
            },
        )
        .await
    }

    /// Forgets an ended job and its index entries.
    pub async fn delete(
        &self,
        id: JobId,
        user: &UserId,
        tags: &[String],
    ) -> Result<Deleted, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            user: &'a UserId,
            tags: &'a [String],
        }
        self.call_plain(&scripts::DELETE, &Args { id, user, tags })
            .await
    }
}
