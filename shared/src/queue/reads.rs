//! What is read of jobs without changing them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Event, EventPage};
use crate::job::{JobId, JobRecord, JobStatus, TenantId};
use crate::priority::Priority;
use crate::queue::record::{self, Fields};
use crate::queue::{Left, Owner, Queue, QueueError, millis, scripts};

/// One job as Redis knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub job: JobRecord,
    /// The track of a completed job, else the last error; JSON.
    pub outcome: Option<String>,
    /// Jobs before it in its own line, while it stands there.
    pub position: Option<u64>,
    /// When it will probably start; not while somebody has paused it.
    pub eta: Option<Eta>,
    /// Of a waiting job.
    pub waiting: Option<WhyWaiting>,
    /// It ended, and only Redis knows: an emptied one would forget how.
    pub unrecorded: bool,
}

/// Milliseconds until a job starts, as waits of this size turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Eta {
    /// Half of the jobs started sooner.
    pub p50: u64,
    /// Nine in ten did.
    pub p90: u64,
}

/// Why a job waits at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WhyWaiting {
    /// `retry_delay`, `queue_paused`, `tenant_paused`, `hold`, `line`, `cap`, `slots`, `turn`, `starting` or `finish`.
    pub code: String,
    /// Jobs before it in its own line.
    pub ahead: Option<u64>,
    /// When that is over, in ms since 1970, where it is known.
    pub until_ms: Option<i64>,
}

/// A job as cheaply as it can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    pub status: JobStatus,
    /// Number of the newest event.
    pub seq: u64,
    pub generation: u32,
    pub priority: Priority,
}

/// Answer of a read on behalf of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    Job(Box<Snapshot>),
    Unknown,
    /// This tenant reads too fast.
    Limited {
        /// When the next one is within the limit.
        retry_ms: u64,
    },
}

/// Answer of `wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Waiting {
    Ok,
    /// Too many wait already, of all tenants or of this one.
    Full,
}

/// What Redis does with its keys when it is full (`maxmemory-policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// It keeps them and refuses new work, as the queue needs it.
    Never,
    /// It drops some: jobs lose their places, and the sweep puts them back.
    WhenFull,
}

/// Figures for `/metrics`: sizes only, each read in constant time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: u64,
    pub finishing: u64,
    pub delayed: u64,
    pub ready_tenants: u64,
    pub unsettled: u64,
    pub dead: u64,
    pub queued: u64,
    pub completed: u64,
    pub failed: u64,
    /// In force.
    pub slots: u64,
    /// Seconds since the sweep's last round, if there was one.
    pub sweep_age: Option<u64>,
}

/// Arguments of a script about one job.
#[derive(Serialize)]
struct One {
    id: JobId,
}

#[derive(Deserialize)]
struct RawSnapshot {
    outcome: String,
    #[serde(default)]
    retry_ms: u64,
    quota: Option<Left>,
    fields: Option<Fields>,
    result: Option<String>,
    #[serde(default)]
    logged: u64,
    position: Option<u64>,
    eta: Option<(u64, u64)>,
    waiting: Option<WhyWaiting>,
    #[serde(default)]
    unrecorded: bool,
}

impl Queue {
    /// One job, in one round trip.
    pub async fn read(&self, id: JobId) -> Result<Option<Snapshot>, QueueError> {
        Ok(match self.look_up(id, None).await?.0 {
            Found::Job(snapshot) => Some(*snapshot),
            Found::Unknown | Found::Limited { .. } => None,
        })
    }

    /// The same, counted against the tenant's limit, with what that has left.
    pub async fn read_for(
        &self,
        id: JobId,
        tenant: &TenantId,
    ) -> Result<(Found, Option<Left>), QueueError> {
        self.look_up(id, Some(tenant)).await
    }

    async fn look_up(
        &self,
        id: JobId,
        tenant: Option<&TenantId>,
    ) -> Result<(Found, Option<Left>), QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            #[serde(skip_serializing_if = "Option::is_none")]
            tenant: Option<&'a TenantId>,
        }
        let raw: RawSnapshot = self
            .call_plain(&scripts::READ, &Args { id, tenant })
            .await?;
        let fields = match (raw.outcome.as_str(), raw.fields) {
            ("found", Some(fields)) => fields,
            ("limited", _) => {
                let retry_ms = raw.retry_ms;
                return Ok((Found::Limited { retry_ms }, raw.quota));
            }
            _ => return Ok((Found::Unknown, raw.quota)),
        };
        let found = Found::Job(Box::new(Snapshot {
            job: record::parse(id, &fields, raw.logged)?,
            outcome: raw.result,
            position: raw.position,
            eta: raw.eta.map(|(p50, p90)| Eta { p50, p90 }),
            waiting: raw.waiting,
            unrecorded: raw.unrecorded,
        }));
        Ok((found, raw.quota))
    }

    /// `None` for an unknown job.
    pub async fn glance(&self, id: JobId) -> Result<Option<Glance>, QueueError> {
        #[derive(Deserialize)]
        struct Raw {
            status: Option<JobStatus>,
            seq: u64,
            generation: Option<u32>,
            level: Option<u32>,
        }
        let raw: Raw = self.call_plain(&scripts::GLANCE, &One { id }).await?;
        Ok(raw.status.map(|status| Glance {
            status,
            seq: raw.seq,
            generation: raw.generation.unwrap_or(0),
            priority: raw.level.and_then(Priority::of_level).unwrap_or_default(),
        }))
    }

    /// The events after `after`, at most 200.
    pub async fn events(&self, id: JobId, after: u64) -> Result<Option<EventPage>, QueueError> {
        #[derive(Deserialize)]
        struct Raw {
            known: bool,
            base: u64,
            queued_ms: i64,
            #[serde(default)]
            log: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Stored {
            #[serde(with = "chrono::serde::ts_milliseconds")]
            at: DateTime<Utc>,
            #[serde(flatten)]
            rest: serde_json::Map<String, serde_json::Value>,
        }
        let raw: Raw = self.call_plain(&scripts::EVENTS, &One { id }).await?;
        if !raw.known {
            return Ok(None);
        }
        let (base, mut texts) = (raw.base, raw.log);
        if texts.is_empty() {
            texts.push(first_event(raw.queued_ms));
        }
        let malformed = |e: serde_json::Error| QueueError::Record(e.to_string());
        let seq = base + texts.len() as u64;
        let mut events = Vec::new();
        for (number, text) in (base + 1..)
            .zip(&texts)
            .filter(|(number, _)| *number > after)
        {
            let stored: Stored = serde_json::from_str(text).map_err(malformed)?;
            let mut value = stored.rest;
            value.insert(
                "at".to_owned(),
                serde_json::to_value(stored.at).map_err(malformed)?,
            );
            let mut event: Event = serde_json::from_value(value.into()).map_err(malformed)?;
            event.seq = number;
            events.push(event);
        }
        Ok(Some(EventPage {
            events,
            gap: after < base,
            seq,
        }))
    }

    /// Counts a long-polling caller of a tenant in, for at most `length`; zero counts it out.
    pub async fn wait(
        &self,
        waiter: Uuid,
        tenant: &TenantId,
        length: Duration,
        most: u32,
    ) -> Result<Waiting, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            waiter: Uuid,
            tenant: &'a TenantId,
            for_ms: u64,
            most: u32,
        }
        let args = Args {
            waiter,
            tenant,
            for_ms: millis(length),
            most,
        };
        self.call_plain(&scripts::WAIT, &args).await
    }

    /// Sizes of the sets.
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        let k = &self.keys;
        let all = |status| k.by_user(&Owner::Everybody, status);
        let mut pipe = redis::pipe();
        for key in [
            k.lease(),
            k.finish(),
            k.delayed(),
            k.ready(),
            k.outbox(),
            k.dead(),
        ] {
            pipe.zcard(key);
        }
        pipe.zcard(all("queued"))
            .zcard(all("completed"))
            .zcard(all("failed"))
            .hget(k.control(), "slots")
            .hget(k.clock(), "swept_ms");
        let n: Vec<Option<u64>> = self.redis.pipe(&pipe).await?;
        let now = u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default();
        let [counts @ .., slots, swept_ms] = &n[..] else {
            return Err(QueueError::Record("no counts".to_owned()));
        };
        let counts: Vec<u64> = counts.iter().map(|n| n.unwrap_or(0)).collect();
        let [
            running,
            finishing,
            delayed,
            ready_tenants,
            unsettled,
            dead,
            queued,
            completed,
            failed,
        ] = counts[..]
        else {
            return Err(QueueError::Record(format!("{} counts", n.len())));
        };
        Ok(Counts {
            running,
            finishing,
            delayed,
            ready_tenants,
            unsettled,
            dead,
            queued,
            completed,
            failed,
            slots: slots.unwrap_or(self.policy.slots.into()),
            sweep_age: swept_ms.map(|ms| now.saturating_sub(ms) / 1000),
        })
    }

    /// A tenant's waiting and running jobs.
    pub async fn line_of(&self, tenant: &TenantId) -> Result<(u64, u64), QueueError> {
        let mut pipe = redis::pipe();
        pipe.zcard(self.keys.line(tenant))
            .zcard(self.keys.running(tenant));
        self.redis.pipe(&pipe).await
    }

    /// Writes as new work does: refused by a Redis that is full, read-only or cannot save.
    pub async fn probe(&self) -> Result<Eviction, QueueError> {
        #[derive(Serialize)]
        struct Args {}
        #[derive(Deserialize)]
        struct Raw {
            policy: String,
        }
        let raw: Raw = self.call_plain(&scripts::PROBE, &Args {}).await?;
        Ok(match raw.policy.as_str() {
            "noeviction" => Eviction::Never,
            _ => Eviction::WhenFull,
        })
    }
}

/// The log of a job that has only been enqueued: its list begins with the next event.
fn first_event(queued_ms: i64) -> String {
    let event = serde_json::json!({
        "event": "job:status", "at": queued_ms, "status": "queued", "stage": "plan", "attempt": 1, "reason": "enqueued",
    });
    event.to_string()
}
