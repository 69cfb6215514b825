//! What the sweep does, and settling.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::JobId;
use crate::queue::{Answer, Queue, QueueError, millis, scripts};

/// What one step of the sweep saw.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SweepStep {
    /// More of the same is due: take another step.
    pub busy: bool,
    /// Where the next step goes on among the tenants; empty when it went round.
    pub after: String,
    /// Ended jobs that nobody has settled.
    #[serde(default)]
    pub unsettled: Vec<JobId>,
    /// Jobs that could be given out now.
    pub bells: u32,
    /// False: Redis was emptied since the last full reconcile.
    pub epoch: bool,
}

/// Answer of `settle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Settled {
    Ok {
        /// Failed tries so far, where it was put off.
        #[serde(default)]
        tries: u32,
    },
    /// Retried or forgotten meanwhile.
    Stale,
}

#[derive(Deserialize)]
struct Expired {
    count: u32,
}

impl Queue {
    /// One bounded step: rescue, promote, refresh some tenants.
    pub async fn sweep(&self, after: &str) -> Result<Answer<SweepStep>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            after: &'a str,
        }
        self.call(&scripts::SWEEP, &Args { after }).await
    }

    /// Ends at most 32 jobs whose time is over; says how many it looked at.
    pub async fn expire(&self) -> Result<Answer<u32>, QueueError> {
        #[derive(Serialize)]
        struct Args {}
        let answer: Answer<Expired> = self.call(&scripts::EXPIRE, &Args {}).await?;
        Ok(Answer {
            outcome: answer.outcome.count,
            debt: answer.debt,
        })
    }

    /// The ended job owes nothing more: Redis may forget it after the retention time.
    pub async fn settle(&self, id: JobId, generation: u32) -> Result<Settled, QueueError> {
        self.settle_or_later(id, generation, None).await
    }

    /// Something it owes could not be done: the sweep tries again after `delay` × U[1, 1.5), doubled with each try.
    pub async fn settle_later(
        &self,
        id: JobId,
        generation: u32,
        delay: Duration,
    ) -> Result<Settled, QueueError> {
        let jittered = delay.mul_f64(1.0 + fastrand::f64() / 2.0);
        self.settle_or_later(id, generation, Some(millis(jittered)))
            .await
    }

    async fn settle_or_later(
        &self,
        id: JobId,
        generation: u32,
        again_ms: Option<u64>,
    ) -> Result<Settled, QueueError> {
        #[derive(Serialize)]
        struct Args {
            id: JobId,
            generation: u32,
            #[serde(skip_serializing_if = "Option::is_none")]
            again_ms: Option<u64>,
        }
        self.call_plain(
            &scripts::SETTLE,
            &Args {
                id,
                generation,
                again_ms,
            },
        )
        .await
    }

    /// Where the reconcile of the store goes on: the last job id it looked at, or empty.
    pub async fn reconcile_cursor(&self) -> Result<Option<JobId>, QueueError> {
        let get = redis::Cmd::hget(self.keys.clock(), "reconcile");
        let text: Option<String> = self.redis.run(&get).await?;
        Ok(text.and_then(|t| t.parse().ok()))
    }

    /// Remembers it.
    pub async fn set_reconcile_cursor(&self, at: Option<JobId>) -> Result<(), QueueError> {
        let clock = self.keys.clock();
        let remember = match at {
            Some(id) => redis::Cmd::hset(clock, "reconcile", id.to_string()),
            None => redis::Cmd::hdel(clock, "reconcile"),
        };
        self.redis.run(&remember).await
    }

    /// When it was first noticed that Redis had been emptied: `now` at the first call of an epoch that has not begun.
    pub async fn emptied_at(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, QueueError> {
        let clock = self.keys.clock();
        let mut pipe = redis::pipe();
        pipe.hset_nx(&clock, "emptied_ms", now.timestamp_millis())
            .ignore()
            .hget(&clock, "emptied_ms");
        let (ms,): (i64,) = self.redis.pipe(&pipe).await?;
        DateTime::from_timestamp_millis(ms)
            .ok_or_else(|| QueueError::Record(format!("emptied_ms is {ms}")))
    }

    /// Every unfinished job of the store is known here: the epoch begins.
    pub async fn begin_epoch(&self) -> Result<(), QueueError> {
        let clock = self.keys.clock();
        let mut pipe = redis::pipe();
        pipe.hset_nx(&clock, "epoch", Uuid::now_v7().to_string())
            .ignore()
            .hdel(&clock, "emptied_ms")
            .ignore();
        self.redis.pipe(&pipe).await
    }
}
