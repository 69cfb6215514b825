//! Messages about the ends of jobs: owed, taken for a while, and what became of them.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::endpoint::{Ending, Line, Target};
use crate::envelope::{Due, DueName, DueTarget};
use crate::job::{JobId, TenantId};
use crate::queue::{
    Delivered, DeliveryState, HostSign, LeasedMessage, Noted, Outcome, Owed, Queue, QueueError,
    Redelivered, Turn, millis, scripts,
};

/// Attempts kept of one message.
const LOG: usize = 20;
/// A line that nobody came to for so long after its message was due is rung for again.
const GRACE: Duration = Duration::from_secs(5);

/// A sender that has not come back by then has lost its message; longer than a call takes.
const LEASE: Duration = Duration::from_secs(60);
/// Messages on their way to one host at the same time.
const HOST_MOST: u32 = 16;
/// Messages to webhooks of one tenant on their way at the same time: fewer, so that one tenant cannot fill a host.
const TENANT_MOST: u32 = 8;
/// Failures in a row after which a line rests, and is tried with one message at a time.
const FAULTS_MOST: u32 = 5;
/// How long it rests first; each further failure doubles it.
const REST: Duration = Duration::from_secs(1);
const REST_MOST: Duration = Duration::from_secs(15);
/// The same message is sent again by hand once in that time.
const GAP: Duration = Duration::from_secs(60);
/// Messages that are sent again by hand in a minute, of one tenant and to one host.
const REDELIVER_PER_MINUTE: u32 = 30;
/// Objects that note what one end owes.
const DUES_MOST: usize = 16;

/// In the set of tenants that have webhooks while it is whole; no tenant's name.
const WHOLE: &str = "*";

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
    pub line: Line,
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

#[derive(Deserialize)]
struct Record {
    url: String,
    line: Line,
    state: DeliveryState,
    due: i64,
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

    /// Puts messages that the end of a job owes into their lines, where these have room; the object of this name notes them. Again changes
    /// nothing, and a later end forgets those of an earlier one.
    pub async fn owe(&self, id: JobId, due: &Due, name: &DueName) -> Result<Owed, QueueError> {
        self.put_in_lines(id, due, name, false).await
    }

    /// The same of messages that waited for room: all of them come in, or none.
    pub async fn bring(&self, id: JobId, due: &Due, name: &DueName) -> Result<Owed, QueueError> {
        self.put_in_lines(id, due, name, true).await
    }

    async fn put_in_lines(
        &self,
        id: JobId,
        due: &Due,
        name: &DueName,
        whole: bool,
    ) -> Result<Owed, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            generation: u32,
            event: Ending,
            due: &'a DueName,
            targets: &'a [DueTarget],
            whole: bool,
        }
        let args = Args {
            id,
            generation: due.generation,
            event: due.event,
            due: name,
            targets: &due.targets,
            whole,
        };
        self.call_plain(&scripts::OWE, &args).await
    }

    /// Takes at most `most` messages that are due, by turns of the lines they stand in.
    pub async fn dispatch(&self, most: usize) -> Result<Turn, QueueError> {
        #[derive(Serialize)]
        struct Args {
            most: usize,
            lease_ms: u64,
            host_most: u32,
            tenant_most: u32,
            faults_most: u32,
        }
        let args = Args {
            most,
            lease_ms: millis(LEASE),
            host_most: HOST_MOST,
            tenant_most: TENANT_MOST,
            faults_most: FAULTS_MOST,
        };
        self.call_plain(&scripts::DISPATCH, &args).await
    }

    /// Notes what became of a message that was taken.
    pub async fn delivered(
        &self,
        message: &LeasedMessage,
        outcome: &Outcome,
    ) -> Result<Delivered, QueueError> {
        #[derive(Serialize)]
        struct Tried<'a> {
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
            take: u32,
            state: DeliveryState,
            again_ms: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            url: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            failing: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            attempt: Option<Tried<'a>>,
            log: usize,
            #[serde(skip_serializing_if = "Option::is_none")]
            host: Option<HostSign>,
            faults_most: u32,
            rest_ms: u64,
            rest_most_ms: u64,
        }
        let mut args = Args {
            id: message.id,
            generation: message.generation,
            target: message.target,
            take: message.take,
            state: DeliveryState::Pending,
            again_ms: 0,
            url: None,
            failing: None,
            attempt: None,
            log: LOG,
            host: None,
            faults_most: FAULTS_MOST,
            rest_ms: millis(REST.mul_f64(1.0 + fastrand::f64() / 2.0)),
            rest_most_ms: millis(REST_MOST),
        };
        match outcome {
            Outcome::Returned(again) => args.again_ms = millis(*again),
            Outcome::Tried {
                state,
                again,
                url,
                failing,
                took,
                status,
                reason,
                host,
            } => {
                args.state = *state;
                args.again_ms = millis(*again);
                args.url = url.as_deref();
                args.failing = failing.as_deref();
                args.attempt = Some(Tried {
                    ms: millis(*took),
                    status: *status,
                    reason: reason.as_deref(),
                });
                args.host = *host;
            }
        }
        self.call_plain(&scripts::DELIVERED, &args).await
    }

    /// Makes messages of an end due at once, whatever became of them, noted in the object of this name.
    pub async fn redeliver(
        &self,
        id: JobId,
        due: &Due,
        name: &DueName,
    ) -> Result<Redelivered, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            generation: u32,
            targets: Vec<Target>,
            due: &'a DueName,
            until: i64,
            gap_ms: u64,
            per_minute: u32,
            dues_most: usize,
        }
        let until = due.targets.iter().map(|to| to.until.timestamp_millis());
        let args = Args {
            id,
            generation: due.generation,
            targets: due.targets.iter().map(|to| to.target).collect(),
            due: name,
            until: until.max().unwrap_or_default(),
            gap_ms: millis(GAP),
            per_minute: REDELIVER_PER_MINUTE,
            dues_most: DUES_MOST,
        };
        self.call_plain(&scripts::REDELIVER, &args).await
    }

    /// Lines with messages that nobody takes though they are due.
    pub async fn due(&self) -> Result<u32, QueueError> {
        #[derive(Serialize)]
        struct Args {
            grace_ms: u64,
        }
        #[derive(Deserialize)]
        struct Found {
            lines: u32,
        }
        let grace_ms = millis(GRACE);
        let found: Found = self.call_plain(&scripts::DUE, &Args { grace_ms }).await?;
        Ok(found.lines)
    }

    /// The messages about a job's last end, as far as Redis knows of them, and whether it knows the job.
    pub async fn deliveries(&self, id: JobId) -> Result<(Option<Log>, bool), QueueError> {
        let key = self.keys.delivery(id);
        let mut pipe = redis::pipe();
        pipe.hgetall(&key).exists(self.keys.job(id));
        let (mut fields, known): (BTreeMap<String, String>, bool) = self.redis.pipe(&pipe).await?;
        let malformed = |what: &str| QueueError::Record(format!("a delivery has a strange {what}"));
        fields.remove("dues");
        let (Some(generation), Some(event)) = (fields.remove("generation"), fields.remove("event"))
        else {
            return Ok((None, known));
        };
        let mut deliveries = Vec::new();
        for (target, text) in &fields {
            let record: Record = serde_json::from_str(text).map_err(|_| malformed("record"))?;
            let next_at = DateTime::from_timestamp_millis(record.due);
            deliveries.push(Delivery {
                target: target.parse().map_err(|_| malformed("target"))?,
                url: record.url,
                line: record.line,
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

    /// What Redis knows of the notes of each of these jobs, in order; `None` where it knows of no message.
    pub async fn noted(&self, ids: &[JobId]) -> Result<Vec<Option<Noted>>, QueueError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.hmget(self.keys.delivery(*id), &["generation", "dues"]);
        }
        let known: Vec<(Option<u32>, Option<String>)> = self.redis.pipe(&pipe).await?;
        let noted = |(generation, dues): (Option<u32>, Option<String>)| {
            let Some(generation) = generation else {
                return Ok(None);
            };
            let names = dues.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text));
            let malformed = |e: serde_json::Error| QueueError::Record(e.to_string());
            let names = names.map_err(malformed)?;
            Ok(Some(Noted { generation, names }))
        };
        known.into_iter().map(noted).collect()
    }

    /// The endpoint is gone or begins anew: its failures are forgotten.
    pub async fn forget_failures(&self, failing: &str) -> Result<(), QueueError> {
        let forget = redis::Cmd::hdel(self.keys.failing(), failing);
        self.redis.run(&forget).await
    }
}
