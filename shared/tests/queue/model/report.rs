//! What a model service says, and a worker or a model of a failure, as the model sees it.

use shared::job::JobStatus;
use shared::queue::{Failed, Heartbeat, Reported, millis};
use shared::stage::Stage;

use super::command::{Era, Failure, Who};
use super::state::{Model, Place};
use crate::rig::{LONG, error};

impl Model {
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
        let (code, delay) = (error(true).code, millis(failure.delay));
        let Failure {
            retryable,
            cause,
            next,
            ..
        } = failure;
        self.fail_attempt(n, &code, retryable, cause, delay, next);
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
            self.lease(n, millis(LONG), true);
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
        if stage == Stage::Audio {
            self.made_room();
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
