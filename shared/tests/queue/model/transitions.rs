//! Each transition as it is meant, in the order of `shared/src/queue`: owner, worker, model.

use std::time::Duration;

use shared::job::JobStatus;
use shared::queue::{Cancelled, Deleted, Enqueued, FINISH_TAKES, Failed, Heartbeat, Held};
use shared::queue::{LEASE, Next, Parked, Reported, Reprioritised, Retried};
use shared::stage::Stage;

use super::command::{CACHED, Clock, Era, Failure, New, Who};
use super::run::Outcome;
use super::state::{Job, Kept, MAX_QUEUED, Model, Place, SEED, tenant_of};
use crate::rig::{LONG, error};

/// Longer than any test.
const FAR_MS: u64 = 3_600_000;

pub(super) fn ms(duration: Duration) -> u64 {
    shared::queue::millis(duration)
}

impl Model {
    pub(super) fn enqueue(&mut self, n: u8, new: New) -> Enqueued {
        if self.jobs.contains_key(&n) {
            return Enqueued::Exists;
        }
        if self.line(tenant_of(n)).len() >= MAX_QUEUED as usize {
            return Enqueued::Full;
        }
        self.accept(n, new);
        Enqueued::Enqueued
    }

    pub(super) fn enqueue_cached(&mut self, n: u8) -> Enqueued {
        if self.jobs.contains_key(&n) {
            return Enqueued::Exists;
        }
        self.accept(n, CACHED);
        let job = self.job(n);
        job.cached = true;
        job.stage = Stage::Finish;
        job.kept = Some(Kept::Track(SEED));
        self.end(n, JobStatus::Completed);
        Enqueued::Enqueued
    }

    pub(super) fn restore(&mut self, n: u8, new: New, stage: Stage, generation: u32) -> Enqueued {
        if self.jobs.contains_key(&n) {
            return Enqueued::Exists;
        }
        let order = (self.now - new.ago) * 64;
        self.insert(n, new, order);
        let job = self.job(n);
        job.generation = generation;
        if stage != Stage::Plan {
            job.stage = Stage::Audio;
            job.start_by = None;
        }
        Enqueued::Enqueued
    }

    /// Behind all that were accepted before it.
    fn accept(&mut self, n: u8, new: New) {
        self.last_order = ((self.now - new.ago) * 64).max(self.last_order + 1);
        self.insert(n, new, self.last_order);
    }

    fn insert(&mut self, n: u8, new: New, order: u64) {
        let job = Job {
            level: new.level,
            order,
            cost: new.cost.into(),
            max_attempts: new.attempts,
            seed: SEED,
            generation: 0,
            attempt: 1,
            status: JobStatus::Queued,
            stage: Stage::Plan,
            place: Place::Line,
            fence: None,
            charged: None,
            start_by: Some(self.now + FAR_MS),
            finish_by: Some(self.now + FAR_MS),
            outbox: None,
            tries: 0,
            dead: false,
            kept: None,
            seq: 1,
            progress: false,
            started: false,
            completed: false,
            cached: false,
        };
        self.jobs.insert(n, job);
    }

    pub(super) fn cancel(&mut self, n: u8) -> Cancelled {
        let Some(job) = self.jobs.get(&n) else {
            return Cancelled::Unknown;
        };
        let status = job.status;
        if status.is_terminal() {
            return Cancelled::Ended { status };
        }
        self.end(n, JobStatus::Cancelled);
        Cancelled::Ok
    }

    pub(super) fn retry(&mut self, n: u8, era: Era) -> Retried {
        let generation = era.of(self.jobs.get(&n));
        let until = Some(self.now + FAR_MS);
        let Some(job) = self.jobs.get_mut(&n) else {
            return Retried::Unknown;
        };
        if job.status == JobStatus::Completed {
            return Retried::Completed;
        }
        if job.generation >= generation {
            return Retried::Ok;
        }
        if !job.ended() {
            return Retried::Live;
        }
        job.generation = generation;
        job.attempt = 1;
        job.start_by = until;
        job.finish_by = until;
        job.outbox = None;
        job.tries = 0;
        job.dead = false;
        job.kept = None;
        job.started = false;
        job.completed = false;
        job.stage = job.stage.min(Stage::Audio);
        job.seq += 1;
        self.requeue(n, 0);
        Retried::Ok
    }

    pub(super) fn reprioritise(&mut self, n: u8, level: u32) -> Reprioritised {
        let Some(job) = self.jobs.get_mut(&n) else {
            return Reprioritised::Unknown;
        };
        let status = job.status;
        if status.is_terminal() {
            return Reprioritised::Ended { status };
        }
        if job.level != level {
            job.level = level;
            job.seq += 1;
        }
        Reprioritised::Ok
    }

    pub(super) fn delete(&mut self, n: u8) -> Deleted {
        let live = |job: &Job| !job.ended();
        if self.jobs.get(&n).is_some_and(live) {
            return Deleted::Live;
        }
        self.jobs.remove(&n);
        Deleted::Ok
    }

    pub(super) fn acquire(&mut self) -> Outcome {
        self.reap();
        self.promote();
        for n in self.due(Clock::Finish) {
            let due = self.now + ms(LEASE);
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
        if self.held {
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
        self.lease(n, ms(LEASE), false);
        let job = self.job(n);
        job.start_by = None;
        job.started = true;
        self.give(n)
    }

    fn lease(&mut self, n: u8, span: u64, parked: bool) {
        let until = self.now + span;
        self.job(n).place = Place::Leased { until, parked };
    }

    /// The job, where this worker has the right to it.
    fn held(&mut self, n: u8, who: Who) -> Option<&mut Job> {
        let fence = self.fence(n, who);
        let job = self.jobs.get_mut(&n)?;
        (job.fence == Some(fence) && !job.parked()).then_some(job)
    }

    pub(super) fn renew(&mut self, n: u8, who: Who) -> Held {
        let until = self.now + ms(LEASE);
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
        let due = self.now + ms(LEASE);
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
            self.lease(n, ms(LONG), true);
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
        let due = self.now + ms(delay);
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
            self.requeue(n, ms(delay));
        }
        Held::Ok
    }

    /// Whoever shows the present fence, and a role token while a model holds the job.
    fn speaks(&self, n: u8, who: Option<Who>) -> bool {
        let job = &self.jobs[&n];
        who.map_or(job.parked(), |who| job.fence == Some(self.fence(n, who)))
    }

    pub(super) fn fail(&mut self, n: u8, who: Option<Who>, failure: Failure) -> Failed {
        let Some(job) = self.jobs.get(&n) else {
            return Failed::Unknown;
        };
        if job.ended() {
            return Failed::Ended;
        }
        if !self.speaks(n, who) {
            return Failed::Stale;
        }
        let (code, delay) = (error(true).code, ms(failure.delay));
        self.fail_attempt(n, &code, failure.retryable, delay, failure.next);
        match self.jobs[&n].status {
            JobStatus::Failed => Failed::Failed,
            _ => Failed::Queued,
        }
    }

    pub(super) fn progress(&mut self, n: u8, who: Option<Who>, figures: bool) -> Heartbeat {
        let Some(job) = self.jobs.get(&n) else {
            return Heartbeat::Unknown;
        };
        if job.ended() {
            return Heartbeat::Ended;
        }
        if !self.speaks(n, who) || job.stage == Stage::Finish {
            return Heartbeat::Stale;
        }
        if job.parked() {
            self.lease(n, ms(LONG), true);
        }
        if figures {
            let job = self.job(n);
            job.progress = true;
            job.seq += 1;
        }
        Heartbeat::Ok
    }

    pub(super) fn report(&mut self, n: u8, stage: Stage, render: Option<(Era, u32)>) -> Reported {
        let Some(job) = self.jobs.get(&n) else {
            return Reported::Unknown;
        };
        let own = |(era, more): (Era, u32)| era.of(Some(job)) == job.generation && more == 0;
        if !render.is_none_or(own) {
            return Reported::WrongRender;
        }
        let ended = job.ended();
        if job.status == JobStatus::Completed || !ended && job.stage > stage {
            return Reported::Repeat;
        }
        if ended {
            return Reported::Ended;
        }
        if render.is_none() && !(job.parked() && job.stage == stage) {
            return Reported::NotParked;
        }
        self.lift(n);
        let due = self.now;
        let job = self.job(n);
        job.start_by = None;
        job.seq += 1;
        if stage == Stage::Audio {
            job.stage = Stage::Finish;
            job.status = JobStatus::Processing;
            job.place = Place::Finish { due, takes: 0 };
        } else {
            job.stage = Stage::Audio;
            self.requeue(n, 0);
        }
        Reported::Ok
    }
}
