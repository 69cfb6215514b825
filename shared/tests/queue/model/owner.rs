//! What a job's owner does, as the model sees it.

use shared::job::JobStatus;
use shared::queue::{Buried, Cancelled, Deleted, Enqueued, Refusal, Reprioritised, Retried};
use shared::stage::Stage;

use super::command::{CACHED, Era, New};
use super::state::{Job, Kept, MAX_QUEUED, Model, Place, SEED, tenant_of};

/// Longer than any test.
const FAR_MS: u64 = 3_600_000;

impl Model {
    /// Why no job of this number may come in, whatever the limits.
    fn known(&self, n: u8) -> Option<Enqueued> {
        if self.jobs.contains_key(&n) {
            return Some(Enqueued::Exists);
        }
        self.dead.contains(&n).then_some(Enqueued::Refused)
    }

    fn is_full(&self, n: u8) -> bool {
        self.line(tenant_of(n)).len() >= MAX_QUEUED as usize
    }

    pub(super) fn enqueue(&mut self, n: u8, new: New, refusal: Refusal) -> Enqueued {
        if let Some(known) = self.known(n) {
            return known;
        }
        if self.is_full(n) {
            if refusal == Refusal::Final {
                self.dead.insert(n);
            }
            return Enqueued::Full;
        }
        self.accept(n, new);
        Enqueued::Enqueued
    }

    pub(super) fn enqueue_cached(&mut self, n: u8) -> Enqueued {
        if let Some(known) = self.known(n) {
            return known;
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
        if let Some(known) = self.known(n) {
            return known;
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

    /// As a restored job comes in, and within the limits.
    pub(super) fn retry_forgotten(&mut self, n: u8, new: New, generation: u32) -> Enqueued {
        if self.known(n).is_none() && self.is_full(n) {
            return Enqueued::Full;
        }
        self.restore(n, new, Stage::Plan, generation)
    }

    pub(super) fn refuse(&mut self, n: u8) -> Buried {
        if self.jobs.contains_key(&n) {
            return Buried::Live;
        }
        self.dead.insert(n);
        Buried::Refused
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
            max_attempts: new.attempts,
            seed: SEED,
            generation: 0,
            attempt: 1,
            status: JobStatus::Queued,
            stage: Stage::Plan,
            place: Place::Line,
            fence: None,
            charged: None,
            gave_back: None,
            start_by: Some(self.now + FAR_MS),
            finish_by: Some(self.now + FAR_MS),
            outbox: None,
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
        let full = self.is_full(n);
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
        if full {
            return Retried::Full;
        }
        job.generation = generation;
        job.attempt = 1;
        job.start_by = until;
        job.finish_by = until;
        job.outbox = None;
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
        if job.level == level {
            return Reprioritised::Same;
        }
        job.level = level;
        job.seq += 1;
        Reprioritised::Ok
    }

    pub(super) fn delete(&mut self, n: u8) -> Deleted {
        let live = |job: &Job| !job.ended();
        if self.jobs.get(&n).is_some_and(live) {
            return Deleted::Live;
        }
        self.jobs.remove(&n);
        self.dead.insert(n);
        Deleted::Ok
    }
}
