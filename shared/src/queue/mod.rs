//! The queue: Redis holds the order and the state, one script moves a job from one state to the next.
//!
//! Reading order: `keys`, `lua/prelude.lua`, then one transition after the other in `owner` (what a job's owner does),
//! `worker`, `model` (what a model service reports), `breaker` (what calls show of the services), `control` (what an operator sets), `care` (what the sweep does),
//! `chunks` (in which Redis is compared with the store), `delivery` (what the outside is owed). `reads`,
//! `lists`, `overview` and `signs` change nothing; `identity` is about callers, `sockets` about who listens.

mod breaker;
mod care;
mod chunks;
mod connection;
mod control;
mod delivery;
mod figures;
mod identity;
mod keys;
mod lists;
mod model;
mod overview;
mod owed;
mod owner;
mod reads;
mod record;
mod scripts;
mod signs;
mod sockets;
mod worker;

use std::time::Duration;

use redis::Script;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::breaker::{BUSY_MOST, Breaker, FAILURES, OPEN, Showed};
pub use self::care::{Adopted, Cursor, Mended, Settled, SweepStep};
pub use self::chunks::{Chunk, Handed};
pub use self::connection::Redis;
pub use self::control::{MAX_TENANTS, QueueSettings, Revised, Settings, TenantSettings};
pub use self::delivery::{Attempt, Delivery, Log};
pub use self::figures::Figures;
pub use self::identity::{Attempted, Limit, MAX_REVOKED};
pub use self::keys::{Keys, Owner};
pub use self::lists::{Listed, Page, Position};
pub use self::model::{Heartbeat, Reported};
pub use self::overview::{Overview, RunningJob, TenantLine, Trouble};
pub use self::owed::{
    Delivered, DeliveryState, HostSign, LateMessage, LeasedMessage, Noted, Outcome, Over, Owed,
    Redelivered, Turn,
};
pub use self::owner::{
    Admission, Buried, Cancelled, Deleted, Enqueued, NewJob, Refusal, Reprioritised, Restored,
    Retried,
};
pub use self::reads::{Counts, Eta, Eviction, Found, Glance, Snapshot, Waiting, WhyWaiting};
pub use self::scripts::SCRIPTS;
pub use self::signs::Signs;
pub use self::sockets::{
    Connected, Listener, NewSocket, Notice, SOCKET_LIFE, SUBSCRIPTIONS_MAX, Subscribed, Told,
};
pub use self::worker::{
    Acquired, Cause, Failed, Failure, Held, Holder, Next, Parked, Spent, Troubled,
};

use crate::job::JobId;
use crate::reason::Reason;

/// How long a worker may be silent before its job is given to another.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often a worker renews its lease.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often one audio may be taken for `finish` before the attempt has failed.
pub const FINISH_TAKES: u32 = 3;
/// Ended jobs that Redis keeps of one tenant where nothing else is configured.
const KEPT_JOBS: u32 = 10_000;
/// A job's log takes its progress no faster: two a second.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// A job that fails at once has still cost a turn.
const SHORTEST_TURN: Duration = Duration::from_secs(1);
/// The caller of a transition settles at once; the sweep leaves it that long.
const SETTLE_GRACE: Duration = Duration::from_secs(5);

/// How long a refused submission is remembered: a job that nobody starts expires after a day.
const REFUSED: Duration = Duration::from_secs(24 * 3600);
/// How long a deleted job is remembered: longer than a worker or a request that knows it can live.
const DELETED: Duration = Duration::from_secs(3600);

/// The limits that every script is told: Lua is mechanism, these are the policy.
#[derive(Debug, Clone, Serialize)]
pub struct Policy {
    /// Jobs in `plan` or `audio` at the same time, all tenants together.
    pub slots: u32,
    /// The same for one tenant that has no cap of its own.
    pub cap: u32,
    /// Waiting jobs of one tenant.
    pub max_queued: u32,
    /// Events kept of a job.
    pub events: usize,
    /// Milliseconds an ended and settled job stays in Redis.
    pub retention_ms: u64,
    /// Ended and settled jobs that Redis keeps of one tenant.
    pub kept: u32,
    /// Milliseconds between two events of a job's progress.
    pub progress_ms: u64,
    /// Milliseconds of slot time that a turn costs its tenant at least.
    pub turn_ms: u64,
    /// Milliseconds before the sweep settles what its caller should have settled, and tells of what its caller should have told of.
    pub settle_ms: u64,
    /// Milliseconds that the id of a refused submission stays dead: as long as a job that was restored
    /// by mistake could wait.
    pub refused_ms: u64,
    /// Milliseconds that the id of a deleted job stays dead in Redis; its tombstone lasts longer.
    pub deleted_ms: u64,
    /// Submissions of one tenant in a minute; 0: no limit.
    pub submit_per_minute: u32,
    /// Reads of one tenant in a minute; 0: no limit.
    pub read_per_minute: u32,
    /// Milliseconds that a simulation is ahead of Redis's clock.
    #[cfg(feature = "simulation")]
    pub ahead_ms: u64,
}

impl Policy {
    /// With the built-in times.
    pub fn new(slots: u32, cap: u32, max_queued: u32, retention: Duration) -> Self {
        Self {
            slots,
            cap,
            max_queued,
            events: crate::event::KEPT,
            retention_ms: millis(retention),
            kept: KEPT_JOBS,
            progress_ms: millis(PROGRESS_EVERY),
            turn_ms: millis(SHORTEST_TURN),
            settle_ms: millis(SETTLE_GRACE),
            refused_ms: millis(REFUSED),
            deleted_ms: millis(DELETED),
            submit_per_minute: 0,
            read_per_minute: 0,
            #[cfg(feature = "simulation")]
            ahead_ms: 0,
        }
    }

    /// With another number of ended jobs that are kept of one tenant.
    pub fn keeping(self, kept: u32) -> Self {
        Self { kept, ..self }
    }

    /// With limits on what one tenant may ask for in a minute.
    pub fn limited(self, submit_per_minute: u32, read_per_minute: u32) -> Self {
        Self {
            submit_per_minute,
            read_per_minute,
            ..self
        }
    }
}

/// Redis could not be asked, or its answer was not understood.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No connection: Redis was never asked.
    #[error("redis is out of reach: {0}")]
    OutOfReach(#[source] redis::RedisError),
    /// Asked, and answered too late, not at all, or with an error.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// A script's answer or a stored record has another shape than this version knows.
    #[error("unexpected record in redis: {0}")]
    Record(String),
}

impl QueueError {
    /// Redis certainly did not do what it was asked for.
    pub fn changed_nothing(&self) -> bool {
        match self {
            Self::OutOfReach(_) => true,
            Self::Redis(error) => matches!(
                error.code(),
                Some("OOM" | "READONLY" | "LOADING" | "NOAUTH" | "NOPERM")
            ),
            Self::Record(_) => false,
        }
    }
}

/// Of a Redis that was asked whether it is there.
impl From<&QueueError> for Reason {
    fn from(error: &QueueError) -> Self {
        let (QueueError::OutOfReach(error) | QueueError::Redis(error)) = error else {
            return Self::Malformed;
        };
        match error.code() {
            _ if error.kind() == redis::ErrorKind::AuthenticationFailed => Self::Unauthorized,
            Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Self::Unauthorized,
            Some("READONLY" | "NOREPLICAS") => Self::ReadOnly,
            Some("OOM") => Self::Full,
            Some("MISCONF") => Self::NotSaving,
            Some("BUSY") => Self::Busy,
            Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN") => Self::NotReady,
            _ if error.is_timeout() => Self::Timeout,
            _ if error.is_connection_refusal() => Self::Refused,
            _ if error.is_connection_dropped() => Self::Lost,
            _ => Self::Unreachable,
        }
    }
}

/// What a transition leaves to do for whoever ran it: tell of the news, settle, then ring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "bells that nobody rings are jobs that nobody comes for"]
pub struct Debt {
    /// Bells to ring now.
    pub ring: u32,
    /// One bell more, after this long.
    pub ring_later: Option<Duration>,
    /// Jobs that ended and are not settled yet.
    pub ended: Vec<JobId>,
    /// Jobs that have news for somebody who listens.
    pub notices: Vec<JobId>,
}

impl Debt {
    /// For a caller who acquires, or rings for everybody, right afterwards.
    pub fn without_bells(self) -> Self {
        Self { ring: 0, ..self }
    }
}

/// What a limit that a call was counted against has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Left {
    /// Calls that may come at once.
    pub remaining: u64,
    /// Milliseconds until the whole limit is there again, if none comes.
    pub reset_ms: u64,
}

/// A transition's result together with its debt.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    pub outcome: T,
    pub debt: Debt,
    /// Of the limit that the call was counted against, if there is one.
    pub left: Option<Left>,
}

impl<T> Answer<T> {
    fn with<U>(self, outcome: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            outcome: outcome(self.outcome),
            debt: self.debt,
            left: self.left,
        }
    }
}

/// The queue of one partition.
#[derive(Clone)]
pub struct Queue {
    redis: Redis,
    keys: Keys,
    policy: Policy,
    policy_json: String,
}

#[derive(Deserialize)]
struct Raw<T> {
    #[serde(flatten)]
    outcome: T,
    #[serde(default)]
    ring: u32,
    #[serde(default)]
    ended: Vec<JobId>,
    #[serde(default)]
    notices: Vec<JobId>,
    #[serde(default)]
    quota: Option<Left>,
}

impl Queue {
    /// For one partition over one connection.
    pub fn new(redis: Redis, partition: &str, policy: Policy) -> Self {
        let policy_json = serde_json::to_string(&policy).unwrap_or_default();
        Self {
            redis,
            keys: Keys::new(partition),
            policy,
            policy_json,
        }
    }

    /// The same queue as it will be when that much time has passed and nothing has happened: for simulations.
    #[cfg(feature = "simulation")]
    pub fn ahead(&self, by: Duration) -> Self {
        let ahead_ms = millis(by);
        let policy = Policy {
            ahead_ms,
            ..self.policy.clone()
        };
        let policy_json = serde_json::to_string(&policy).unwrap_or_default();
        Self {
            policy,
            policy_json,
            ..self.clone()
        }
    }

    /// The limits in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The names of this partition's keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The connection that the queue uses.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    async fn call<T: DeserializeOwned>(
        &self,
        script: &Script,
        args: &impl Serialize,
    ) -> Result<Answer<T>, QueueError> {
        let raw: Raw<T> = self.call_plain(script, args).await?;
        Ok(Answer {
            outcome: raw.outcome,
            debt: Debt {
                ring: raw.ring,
                ring_later: None,
                ended: raw.ended,
                notices: raw.notices,
            },
            left: raw.quota,
        })
    }

    async fn call_plain<T: DeserializeOwned>(
        &self,
        script: &Script,
        args: &impl Serialize,
    ) -> Result<T, QueueError> {
        let args = serde_json::to_string(args).map_err(|e| QueueError::Record(e.to_string()))?;
        let mut call = script.key(self.keys.tag());
        call.arg(&self.policy_json).arg(args);
        let text: String = self.redis.invoke(&call).await?;
        serde_json::from_str(&text).map_err(|e| QueueError::Record(e.to_string()))
    }
}

/// Whole milliseconds, as Redis counts.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long the job rests after its `attempt`-th attempt failed: 2·2ⁿ s × U[0.5, 1) with n = attempt − 1, at most about 17 minutes.
pub fn backoff(attempt: u32) -> Duration {
    let doubled = 2_u64 << attempt.saturating_sub(1).min(9);
    Duration::from_secs(doubled).mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_differ() {
        for attempt in 1..=10 {
            let full = Duration::from_secs(2 << (attempt - 1));
            let delays: Vec<_> = (0..50).map(|_| backoff(attempt)).collect();
            assert!(
                delays.iter().all(|d| *d >= full / 2 && *d < full),
                "attempt {attempt}"
            );
            assert!(delays.iter().any(|d| *d != delays[0]));
        }
        assert!(backoff(u32::MAX) < Duration::from_secs(1024));
    }
}
