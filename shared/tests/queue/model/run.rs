//! What the queue is to answer to each command, with what it owes; the transitions themselves are beside it.

use shared::queue::{Adopted, Buried, Cancelled, Debt, Deleted, Enqueued, Failed, Heartbeat, Held};
use shared::queue::{Parked, Reported, Reprioritised, Retried, Settled, Showed, SweepStep};

use super::command::Command;
use super::state::Model;

/// What the queue answers to a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) outcome: Outcome,
    pub(super) debt: Debt,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Enqueued(Enqueued),
    Given {
        job: u8,
        fence: u64,
    },
    Empty,
    Saturated,
    Held,
    Paused,
    Unconfigured,
    Renewed(Held),
    Worker(Held),
    Parked(Parked),
    Failed(Failed),
    Heartbeat(Heartbeat),
    Reported(Reported),
    Cancelled(Cancelled),
    Retried(Retried),
    Reprioritised(Reprioritised),
    Deleted(Deleted),
    Refused(Buried),
    Configured(u32),
    Swept(SweepStep),
    Expired(u32),
    Settled(Settled),
    Adopted(Adopted),
    /// Whether the service may be called.
    Breaker(bool),
    Nothing,
}

impl Model {
    /// One command at the next millisecond.
    pub(super) fn run(&mut self, command: &Command) -> Said {
        self.now += 1;
        self.ended.clear();
        let outcome = self.outcome(command);
        let later = match (&outcome, command) {
            (Outcome::Failed(Failed::Queued), Command::Fail(_, _, failure)) => Some(failure.delay),
            (Outcome::Worker(Held::Ok), Command::Release(_, _, delay)) if !delay.is_zero() => {
                Some(*delay)
            }
            _ => None,
        };
        let debt = match outcome {
            Outcome::Renewed(_)
            | Outcome::Heartbeat(_)
            | Outcome::Settled(_)
            | Outcome::Deleted(_)
            | Outcome::Refused(_)
            | Outcome::Nothing => Debt::default(),
            Outcome::Swept(_) => self.debt(0),
            Outcome::Configured(_) => self.debt(10),
            Outcome::Breaker(_) if matches!(command, Command::Breaker(Showed::Answered)) => {
                self.debt(10)
            }
            _ => Debt {
                ring_later: later,
                ..self.debt(1)
            },
        };
        Said { outcome, debt }
    }

    fn outcome(&mut self, command: &Command) -> Outcome {
        match *command {
            Command::Enqueue(n, new, refusal) => Outcome::Enqueued(self.enqueue(n, new, refusal)),
            Command::EnqueueCached(n) => Outcome::Enqueued(self.enqueue_cached(n)),
            Command::Restore(n, new, stage, generation) => {
                Outcome::Enqueued(self.restore(n, new, stage, generation))
            }
            Command::Acquire => self.acquire(),
            Command::Renew(n, who) => Outcome::Renewed(self.renew(n, who)),
            Command::Advance(n, who, to) => Outcome::Worker(self.advance(n, who, to)),
            Command::Park(n, who, stage) => Outcome::Parked(self.park(n, who, stage)),
            Command::Complete(n, who, seed) => Outcome::Worker(self.complete(n, who, seed)),
            Command::Fail(n, who, failure) => Outcome::Failed(self.fail(n, who, failure)),
            Command::Release(n, who, delay) => Outcome::Worker(self.release(n, who, delay)),
            Command::Progress(n, who, figures) => {
                Outcome::Heartbeat(self.progress(n, who, figures))
            }
            Command::Report(n, stage, render) => Outcome::Reported(self.report(n, stage, render)),
            Command::Cancel(n) => Outcome::Cancelled(self.cancel(n)),
            Command::Retry(n, era) => Outcome::Retried(self.retry(n, era)),
            Command::RetryForgotten(n, new, generation) => {
                Outcome::Enqueued(self.retry_forgotten(n, new, generation))
            }
            Command::Refuse(n) => Outcome::Refused(self.refuse(n)),
            Command::Lapse(n) => {
                self.dead.remove(&n);
                Outcome::Nothing
            }
            Command::Reprioritise(n, level) => Outcome::Reprioritised(self.reprioritise(n, level)),
            Command::Delete(n) => Outcome::Deleted(self.delete(n)),
            Command::SetQueue(new, ref settings) => {
                Outcome::Configured(self.set_queue(new, settings))
            }
            Command::SetTenant(tenant, new, ref settings) => {
                Outcome::Configured(self.set_tenant(tenant, new, settings))
            }
            Command::Load => {
                self.loaded = true;
                Outcome::Configured(0)
            }
            Command::Breaker(showed) => Outcome::Breaker(self.breaker(showed)),
            Command::LeftAlone => {
                self.left_alone = false;
                self.hold = None;
                Outcome::Nothing
            }
            Command::Sweep => Outcome::Swept(self.sweep()),
            Command::Expire => Outcome::Expired(self.expire()),
            Command::Settle(n, era) => Outcome::Settled(self.settle(n, era)),
            Command::Adopt(n, era, status) => Outcome::Adopted(self.adopt(n, era, status)),
            Command::Pass(n, clock) => {
                self.pass(n, clock);
                Outcome::Nothing
            }
        }
    }
}
