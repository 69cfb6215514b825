//! What a worker does with a job: acquire, renew, advance, park, complete, fail, release. Each presents its fence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{Fence, JobError, JobId, JobRecord};
use crate::queue::record::{self, Fields};
use crate::queue::{Answer, FINISH_TAKES, LEASE, Queue, QueueError, millis, scripts};
use crate::stage::Stage;
use crate::track::Track;

/// The right to work on one job.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    pub id: JobId,
    pub fence: Fence,
}

/// Answer of `acquire`.
#[derive(Debug, Clone, PartialEq)]
pub enum Acquired {
    /// With the services that failed of late.
    Job(Box<JobRecord>, Holder, Troubled),
    /// Nobody may run a job now.
    Empty,
    /// Every slot is taken.
    Saturated,
    /// The queue is held back: a model service is down.
    Held,
    /// An operator has paused the queue.
    Paused,
    /// Redis was emptied: load what operators have set, then ask again.
    Unconfigured,
}

/// Model services that have failed since they last answered: before such a one is called, its breaker is asked, and what the call
/// shows is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Troubled(BTreeSet<String>);

impl Troubled {
    /// Whether the service is one of them.
    pub fn has(&self, service: &str) -> bool {
        self.0.contains(service)
    }
}

/// Whether the holder still holds its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Held {
    Ok,
    /// Somebody else holds it, or it has ended: stop at once.
    Stale,
}

/// Answer of `park`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Parked {
    Ok,
    /// The model's report came first: the job is further on.
    MovedOn,
    Stale,
}

/// Answer of `fail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Failed {
    /// Another attempt follows.
    Queued,
    /// For good.
    Failed,
    Stale,
    /// The job had ended before.
    Ended,
    Unknown,
}

/// Milliseconds to add to the job's usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    #[serde(skip_serializing_if = "is_zero")]
    pub plan_ms: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_ms: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub finish_ms: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub billed_ms: u64,
}

impl Spent {
    /// A function's own time, as it is paid for: in whole milliseconds, rounded up.
    pub fn billed(time: Duration) -> Self {
        let billed_ms = u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        Self {
            billed_ms,
            ..Self::default()
        }
    }
}

fn is_zero(ms: &u64) -> bool {
    *ms == 0
}

/// Why an attempt failed, and whether the next one could meet the same cause.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    pub error: &'a JobError,
    pub cause: Cause,
}

/// The nature of what ended an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The next attempt may go well.
    #[default]
    Passing,
    /// A property of the service: the job ends when the same error ends two attempts in a row.
    Lasting,
}

impl<'a> From<&'a JobError> for Failure<'a> {
    fn from(error: &'a JobError) -> Self {
        Self {
            error,
            cause: Cause::Passing,
        }
    }
}

/// What the next attempt does differently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Next {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
}

#[derive(Deserialize)]
struct RawAcquired {
    outcome: String,
    id: Option<JobId>,
    fence: Option<String>,
    fields: Option<Fields>,
    #[serde(default)]
    logged: u64,
    #[serde(default)]
    breaker: BTreeMap<String, i64>,
}

impl Queue {
    /// The best job that may run, not necessarily the one that rang. Sent twice, it gives the same job.
    pub async fn acquire(&self) -> Result<Answer<Acquired>, QueueError> {
        #[derive(Serialize)]
        struct Args {
            call: Uuid,
            nonce: String,
            lease_ms: u64,
            finish_ms: u64,
            finish_takes: u32,
        }
        // The counter alone is not enough: a Redis that was rolled back would count the same number again.
        let nonce = format!("{:016x}", fastrand::u64(..));
        let lease_ms = millis(LEASE);
        let args = Args {
            call: Uuid::new_v4(),
            nonce,
            lease_ms,
            finish_ms: lease_ms,
            finish_takes: FINISH_TAKES,
        };
        let answer: Answer<RawAcquired> = self.call(&scripts::ACQUIRE, &args).await?;
        let raw = answer.outcome;
        let outcome = match (raw.outcome.as_str(), raw.id, raw.fence, raw.fields) {
            ("job", Some(id), Some(fence), Some(fields)) => {
                let job = Box::new(record::parse(id, &fields, raw.logged)?);
                let fence = Fence(fence);
                let troubled = Troubled(raw.breaker.into_keys().collect());
                Acquired::Job(job, Holder { id, fence }, troubled)
            }
            ("empty", ..) => Acquired::Empty,
            ("saturated", ..) => Acquired::Saturated,
            ("held", ..) => Acquired::Held,
            ("paused", ..) => Acquired::Paused,
            ("unconfigured", ..) => Acquired::Unconfigured,
            (other, ..) => return Err(QueueError::Record(format!("acquire answered {other:?}"))),
        };
        Ok(Answer {
            outcome,
            debt: answer.debt,
            left: None,
        })
    }

    /// Another lease span for the holder.
    pub async fn renew(&self, holder: &Holder) -> Result<Held, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            fence: &'a Fence,
            lease_ms: u64,
        }
        let args = Args {
            id: holder.id,
            fence: &holder.fence,
            lease_ms: millis(LEASE),
        };
        self.call_plain(&scripts::RENEW, &args).await
    }

    /// Checkpoint: everything before `to` is done and stored.
    pub async fn advance(
        &self,
        holder: &Holder,
        to: Stage,
        usage: Spent,
    ) -> Result<Answer<Held>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            fence: &'a Fence,
            to: Stage,
            lease_ms: u64,
            usage: Spent,
        }
        let args = Args {
            id: holder.id,
            fence: &holder.fence,
            to,
            lease_ms: millis(LEASE),
            usage,
        };
        self.call(&scripts::ADVANCE, &args).await
    }

    /// The model service holds the job from now on, for at most `deadline` without a word.
    pub async fn park(
        &self,
        holder: &Holder,
        stage: Stage,
        deadline: Duration,
        usage: Spent,
    ) -> Result<Answer<Parked>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            fence: &'a Fence,
            stage: Stage,
            deadline_ms: u64,
            usage: Spent,
        }
        let args = Args {
            id: holder.id,
            fence: &holder.fence,
            stage,
            deadline_ms: millis(deadline),
            usage,
        };
        self.call(&scripts::PARK, &args).await
    }

    /// The track is stored: the job is done. Under the digests in `cache` its tenant finds it again.
    pub async fn complete(
        &self,
        holder: &Holder,
        track: &Track,
        usage: Spent,
        cache: &[String],
    ) -> Result<Answer<Held>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            fence: &'a Fence,
            track: String,
            usage: Spent,
            cache: &'a [String],
        }
        let track = serde_json::to_string(track).map_err(|e| QueueError::Record(e.to_string()))?;
        self.call(
            &scripts::COMPLETE,
            &Args {
                id: holder.id,
                fence: &holder.fence,
                track,
                usage,
                cache,
            },
        )
        .await
    }

    /// The attempt failed; after `delay` the next one may start. No fence: by a role token, while a model holds the job.
    pub async fn fail<'a>(
        &self,
        id: JobId,
        fence: Option<&Fence>,
        failure: impl Into<Failure<'a>>,
        delay: Duration,
        change: Next,
        usage: Spent,
    ) -> Result<Answer<Failed>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            #[serde(skip_serializing_if = "Option::is_none")]
            fence: Option<&'a Fence>,
            error: &'a JobError,
            cause: Cause,
            delay_ms: u64,
            change: Next,
            usage: Spent,
        }
        let Failure { error, cause } = failure.into();
        let args = Args {
            id,
            fence,
            error,
            cause,
            delay_ms: millis(delay),
            change,
            usage,
        };
        let mut answer: Answer<Failed> = self.call(&scripts::FAIL, &args).await?;
        if answer.outcome == Failed::Queued {
            answer.debt.ring_later = Some(delay);
        }
        Ok(answer)
    }

    /// Gives the job back without using up an attempt.
    pub async fn release(
        &self,
        holder: &Holder,
        delay: Duration,
        reason: &str,
        usage: Spent,
    ) -> Result<Answer<Held>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            fence: &'a Fence,
            delay_ms: u64,
            reason: &'a str,
            usage: Spent,
        }
        let args = Args {
            id: holder.id,
            fence: &holder.fence,
            delay_ms: millis(delay),
            reason,
            usage,
        };
        let mut answer: Answer<Held> = self.call(&scripts::RELEASE, &args).await?;
        if answer.outcome == Held::Ok && !delay.is_zero() {
            answer.debt.ring_later = Some(delay);
        }
        Ok(answer)
    }
}
