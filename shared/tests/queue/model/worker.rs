//! What a worker does, as the model sees it.

use std::time::Duration;

use shared::job::JobStatus;
use shared::queue::{Cause, FINISH_TAKES, Held, LEASE, Next, Parked, millis};
use shared::stage::Stage;

use super::command::{Clock, Who};
use super::run::Outcome;
use super::state::{Job, Kept, Model, Place};
use crate::rig::LONG;

impl Model {
    pub(super) fn acquire(&mut self) -> Outcome {
        self.reap();
        self.promote();
        for n in self.due(Clock::Finish) {
            let due = self.now + millis(LEASE);
            let Place::Finish { takes, .. } = self.jobs[&n].place else {
                unreachable!("it is due for its finish")
            };
            if takes < FINISH_TAKES {
                let takes = takes + 1;
                self.job(n).place = Place::Finish { due, takes };
                return self.give(n);
            }
            self.fail_attempt(
                n,
                "finish_abandoned",
                true,
                Cause::Passing,
                0,
                Next {
                    stage: Some(Stage::Audio),
                    seed: None,
                },
            );
        }
        if !self.loaded {
            return Outcome::Unconfigured;
        }
        if self.settings.paused {
            return Outcome::Paused;
        }
        if self.hold.is_some() {
            return Outcome::Held;
        }
        if self.free_slots() == 0 {
            return Outcome::Saturated;
        }
        let Some(tenant) = self.turns().first().copied() else {
            return Outcome::Empty;
        };
        let n = self.line(tenant)[0];
        self.charge(n);
        self.lease(n, millis(LEASE), false);
        let job = self.job(n);
        job.start_by = None;
        job.started = true;
        self.give(n)
    }

    /// The job, where this worker has the right to it.
    fn held(&mut self, n: u8, who: Who) -> Option<&mut Job> {
        let fence = self.fence(n, who);
        let job = self.jobs.get_mut(&n)?;
        (job.fence == Some(fence) && !job.parked()).then_some(job)
    }

    pub(super) fn renew(&mut self, n: u8, who: Who) -> Held {
        let until = self.now + millis(LEASE);
        let Some(job) = self.held(n, who) else {
            return Held::Stale;
        };
        job.place = match job.place {
            Place::Finish { takes, .. } => Place::Finish { due: until, takes },
            _ => Place::Leased {
                until,
                parked: false,
            },
        };
        Held::Ok
    }

    pub(super) fn advance(&mut self, n: u8, who: Who, to: Stage) -> Held {
        let due = self.now + millis(LEASE);
        let Some(job) = self.held(n, who) else {
            return Held::Stale;
        };
        if job.stage > to {
            return Held::Stale;
        }
        if job.stage == to {
            return Held::Ok;
        }
        job.stage = to;
        job.progress = false;
        job.seq += 1;
        job.place = match to {
            Stage::Finish => Place::Finish { due, takes: 1 },
            _ => Place::Leased {
                until: due,
                parked: false,
            },
        };
        if to == Stage::Finish {
            self.made_room();
        }
        Held::Ok
    }

    pub(super) fn park(&mut self, n: u8, who: Who, stage: Stage) -> Parked {
        let fence = self.fence(n, who);
        let Some(job) = self.jobs.get_mut(&n) else {
            return Parked::Stale;
        };
        if job.ended() || job.stage > stage {
            return Parked::MovedOn;
        }
        if job.fence != Some(fence) || job.stage != stage || stage == Stage::Finish {
            return Parked::Stale;
        }
        if !job.parked() {
            job.seq += 1;
            self.lease(n, millis(LONG), true);
        }
        Parked::Ok
    }

    pub(super) fn complete(&mut self, n: u8, who: Who, seed: u32) -> Held {
        let track = Some(Kept::Track(seed));
        if let Some(job) = self.held(n, who).filter(|job| job.stage == Stage::Finish) {
            job.kept = track;
            self.end(n, JobStatus::Completed);
            return Held::Ok;
        }
        let same = |job: &Job| job.status == JobStatus::Completed && job.kept == track;
        match self.jobs.get(&n) {
            Some(job) if same(job) => Held::Ok,
            _ => Held::Stale,
        }
    }

    pub(super) fn release(&mut self, n: u8, who: Who, delay: Duration) -> Held {
        let due = self.now + millis(delay);
        let Some(job) = self.held(n, who) else {
            return Held::Stale;
        };
        job.seq += 1;
        if let Place::Finish { takes, .. } = job.place {
            job.fence = None;
            let takes = takes - 1;
            job.place = Place::Finish { due, takes };
        } else {
            self.lift(n);
            self.requeue(n, millis(delay));
        }
        Held::Ok
    }
}
