//! What Redis holds of the jobs, and what can be read off it.
//!
//! `ready` is not stored: `refresh` ends every script and makes it a function of the rest.

use crate::setting::{Broken, JOBS, Setting};
use crate::state::{End, Fence, Job};

/// Where a job stands. A time that has come is a flag: the model lets it come at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Line,
    Delayed { due: bool },
    Lease { over: bool },
    Finish { due: bool },
    Ended(End),
}

/// A job's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) place: Place,
    pub(crate) attempt: u8,
    pub(crate) takes: u8,
    pub(crate) fence: Option<Fence>,
    /// Who acquired it last. No script reads it: it tells the properties whose write was accepted.
    pub(crate) holder: Option<usize>,
    pub(crate) in_outbox: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Redis {
    pub(crate) jobs: [Option<Record>; JOBS],
    /// Acquires so far; only counted where it is the fence.
    pub(crate) counter: Fence,
}

impl Redis {
    /// Jobs that hold a slot, of one tenant or of all.
    pub(crate) fn running(&self, setting: &Setting, tenant: Option<u8>) -> usize {
        let of = |job: Job| tenant.is_none_or(|tenant| setting.tenant[job] == tenant);
        self.places()
            .filter(|(job, place)| matches!(place, Place::Lease { .. }) && of(*job))
            .count()
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = (Job, Place)> {
        let records = self.jobs.iter().enumerate();
        records.filter_map(|(job, record)| Some((job, record.as_ref()?.place)))
    }

    fn waits(&self, job: Job) -> bool {
        self.jobs[job].is_some_and(|record| record.place == Place::Line)
    }

    /// Jobs that may run now: they wait, and their tenant has room.
    pub(crate) fn runnable(&self, setting: &Setting) -> impl Iterator<Item = Job> {
        let room = |job: Job| self.running(setting, Some(setting.tenant[job])) < setting.cap;
        let uncapped = setting.breaks(Broken::Cap);
        (0..JOBS)
            .filter(|job| self.waits(*job))
            .filter(move |job| uncapped || room(*job))
    }

    /// As the script's: due finishes, and tenants in `ready` as far as slots are free.
    pub(crate) fn eligible(&self, setting: &Setting) -> usize {
        let due = Place::Finish { due: true };
        let finishes = self.places().filter(|(_, place)| *place == due).count();
        let mut ready = [false; JOBS];
        for job in self.runnable(setting) {
            ready[usize::from(setting.tenant[job])] = true;
        }
        let ready = ready.iter().filter(|ready| **ready).count();
        let free = setting.slots.saturating_sub(self.running(setting, None));
        finishes + ready.min(free)
    }

    /// How the job ended, if it has.
    pub(crate) fn ended(&self, job: Job) -> Option<End> {
        match self.jobs[job]?.place {
            Place::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Whether the job waits for a delay to be over.
    pub(crate) fn rests(&self, job: Job) -> bool {
        self.jobs[job].is_some_and(|record| match record.place {
            Place::Delayed { due } => !due,
            Place::Finish { due } => !due && record.fence.is_none(),
            _ => false,
        })
    }

    /// Whether somebody's right to the job can still run out.
    pub(crate) fn is_leased(&self, job: Job) -> bool {
        self.jobs[job].is_some_and(|record| match record.place {
            Place::Lease { over } => !over,
            Place::Finish { due } => !due && record.fence.is_some(),
            _ => false,
        })
    }

    /// The time of a lease or a delay has come.
    pub(crate) fn comes_due(&mut self, job: Job) {
        if let Some(record) = &mut self.jobs[job] {
            record.place = match record.place {
                Place::Lease { .. } => Place::Lease { over: true },
                Place::Delayed { .. } => Place::Delayed { due: true },
                Place::Finish { .. } => Place::Finish { due: true },
                other => other,
            };
        }
    }
}
