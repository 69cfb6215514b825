//! What the sweep does, and settling.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::envelope::Open;
use crate::job::{JobId, JobRecord, JobStatus};
use crate::queue::{Answer, Queue, QueueError, scripts};
use crate::stage::Stage;

/// What one step of the sweep saw.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SweepStep {
    /// More of the same is due: take another step.
    pub busy: bool,
    /// Where the next step goes on among the tenants; empty when it went round.
    pub after: String,
    /// Jobs whose listeners were not told of what is new.
    #[serde(default)]
    pub unheard: Vec<JobId>,
    /// Jobs that could be given out now.
    pub bells: u32,
    /// False: since it was last compared with the whole store, Redis was emptied, restarted or replaced, or has evicted keys.
    pub epoch: bool,
}

/// A place on the way round everything that Redis and the store know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// Among the live jobs of Redis: the end of the time of the next one, ms.
    Live(i64),
    /// Among the jobs with messages that are not over: the last one.
    Due(Option<JobId>),
    /// Among the markers of the store: the last one. Where some were too young to be looked at, all of it comes `again`.
    Open { after: Option<Open>, again: bool },
    /// Behind all of them.
    Listed { again: bool },
}

/// Answer of `settle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Settled {
    Ok {
        /// This call took it out of the outbox; others that settled it meanwhile did not.
        first: bool,
    },
    /// Retried or forgotten meanwhile.
    Stale,
}

/// Answer of `mend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Mended {
    /// It stood where it belongs, or has ended.
    Whole,
    /// It stood nowhere, and is in its line again.
    Mended,
    Unknown,
}

/// Answer of `adopt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Adopted {
    Ok,
    /// Redis knew that it had ended.
    Ended,
    /// Redis knows of a retry that the manifest does not.
    Newer,
    Unknown,
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

    /// Takes at most `most` ended jobs that nobody has settled; each comes again later until it is settled.
    pub async fn unsettled(&self, most: u32) -> Result<Vec<JobId>, QueueError> {
        #[derive(Serialize)]
        struct Args {
            most: u32,
        }
        #[derive(Deserialize)]
        struct Taken {
            #[serde(default)]
            jobs: Vec<JobId>,
        }
        let taken: Taken = self.call_plain(&scripts::UNSETTLED, &Args { most }).await?;
        Ok(taken.jobs)
    }

    /// Ends at most 100 jobs whose time is over; says how many it looked at.
    pub async fn expire(&self) -> Result<Answer<u32>, QueueError> {
        #[derive(Serialize)]
        struct Args {}
        let answer: Answer<Expired> = self.call(&scripts::EXPIRE, &Args {}).await?;
        Ok(answer.with(|expired| expired.count))
    }

    /// What the ended job owes is noted: Redis may forget it after the retention time.
    pub async fn settle(&self, id: JobId, generation: u32) -> Result<Settled, QueueError> {
        #[derive(Serialize)]
        struct Args {
            id: JobId,
            generation: u32,
        }
        self.call_plain(&scripts::SETTLE, &Args { id, generation })
            .await
    }

    /// Ends a job that Redis believes to be live as its manifest says it ended: Redis was rolled back.
    pub async fn adopt(
        &self,
        job: &JobRecord,
        result: Option<String>,
    ) -> Result<Answer<Adopted>, QueueError> {
        #[derive(Serialize)]
        struct Args {
            id: JobId,
            generation: u32,
            status: JobStatus,
            stage: Stage,
            attempt: u32,
            seed: u32,
            seq: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            result: Option<String>,
        }
        let args = Args {
            id: job.id,
            generation: job.generation,
            status: job.status,
            stage: job.stage,
            attempt: job.attempt,
            seed: job.seed,
            seq: job.seq,
            result,
        };
        self.call(&scripts::ADOPT, &args).await
    }

    /// Where the comparison of Redis with the store goes on; `None` at its start.
    pub async fn reconcile_cursor(&self) -> Result<Option<Cursor>, QueueError> {
        let get = redis::Cmd::hget(self.keys.clock(), "reconcile");
        let text: Option<String> = self.redis.run(&get).await?;
        Ok(text.and_then(|t| serde_json::from_str(&t).ok()))
    }

    /// Remembers it.
    pub async fn set_reconcile_cursor(&self, at: Option<Cursor>) -> Result<(), QueueError> {
        let clock = self.keys.clock();
        match at {
            Some(at) => {
                let text =
                    serde_json::to_string(&at).map_err(|e| QueueError::Record(e.to_string()))?;
                let remember = redis::Cmd::hset(clock, "reconcile", text);
                self.redis.write(&remember).await
            }
            None => self.redis.run(&redis::Cmd::hdel(clock, "reconcile")).await,
        }
    }

    /// Remembers that a round of the sweep is over, and how much it could not read or settle.
    pub async fn round_over(&self, now: DateTime<Utc>, passed_over: u32) -> Result<(), QueueError> {
        let fields = [
            ("swept_ms", now.timestamp_millis()),
            ("passed_over", passed_over.into()),
        ];
        let swept = redis::Cmd::hset_multiple(self.keys.clock(), &fields);
        self.redis.write(&swept).await
    }

    /// When it was first noticed that Redis had been emptied: `now` at the first call of an epoch that has not begun.
    pub async fn emptied_at(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, QueueError> {
        let clock = self.keys.clock();
        let first = redis::Cmd::hset_nx(&clock, "emptied_ms", now.timestamp_millis());
        let () = self.redis.write(&first).await?;
        let ms: i64 = self
            .redis
            .run(&redis::Cmd::hget(&clock, "emptied_ms"))
            .await?;
        DateTime::from_timestamp_millis(ms)
            .ok_or_else(|| QueueError::Record(format!("emptied_ms is {ms}")))
    }

    /// Redis and the store agree on every unfinished job: the epoch of this server begins.
    pub async fn begin_epoch(&self) -> Result<(), QueueError> {
        let clock = self.keys.clock();
        let epoch = redis::Cmd::hset_nx(&clock, "epoch", Uuid::now_v7().to_string());
        let () = self.redis.write(&epoch).await?;
        self.redis
            .run(&redis::Cmd::hdel(&clock, "emptied_ms"))
            .await
    }

    /// Gives a job whose record is there the places back that Redis has evicted.
    pub async fn mend(&self, id: JobId) -> Result<Answer<Mended>, QueueError> {
        #[derive(Serialize)]
        struct Args {
            id: JobId,
        }
        self.call(&scripts::MEND, &Args { id }).await
    }
}
