//! How large a chaos run is, and what its stack is made of.

use std::time::Duration;

use local::{BellFaults, RedisChoice, StackOptions};

/// Slots of the stack: a job whose worker died keeps one until its lease has run out, so there are more than render at a time.
pub const SLOTS: u32 = 32;
/// The same for one tenant.
pub const TENANT_CAP: u32 = 8;
/// Jobs of a tenant that may wait: a burst meets it.
pub const LINE: u32 = 8;
/// Submissions of a tenant in a minute: who goes on and on meets it.
pub const SUBMIT_RATE: u32 = 20;
/// Attempts of a job.
pub const MAX_ATTEMPTS: u32 = 6;
/// A model that has said nothing for so long has lost the attempt.
pub const RENDER_DEADLINE: Duration = Duration::from_secs(4);
/// The sweep period of this stack.
pub const SWEEP: Duration = Duration::from_secs(3);
/// How long a worker's lease is; a freeze lasts longer.
pub const LEASE: Duration = Duration::from_secs(30);
/// A completed report that comes this much later finds another attempt at work.
pub const LATE: Duration = Duration::from_secs(6);

/// One run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    pub seed: u64,
    pub jobs: usize,
    pub tenants: usize,
    pub workers: usize,
    /// Jobs submitted in a second, on average.
    pub pace: f64,
}

impl Options {
    /// The least span in which every kind of fault has its place.
    const SHORTEST: Duration = Duration::from_secs(45);

    /// Two thousand jobs of twenty tenants.
    pub fn long(seed: u64) -> Self {
        Self {
            seed,
            jobs: 2_000,
            tenants: 20,
            workers: 6,
            pace: 2.5,
        }
    }

    /// A run for every day: under two minutes.
    pub fn short(seed: u64) -> Self {
        Self {
            jobs: 150,
            tenants: 10,
            ..Self::long(seed)
        }
    }

    /// Jobs are submitted, and faults begin, for so long.
    pub fn span(&self) -> Duration {
        Duration::from_secs_f64(self.jobs as f64 / self.pace).max(Self::SHORTEST)
    }

    /// Restarts of Redis.
    pub fn restarts(&self) -> usize {
        if self.is_long() { 3 } else { 1 }
    }

    /// Times that Redis is emptied.
    pub fn flushes(&self) -> usize {
        if self.is_long() { 2 } else { 1 }
    }

    /// Times that Redis is full, that the API hangs, and that the object store is away.
    pub fn outages(&self) -> usize {
        if self.is_long() { 3 } else { 1 }
    }

    /// How long the API hangs at most.
    pub fn api_hangs(&self) -> Duration {
        Duration::from_secs(if self.is_long() { 40 } else { 15 })
    }

    /// How long the object store is away at most: in the long form longer than a lease and than all attempts took once.
    pub fn store_away(&self) -> Duration {
        Duration::from_secs(if self.is_long() { 60 } else { 6 })
    }

    /// Times that the wire between the functions and Redis is spoiled.
    pub fn holes(&self) -> usize {
        (self.span().as_secs() as usize / 60).max(3)
    }

    /// Times that a tenant submits more than its line holds, and another one more than its rate.
    pub fn bursts(&self) -> usize {
        (self.jobs / 300).max(1)
    }

    fn is_long(&self) -> bool {
        self.span() >= Duration::from_secs(300)
    }

    /// The stack that is put under faults, and tells the API at `api_url` of every end.
    pub fn stack(&self, api_url: &str) -> StackOptions {
        let set = |name: &str, value: String| (name.to_owned(), value);
        StackOptions {
            redis: RedisChoice::Own { durable: true },
            workers: self.workers,
            bell_faults: BellFaults {
                seed: self.seed,
                drop: 0.1,
                duplicate: 0.1,
            },
            proxy: true,
            comeback: Duration::from_millis(100),
            gpus: SLOTS as usize,
            invocation: Duration::from_secs(30),
            sweep_every: SWEEP,
            env: vec![
                set("SLOTS", SLOTS.to_string()),
                set("TENANT_CAP", TENANT_CAP.to_string()),
                set("MAX_ATTEMPTS", MAX_ATTEMPTS.to_string()),
                set("RENDER_DEADLINE", RENDER_DEADLINE.as_secs().to_string()),
                set("MAX_QUEUED", LINE.to_string()),
                set("SUBMIT_RATE", SUBMIT_RATE.to_string()),
                set("READ_RATE", "0".to_owned()),
                set("API_URL", api_url.to_owned()),
                set("ORCHESTRATOR_TOKEN", "chaos".to_owned()),
            ],
            ..StackOptions::default()
        }
    }
}
