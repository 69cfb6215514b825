//! Everything that can be asked of the queue.

use std::time::Duration;

use shared::job::JobStatus;
use shared::queue::{Cause, Next, QueueSettings, Refusal, Showed, TenantSettings};
use shared::stage::Stage;

use super::state::Job;

/// Whose fence is shown: the last that was given for the job, whether it still holds or not, or the one before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Latest,
    Former,
}

/// Which generation of a job is meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Era {
    Former,
    Present,
    Next,
}

impl Era {
    pub(super) fn of(self, job: Option<&Job>) -> u32 {
        let present = job.map_or(0, |job| job.generation);
        match self {
            Self::Former => present.saturating_sub(1),
            Self::Present => present,
            Self::Next => present + 1,
        }
    }
}

/// What ends a wait of one job.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    Lease,
    Delayed,
    Finish,
    StartBy,
    FinishBy,
    Outbox,
}

impl Clock {
    pub(super) const ALL: [Self; 6] = [
        Self::Lease,
        Self::Delayed,
        Self::Finish,
        Self::StartBy,
        Self::FinishBy,
        Self::Outbox,
    ];
}

#[derive(Debug, Clone, Copy)]
pub(super) struct New {
    pub(super) level: u32,
    pub(super) cost: u32,
    pub(super) attempts: u32,
    /// Milliseconds since it was accepted.
    pub(super) ago: u64,
}

/// What the result cache has answered.
pub(super) const CACHED: New = New {
    level: 1,
    cost: 30,
    attempts: 3,
    ago: 0,
};

#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) retryable: bool,
    pub(super) cause: Cause,
    pub(super) delay: Duration,
    pub(super) next: Next,
}

/// The number is the job's. `None` in place of a fence or a render key: by a role token.
#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Whether a refusal kills the id.
    Enqueue(u8, New, Refusal),
    EnqueueCached(u8),
    Restore(u8, New, Stage, u32),
    Acquire,
    Renew(u8, Who),
    Advance(u8, Who, Stage),
    Park(u8, Who, Stage),
    /// With the track of this seed.
    Complete(u8, Who, u32),
    Fail(u8, Option<Who>, Failure),
    Release(u8, Who, Duration),
    /// With or without figures.
    Progress(u8, Option<Who>, bool),
    /// Of this generation, and of a seed that is so much higher than the job's.
    Report(u8, Stage, Option<(Era, u32)>),
    Cancel(u8),
    Retry(u8, Era),
    /// The same of a job that Redis has forgotten.
    RetryForgotten(u8, New, u32),
    /// Its submission is given up.
    Refuse(u8),
    /// Redis no longer remembers that the id is dead.
    Lapse(u8),
    Reprioritise(u8, u32),
    Delete(u8),
    /// Under a new revision or under the one in force.
    SetQueue(bool, QueueSettings),
    SetTenant(&'static str, bool, TenantSettings),
    Load,
    /// Of the one service that no job can do without.
    Breaker(Showed),
    /// The time is over for which it is left alone.
    LeftAlone,
    Sweep,
    Expire,
    Settle(u8, Era),
    Adopt(u8, Era, JobStatus),
    /// A moment that a job waits for passes.
    Pass(u8, Clock),
}
