//! What operators, the sweep and time do, as the model sees it.

use shared::job::JobStatus;
use shared::queue::{Adopted, QueueSettings, Settled, SweepStep, TenantSettings};
use shared::stage::Stage;

use super::command::{Clock, Era};
use super::state::{Kept, Model, Place, SEED, id_of};
use crate::rig::error;

/// Only what is newer than the revision in force is new.
fn revise(revision: &mut Option<u64>, new: bool) -> bool {
    let said = said_revision(*revision, new);
    let newer = revision.is_none_or(|known| said > known);
    if newer {
        *revision = Some(said);
    }
    newer
}

/// The one in force or the next.
pub(super) fn said_revision(known: Option<u64>, new: bool) -> u64 {
    known.unwrap_or(0) + u64::from(new)
}

impl Model {
    pub(super) fn set_queue(&mut self, new: bool, settings: &QueueSettings) -> u32 {
        let newer = revise(&mut self.revision, new);
        if newer {
            self.settings = settings.clone();
        }
        newer.into()
    }

    pub(super) fn set_tenant(&mut self, name: &str, new: bool, settings: &TenantSettings) -> u32 {
        let tenant = self.tenants.get_mut(name).unwrap();
        let newer = revise(&mut tenant.revision, new);
        if newer {
            tenant.settings = settings.clone();
        }
        newer.into()
    }

    pub(super) fn sweep(&mut self) -> SweepStep {
        self.reap();
        self.promote();
        let unsettled = self.due(Clock::Outbox).into_iter().map(id_of);
        SweepStep {
            busy: false,
            after: String::new(),
            unsettled: unsettled.collect(),
            unheard: Vec::new(),
            bells: self.eligible(),
            epoch: false,
        }
    }

    pub(super) fn expire(&mut self) -> u32 {
        let mut looked_at = 0;
        for clock in [Clock::StartBy, Clock::FinishBy] {
            for n in self.due(clock) {
                looked_at += 1;
                self.end(n, JobStatus::Expired);
            }
        }
        looked_at
    }

    pub(super) fn settle(&mut self, n: u8, era: Era) -> Settled {
        let generation = era.of(self.jobs.get(&n));
        let Some(job) = self.jobs.get_mut(&n) else {
            return Settled::Stale;
        };
        if !job.ended() || job.generation != generation {
            return Settled::Stale;
        }
        let first = job.outbox.take().is_some();
        Settled::Ok { first }
    }

    /// The manifest knows better, unless the queue has gone on since.
    pub(super) fn adopt(&mut self, n: u8, era: Era, status: JobStatus) -> Adopted {
        let generation = era.of(self.jobs.get(&n));
        let Some(job) = self.jobs.get_mut(&n) else {
            return Adopted::Unknown;
        };
        if job.generation > generation {
            return Adopted::Newer;
        }
        if job.status == status && job.generation == generation {
            return Adopted::Ended;
        }
        job.generation = generation;
        job.stage = Stage::Finish;
        job.seq += ADOPTED_LATER;
        job.dead = false;
        job.kept = kept(status);
        self.end(n, status);
        Adopted::Ok
    }

    /// What a clock of this job waited for lies in the past now.
    pub(super) fn pass(&mut self, n: u8, clock: Clock) {
        let Some(job) = self.jobs.get_mut(&n) else {
            return;
        };
        if job.when(clock).is_none() {
            return;
        }
        let past = 1;
        match (clock, &mut job.place) {
            (Clock::StartBy, _) => job.start_by = Some(past),
            (Clock::FinishBy, _) => job.finish_by = Some(past),
            (Clock::Outbox, _) => job.outbox = Some(past),
            (_, Place::Leased { until, .. } | Place::Delayed { until }) => *until = past,
            (_, Place::Finish { due, .. }) => *due = past,
            (_, Place::Line | Place::Nowhere) => {}
        }
    }
}

/// The manifest has so many events more than the queue.
pub(super) const ADOPTED_LATER: u64 = 7;

/// What the manifest of a job that ended so says of its result.
pub(super) fn kept(status: JobStatus) -> Option<Kept> {
    match status {
        JobStatus::Completed => Some(Kept::Track(SEED)),
        JobStatus::Failed => Some(Kept::Error(error(false).code)),
        _ => None,
    }
}
