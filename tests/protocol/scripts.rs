//! The scripts of Redis: each method is the transition of its name, as one atomic step.

use crate::redis::{Place, Record, Redis};
use crate::setting::{Broken, JOBS, Setting};
use crate::state::{Debt, End, Job, NEW};
use crate::worker::{Hold, Stage};

/// A script's answer: accepted or not, with what it owes.
pub(crate) type Answer = (Said, Debt);

/// Whether the worker still held its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Ok,
    Stale,
}

impl Redis {
    fn owing(&self, setting: &Setting, ended: [bool; JOBS]) -> Debt {
        Debt {
            ended,
            ring: self.eligible(setting) > 0,
            ..Debt::default()
        }
    }

    /// Into the line, new or restored; a known job stays as it is.
    pub(crate) fn enqueue(&mut self, setting: &Setting, job: Job) -> Debt {
        self.jobs[job].get_or_insert(Record {
            place: Place::Line,
            attempt: 1,
            takes: 0,
            fence: None,
            holder: None,
            in_outbox: false,
        });
        self.owing(setting, [false; JOBS])
    }

    fn end(&mut self, job: Job, end: End, ended: &mut [bool; JOBS]) {
        if let Some(record) = &mut self.jobs[job] {
            let place = Place::Ended(end);
            *record = Record {
                place,
                takes: 0,
                fence: None,
                holder: None,
                in_outbox: true,
                ..*record
            };
            ended[job] = true;
        }
    }

    fn fail_attempt(&mut self, setting: &Setting, job: Job, next: Place, ended: &mut [bool; JOBS]) {
        let Some(record) = &mut self.jobs[job] else {
            return;
        };
        if record.attempt >= setting.max_attempts {
            return self.end(job, End::Failed, ended);
        }
        *record = Record {
            place: next,
            attempt: record.attempt + 1,
            takes: 0,
            fence: None,
            holder: None,
            ..*record
        };
    }

    /// Reaps and promotes, as `acquire` and `sweep` begin.
    pub(crate) fn rescue(&mut self, setting: &Setting) -> [bool; JOBS] {
        let mut ended = [false; JOBS];
        for job in 0..JOBS {
            match self.jobs[job].map(|record| record.place) {
                Some(Place::Lease { over: true }) => {
                    self.fail_attempt(setting, job, Place::Line, &mut ended);
                }
                Some(Place::Delayed { due: true }) => self.stand(job, Place::Line),
                _ => {}
            }
        }
        ended
    }

    fn stand(&mut self, job: Job, place: Place) {
        if let Some(record) = &mut self.jobs[job] {
            record.place = place;
        }
    }

    /// A finish that is due, else the `pick`-th job that may run. `None`: there is no such pick.
    pub(crate) fn acquire(
        &mut self,
        setting: &Setting,
        worker: usize,
        pick: usize,
    ) -> Option<(Option<Hold>, Debt)> {
        let mut ended = self.rescue(setting);
        let due: Vec<Job> = self
            .places()
            .filter(|(_, place)| *place == Place::Finish { due: true })
            .map(|(job, _)| job)
            .collect();
        let mut given = None;
        for job in due {
            if self.taken_once_more(job) > setting.finish_takes {
                self.fail_attempt(setting, job, Place::Line, &mut ended);
            } else {
                given = Some((job, Stage::Finish));
                break;
            }
        }
        if given.is_none() && self.running(setting, None) < setting.slots {
            let job = self.runnable(setting).nth(pick);
            given = job.map(|job| (job, Stage::Audio));
        }
        if pick > 0 && given.is_none_or(|(_, stage)| stage == Stage::Finish) {
            return None;
        }
        let hold = given.map(|(job, stage)| self.give(setting, job, stage, worker));
        Some((hold, self.owing(setting, ended)))
    }

    fn taken_once_more(&mut self, job: Job) -> u8 {
        self.jobs[job].as_mut().map_or(0, |record| {
            record.takes += 1;
            record.takes
        })
    }

    fn give(&mut self, setting: &Setting, job: Job, stage: Stage, worker: usize) -> Hold {
        let fence = if setting.breaks(Broken::Nonce) {
            self.counter += 1;
            self.counter
        } else {
            NEW
        };
        if let Some(record) = &mut self.jobs[job] {
            record.fence = Some(fence);
            record.holder = Some(worker);
            record.place = match stage {
                Stage::Audio => Place::Lease { over: false },
                Stage::Finish => Place::Finish { due: false },
            };
        }
        Hold { job, fence, stage }
    }

    /// The job's record, if it is processed under this fence.
    fn held(&mut self, setting: &Setting, hold: Hold) -> Option<&mut Record> {
        let any = setting.breaks(Broken::Fence);
        let record = self.jobs[hold.job].as_mut()?;
        let fence = record.fence?;
        (any || fence == hold.fence).then_some(record)
    }

    fn stale(&self, setting: &Setting) -> Answer {
        (Said::Stale, self.owing(setting, [false; JOBS]))
    }

    /// From audio to finish; frees the slot.
    pub(crate) fn advance(&mut self, setting: &Setting, hold: Hold) -> Answer {
        let Some(record) = self.held(setting, hold) else {
            return self.stale(setting);
        };
        if matches!(record.place, Place::Lease { .. }) {
            record.place = Place::Finish { due: false };
            record.takes = 1;
        }
        (Said::Ok, self.owing(setting, [false; JOBS]))
    }

    pub(crate) fn complete(&mut self, setting: &Setting, hold: Hold) -> Answer {
        let mut ended = [false; JOBS];
        match self.held(setting, hold).map(|record| record.place) {
            Some(Place::Finish { .. }) => self.end(hold.job, End::Completed, &mut ended),
            _ => return self.stale(setting),
        }
        (Said::Ok, self.owing(setting, ended))
    }

    /// The attempt failed; a refused audio is rendered anew. For good, or with a delay and a bell after it.
    pub(crate) fn fail(&mut self, setting: &Setting, hold: Hold, for_good: bool) -> Answer {
        let mut ended = [false; JOBS];
        if self.held(setting, hold).is_none() {
            return self.stale(setting);
        }
        if for_good {
            self.end(hold.job, End::Failed, &mut ended);
        } else {
            let next = Place::Delayed { due: false };
            self.fail_attempt(setting, hold.job, next, &mut ended);
        }
        let ring_later = (!ended[hold.job]).then_some(hold.job);
        let debt = self.owing(setting, ended);
        (Said::Ok, Debt { ring_later, ..debt })
    }

    /// Back unharmed, for now or for later.
    pub(crate) fn release(&mut self, setting: &Setting, hold: Hold, later: bool) -> Answer {
        let Some(record) = self.held(setting, hold) else {
            return self.stale(setting);
        };
        record.fence = None;
        record.holder = None;
        record.place = match record.place {
            Place::Finish { .. } => {
                record.takes -= 1;
                Place::Finish { due: !later }
            }
            _ if later => Place::Delayed { due: false },
            _ => Place::Line,
        };
        let debt = self.owing(setting, [false; JOBS]);
        let ring_later = later.then_some(hold.job);
        (Said::Ok, Debt { ring_later, ..debt })
    }

    /// At the owner's wish; asks for no fence. Nothing is changed of an ended or unknown job.
    pub(crate) fn cancel(&mut self, setting: &Setting, job: Job) -> Debt {
        let mut ended = [false; JOBS];
        let over = self.ended(job).is_some() && !setting.breaks(Broken::Terminal);
        if !over {
            self.end(job, End::Cancelled, &mut ended);
        }
        self.owing(setting, ended)
    }

    /// The ended job owes nothing more.
    pub(crate) fn settle(&mut self, job: Job) {
        if let Some(record) = &mut self.jobs[job]
            && matches!(record.place, Place::Ended(_))
        {
            record.in_outbox = false;
        }
    }
}
