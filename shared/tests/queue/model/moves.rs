//! What several commands do to a job, as the model sees it.

use shared::job::JobStatus;
use shared::queue::{Cause, Next};
use shared::stage::Stage;

use super::command::Clock;
use super::run::Outcome;
use super::state::{Job, Kept, Model, Place, tenant_of};

/// In the virtual clock of the model.
pub(super) const SETTLE_MS: u64 = 600_000;

impl Model {
    pub(super) fn job(&mut self, n: u8) -> &mut Job {
        self.jobs.get_mut(&n).unwrap()
    }

    /// Out of its place, with all that belongs to having been there.
    pub(super) fn lift(&mut self, n: u8) {
        let job = self.job(n);
        job.place = Place::Nowhere;
        job.fence = None;
        job.progress = false;
    }

    pub(super) fn end(&mut self, n: u8, status: JobStatus) {
        self.lift(n);
        let outbox = Some(self.now + SETTLE_MS);
        let job = self.job(n);
        job.status = status;
        job.start_by = None;
        job.finish_by = None;
        job.outbox = outbox;
        job.completed = true;
        job.seq += 1;
        self.ended.push(n);
    }

    pub(super) fn requeue(&mut self, n: u8, delay: u64) {
        let now = self.now;
        let job = self.job(n);
        job.status = JobStatus::Queued;
        job.place = match job.stage {
            Stage::Finish => Place::Finish {
                due: now + delay,
                takes: 0,
            },
            _ if delay > 0 => Place::Delayed { until: now + delay },
            _ => Place::Line,
        };
    }

    /// The next attempt follows, or the job has failed.
    pub(super) fn fail_attempt(
        &mut self,
        n: u8,
        code: &str,
        mut retryable: bool,
        cause: Cause,
        delay: u64,
        next: Next,
    ) {
        let job = self.job(n);
        let again = job.kept == Some(Kept::Error(code.to_owned()));
        retryable &= !(again && cause == Cause::Lasting);
        job.kept = Some(Kept::Error(code.to_owned()));
        if !retryable || job.attempt >= job.max_attempts {
            job.dead |= retryable;
            self.end(n, JobStatus::Failed);
            return;
        }
        self.lift(n);
        let job = self.job(n);
        job.stage = next.stage.unwrap_or(job.stage);
        job.seed = next.seed.unwrap_or(job.seed);
        job.attempt += 1;
        job.seq += 1;
        self.requeue(n, delay);
    }

    /// Holders whose lease is over lose their attempt.
    pub(super) fn reap(&mut self) {
        for n in self.due(Clock::Lease) {
            let silent = self.jobs[&n].parked();
            let code = if silent {
                "model_silent"
            } else {
                "worker_lost"
            };
            self.fail_attempt(n, code, true, Cause::Passing, 0, Next::default());
        }
    }

    pub(super) fn promote(&mut self) {
        for n in self.due(Clock::Delayed) {
            self.job(n).place = Place::Line;
        }
    }

    /// A turn begins at the tenant's virtual time, and the clock of its level with it. An attempt is paid for once.
    pub(super) fn charge(&mut self, n: u8) {
        let job = self.job(n);
        let (cost, level) = (job.cost, job.level as usize);
        let run = Some((job.generation, job.attempt));
        if job.charged == run {
            return;
        }
        job.charged = run;
        let tenant = self.tenants.get_mut(tenant_of(n)).unwrap();
        let start = tenant.used[level].max(self.clock[level]);
        let weight = u64::from(tenant.settings.weight.unwrap_or(1));
        tenant.used[level] = start + (cost * 1000).div_ceil(weight);
        self.clock[level] = start;
    }

    pub(super) fn lease(&mut self, n: u8, span: u64, parked: bool) {
        let until = self.now + span;
        self.job(n).place = Place::Leased { until, parked };
    }

    /// The next fence, for this job.
    pub(super) fn give(&mut self, n: u8) -> Outcome {
        self.fences += 1;
        let fence = self.fences;
        self.given.entry(n).or_default().push(fence);
        let job = self.job(n);
        job.fence = Some(fence);
        job.status = JobStatus::Processing;
        job.seq += 1;
        Outcome::Given { job: n, fence }
    }
}
