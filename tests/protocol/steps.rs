//! What workers, requests and the sweep do, one step at a time. Between any two steps a crash may fall.

use crate::redis::{Place, Redis};
use crate::scripts::{Answer, Said};
use crate::setting::{Broken, JOBS, Setting};
use crate::state::{Bell, Debt, End, Job, Request, Settling, State};
use crate::worker::{Hold, Stage, Then, Worker};

/// How a worker's stage comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Done,
    Failed,
    /// Given back at once: time is short.
    GivenBack,
    /// Given back with a delay: a means of our own failed.
    PutOff,
}

impl State {
    /// Runs one script: what it changes may be rolled back.
    pub(crate) fn script<T>(&mut self, run: impl FnOnce(&mut Redis) -> T) -> T {
        let before = self.redis;
        let answer = run(&mut self.redis);
        self.wrong.ended_again |= (0..JOBS).any(|job| {
            let (old, new) = (before.ended(job), self.redis.ended(job));
            old.is_some() && self.redis.jobs[job].is_some() && old != new
        });
        if self.left.rollbacks > 0 && before != self.redis {
            self.before = Some(before);
        }
        answer
    }

    /// A script that presents a fence: an accepted write must be that of the last to acquire.
    fn write(&mut self, at: usize, hold: Hold, run: impl FnOnce(&mut Redis) -> Answer) -> Answer {
        let holder = self.redis.jobs[hold.job].and_then(|record| record.holder);
        let (said, debt) = self.script(run);
        self.wrong.stale_write |= said == Said::Ok && holder != Some(at);
        (said, debt)
    }

    /// The next step of a worker. `pick`: which of the jobs that may run an acquire gives. `None`: no such step.
    pub(crate) fn work(&mut self, setting: &Setting, at: usize, pick: usize) -> Option<()> {
        let worker = self.workers[at];
        if pick > 0 && worker != Worker::Acquire {
            return None;
        }
        self.workers[at] = match worker {
            Worker::Idle => return None,
            Worker::Ensure(job) => Worker::pays(self.ensure(setting, job), Then::Acquire),
            Worker::Acquire => self.acquire(setting, at, pick)?,
            Worker::Look(hold) => self.look(setting, hold),
            Worker::Work(hold) => self.stage(setting, at, hold, Outcome::Done),
            Worker::Tell(hold, end) => self.tell(setting, at, hold, end),
            Worker::Pay(debt, then) => Worker::pays(self.pay(setting, debt, Bell::Plain), then),
            Worker::Baton => {
                self.ring(setting, Bell::Plain);
                Worker::DeleteBell
            }
            Worker::DeleteBell => {
                self.answered[at] = None;
                Worker::Idle
            }
        };
        Some(())
    }

    fn acquire(&mut self, setting: &Setting, at: usize, pick: usize) -> Option<Worker> {
        let (hold, debt) = self.script(|redis| redis.acquire(setting, at, pick))?;
        Some(match hold {
            Some(hold) => Worker::pays(debt, Then::Look(hold)),
            None => Worker::pays(debt, Then::DeleteBell),
        })
    }

    /// A manifest is the last word: with one, nothing is run.
    fn look(&self, setting: &Setting, hold: Hold) -> Worker {
        match self.store[hold.job].manifest {
            Some(end) if !setting.breaks(Broken::Look) => Worker::Tell(hold, end),
            _ => Worker::Work(hold),
        }
    }

    /// A worker's stage comes to an end, and the worker writes what came of it.
    pub(crate) fn stage(
        &mut self,
        setting: &Setting,
        at: usize,
        hold: Hold,
        outcome: Outcome,
    ) -> Worker {
        let (said, debt) = self.write(at, hold, |redis| match (outcome, hold.stage) {
            (Outcome::Done, Stage::Audio) => redis.advance(setting, hold),
            (Outcome::Done, Stage::Finish) => redis.complete(setting, hold),
            (Outcome::Failed, _) => redis.fail(setting, hold, false),
            (Outcome::GivenBack, _) => redis.release(setting, hold, false),
            (Outcome::PutOff, _) => redis.release(setting, hold, true),
        });
        if (said, outcome, hold.stage) == (Said::Ok, Outcome::Done, Stage::Audio) {
            let stage = Stage::Finish;
            return Worker::pays(debt, Then::Work(Hold { stage, ..hold }));
        }
        after_job(setting, debt)
    }

    /// Tells Redis of an end that the store knows and Redis has forgotten.
    fn tell(&mut self, setting: &Setting, at: usize, hold: Hold, end: End) -> Worker {
        if end == End::Cancelled {
            let debt = self.script(|redis| redis.cancel(setting, hold.job));
            return after_job(setting, debt);
        }
        let (said, debt) = self.write(at, hold, |redis| match (end, hold.stage) {
            (End::Completed, Stage::Audio) => redis.advance(setting, hold),
            (End::Completed, Stage::Finish) => redis.complete(setting, hold),
            _ => redis.fail(setting, hold, true),
        });
        if (said, end, hold.stage) == (Said::Ok, End::Completed, Stage::Audio) {
            let stage = Stage::Finish;
            return Worker::pays(debt, Then::Tell(Hold { stage, ..hold }, end));
        }
        after_job(setting, debt)
    }

    /// Puts back a job that Redis has forgotten, if the store proves it to be unfinished.
    fn ensure(&mut self, setting: &Setting, job: Job) -> Debt {
        let stored = self.store[job];
        if self.redis.jobs[job].is_some() || !stored.accepted {
            return Debt::default();
        }
        self.store[job].marker = stored.manifest.is_none();
        if stored.manifest.is_some() {
            return Debt::default();
        }
        self.script(|redis| redis.enqueue(setting, job))
    }

    /// One step of paying: the ended jobs are settled, then bells are rung. Answers what is still owed.
    pub(crate) fn pay(&mut self, setting: &Setting, mut debt: Debt, bell: Bell) -> Debt {
        if let Some(job) = debt.ended.iter().position(|ended| *ended) {
            match self.settle(setting, job, debt.settling) {
                Some(next) => debt.settling = next,
                None => {
                    debt.ended[job] = false;
                    debt.settling = Settling::default();
                }
            }
        } else if debt.ring {
            debt.ring = false;
            self.ring(setting, bell);
        } else if let Some(job) = debt.ring_later.take() {
            if !self.redis.rests(job) {
                self.ring(setting, Bell::Plain);
            } else {
                self.bells.later[job] = true;
            }
        }
        debt
    }

    /// One step of settling, and which one follows.
    fn settle(&mut self, setting: &Setting, job: Job, step: Settling) -> Option<Settling> {
        let end = self.redis.ended(job);
        let too_early = setting.breaks(Broken::ManifestFirst);
        match (step, too_early) {
            (Settling::Manifest, false) | (Settling::Marker, true) => {
                self.put_manifest(setting, job, end?);
            }
            (Settling::Marker, false) | (Settling::Manifest, true) => {
                self.store[job].marker = false;
            }
            (Settling::Script, _)
                if setting.first_manifest_stays && end != self.store[job].manifest =>
            {
                end?;
                self.script(|redis| redis.jobs[job] = None);
                return None;
            }
            (Settling::Script, _) => {
                self.script(|redis| redis.settle(job));
                return None;
            }
        }
        Some(match step {
            Settling::Manifest => Settling::Marker,
            _ => Settling::Script,
        })
    }

    fn put_manifest(&mut self, setting: &Setting, job: Job, end: End) {
        let manifest = &mut self.store[job].manifest;
        if manifest.is_some() && setting.first_manifest_stays {
            return;
        }
        let old = manifest.replace(end);
        self.wrong.manifest_changed |= old.is_some_and(|old| old != end);
    }

    /// The next step of a submission.
    pub(crate) fn submit(&mut self, setting: &Setting, job: Job) -> Option<()> {
        let bell = setting.bell_of(job);
        let too_early = setting.breaks(Broken::CommitFirst);
        self.requests[job] = match self.requests[job] {
            Request::New => {
                self.store[job].accepted = true;
                self.store[job].marker = true;
                Request::Durable
            }
            Request::Durable if too_early => {
                self.ring(setting, bell);
                Request::RungTooEarly
            }
            Request::Durable => {
                let debt = self.script(|redis| redis.enqueue(setting, job));
                let unpaid = setting.breaks(Broken::Debt);
                Request::owing(if unpaid { Debt::default() } else { debt })
            }
            Request::RungTooEarly => {
                self.script(|redis| redis.enqueue(setting, job));
                Request::Over
            }
            Request::Committed(debt) => Request::owing(self.pay(setting, debt, bell)),
            Request::Over => return None,
        };
        Some(())
    }

    /// The owner's wish is committed; its debt is paid step by step.
    pub(crate) fn cancel(&mut self, setting: &Setting, job: Job) {
        self.cancelling = self.script(|redis| redis.cancel(setting, job));
    }

    /// The sweep settles what lies in the outbox.
    pub(crate) fn sweep_settles(&mut self, setting: &Setting, job: Job) -> Option<()> {
        let record = self.redis.jobs[job]?;
        if !record.in_outbox {
            return None;
        }
        self.settle_at_once(setting, job);
        Some(())
    }

    fn settle_at_once(&mut self, setting: &Setting, job: Job) {
        let mut step = Some(Settling::default());
        while let Some(now) = step {
            step = self.settle(setting, job, now);
        }
    }

    /// The sweep holds a marker against Redis.
    pub(crate) fn reconcile(&mut self, setting: &Setting, job: Job) -> Option<()> {
        // Before it looks at a marker, the request that wrote it is through or dead.
        if !self.store[job].marker || self.requests[job] == Request::Durable {
            return None;
        }
        match self.redis.jobs[job].map(|record| record.place) {
            Some(Place::Ended(_)) => self.settle_at_once(setting, job),
            Some(_) => return None,
            // The bell that is owed is rung by the sweep's own ring.
            None => drop(self.ensure(setting, job)),
        }
        Some(())
    }
}

/// Its bell for now is the next acquire.
fn after_job(setting: &Setting, debt: Debt) -> Worker {
    let then = if setting.breaks(Broken::Baton) {
        Then::DeleteBell
    } else {
        Then::Acquire
    };
    Worker::pays(debt.without_bells(), then)
}
