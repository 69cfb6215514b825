//! Messages to webhooks: owed, taken for a while, and what became of them.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::endpoint::{Ending, Target};
use crate::envelope::{Due, DueTarget};
use crate::job::{JobId, TenantId};
use crate::queue::{Queue, QueueError, millis, scripts};

/// Attempts kept of one message.
const LOG: usize = 20;
/// A message that was not taken for so long after it was due is rung for again.
const GRACE: Duration = Duration::from_secs(5);

/// In the set of tenants that have webhooks while it is whole; no tenant's name.
const WHOLE: &str = "*";

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is on its way, or tried again at `nextAt`.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It will not be tried again by itself.
    GivenUp,
    /// The endpoint is disabled or gone.
    Disabled,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its beginning.
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    /// How long it took, in ms.
    pub ms: u64,
    /// Of the answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// Why it was no success.
    #[serde(default)]
    pub reason: Option<String>,
}

/// One message, with its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub target: Target,
    /// As it may be shown.
    pub url: String,
    pub state: DeliveryState,
    pub next_at: Option<DateTime<Utc>>,
    /// The oldest first, at most 20.
    pub attempts: Vec<Attempt>,
}

/// What Redis knows of the messages about the last end of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub generation: u32,
    pub event: Ending,
    pub deliveries: Vec<Delivery>,
}

/// A message that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Taken {
    pub target: Target,
    /// Tries with this one.
    pub tries: u32,
}

/// Messages of one end of a job that were taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TakenAll {
    pub generation: u32,
    pub event: Ending,
    pub taken: Vec<Taken>,
}

/// What became of a message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub state: DeliveryState,
    /// Until the next try, where it is pending.
    pub again: Duration,
    /// Where it went, as it may be shown.
    pub url: Option<String>,
    /// The name under which the endpoint's failures are counted.
    pub failing: Option<String>,
    pub took: Duration,
    pub status: Option<u16>,
    pub reason: Option<String>,
}

/// Answer of `owe` and of `delivered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Delivered {
    Ok {
        /// Messages of the job that are not over.
        pending: u32,
        /// How long the endpoint has failed without a success.
        #[serde(default)]
        failing_ms: Option<u64>,
    },
    /// Somebody else took it since, the job ended anew, or was deleted.
    Stale,
}

#[derive(Deserialize)]
struct Record {
    url: String,
    state: DeliveryState,
    #[serde(default)]
    attempts: Vec<Attempt>,
}

impl Queue {
    /// Whether a tenant may have webhooks; `None` while Redis does not know of all that have.
    pub async fn is_hooked(&self, tenant: &TenantId) -> Result<Option<bool>, QueueError> {
        let mut command = redis::cmd("SMISMEMBER");
        command
            .arg(self.keys.hooked())
            .arg(tenant.as_str())
            .arg(WHOLE);
        let (hooked, whole): (bool, bool) = self.redis.run(&command).await?;
        // What is known is known, whatever else is missing.
        Ok((hooked || whole).then_some(hooked))
    }

    /// These tenants may have webhooks; with `all` nobody else has.
    pub async fn hook(&self, tenants: &[TenantId], all: bool) -> Result<(), QueueError> {
        let whole = all.then_some(WHOLE);
        let names: Vec<&str> = tenants.iter().map(TenantId::as_str).chain(whole).collect();
        if names.is_empty() {
            return Ok(());
        }
        let add = redis::Cmd::sadd(self.keys.hooked(), names);
        self.redis.write(&add).await
    }

    /// Messages that the end of a job owes; again changes nothing, and a later end forgets those of an earlier one.
    pub async fn owe(&self, id: JobId, due: &Due) -> Result<Delivered, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            generation: u32,
            event: Ending,
            targets: &'a [DueTarget],
        }
        let args = Args {
            id,
            generation: due.generation,
            event: due.event,
            targets: &due.targets,
        };
        self.call_plain(&scripts::OWE, &args).await
    }

    /// Takes at most `most` messages of a job that are due; whoever does not come back within `lease` has lost them.
    pub async fn dispatch(
        &self,
        id: JobId,
        most: usize,
        lease: Duration,
    ) -> Result<Option<TakenAll>, QueueError> {
        #[derive(Serialize)]
        struct Args {
            id: JobId,
            most: usize,
            lease_ms: u64,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Answer {
            Some(TakenAll),
            None {},
        }
        let lease_ms = millis(lease);
        let args = Args { id, most, lease_ms };
        Ok(match self.call_plain(&scripts::DISPATCH, &args).await? {
            Answer::Some(taken) => Some(taken),
            Answer::None {} => None,
        })
    }

    /// Notes what became of a message that was taken.
    pub async fn delivered(
        &self,
        id: JobId,
        generation: u32,
        taken: Taken,
        outcome: &Outcome,
    ) -> Result<Delivered, QueueError> {
        #[derive(Serialize)]
        struct Said<'a> {
            ms: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: Option<u16>,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
        }
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            generation: u32,
            target: Target,
            tries: u32,
            state: DeliveryState,
            again_ms: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            url: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            failing: Option<&'a str>,
            attempt: Said<'a>,
            log: usize,
        }
        let args = Args {
            id,
            generation,
            target: taken.target,
            tries: taken.tries,
            state: outcome.state,
            again_ms: millis(outcome.again),
            url: outcome.url.as_deref(),
            failing: outcome.failing.as_deref(),
            attempt: Said {
                ms: millis(outcome.took),
                status: outcome.status,
                reason: outcome.reason.as_deref(),
            },
            log: LOG,
        };
        self.call_plain(&scripts::DELIVERED, &args).await
    }

    /// Makes messages due at once, whatever became of them; says how many.
    pub async fn redeliver(&self, id: JobId, targets: &[Target]) -> Result<u32, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            targets: &'a [Target],
        }
        #[derive(Deserialize)]
        struct Again {
            again: u32,
        }
        let answer: Again = self
            .call_plain(&scripts::REDELIVER, &Args { id, targets })
            .await?;
        Ok(answer.again)
    }

    /// Jobs with messages that nobody takes though they are due, and whether there may be more after 16 messages from `offset` on.
    pub async fn due(&self, offset: usize) -> Result<(Vec<JobId>, bool), QueueError> {
        #[derive(Serialize)]
        struct Args {
            offset: usize,
            grace_ms: u64,
        }
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            jobs: Vec<JobId>,
            more: bool,
        }
        let grace_ms = millis(GRACE);
        let found: Found = self
            .call_plain(&scripts::DUE, &Args { offset, grace_ms })
            .await?;
        Ok((found.jobs, found.more))
    }

    /// The messages about a job's last end, as far as Redis knows of them, and whether it knows the job.
    pub async fn deliveries(&self, id: JobId) -> Result<(Option<Log>, bool), QueueError> {
        let key = self.keys.delivery(id);
        let mut pipe = redis::pipe();
        pipe.hgetall(&key).exists(self.keys.job(id));
        let (mut fields, known): (BTreeMap<String, String>, bool) = self.redis.pipe(&pipe).await?;
        let malformed = |what: &str| QueueError::Record(format!("a delivery has a strange {what}"));
        let (Some(generation), Some(event)) = (fields.remove("generation"), fields.remove("event"))
        else {
            return Ok((None, known));
        };
        let mut scores = redis::pipe();
        for target in fields.keys() {
            scores.zscore(self.keys.deliveries(), format!("{id}:{target}"));
        }
        let due: Vec<Option<f64>> = match fields.is_empty() {
            true => Vec::new(),
            false => self.redis.pipe(&scores).await?,
        };
        let mut deliveries = Vec::new();
        for ((target, text), due) in fields.iter().zip(due) {
            let record: Record = serde_json::from_str(text).map_err(|_| malformed("record"))?;
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds fit")]
            let next_at = due.and_then(|ms| DateTime::from_timestamp_millis(ms as i64));
            deliveries.push(Delivery {
                target: target.parse().map_err(|_| malformed("target"))?,
                url: record.url,
                state: record.state,
                next_at: next_at.filter(|_| record.state == DeliveryState::Pending),
                attempts: record.attempts,
            });
        }
        let log = Log {
            generation: generation.parse().map_err(|_| malformed("generation"))?,
            event: serde_json::from_value(event.into()).map_err(|_| malformed("event"))?,
            deliveries,
        };
        Ok((Some(log), known))
    }

    /// The endpoint is gone or begins anew: its failures are forgotten.
    pub async fn forget_failures(&self, failing: &str) -> Result<(), QueueError> {
        let forget = redis::Cmd::hdel(self.keys.failing(), failing);
        self.redis.run(&forget).await
    }
}
