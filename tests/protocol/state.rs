//! The state: what Redis, the store, SQS, the requests and the workers have at one moment.

use crate::redis::Redis;
use crate::setting::{JOBS, Left, Setting, WORKERS};
use crate::worker::Worker;

/// A job's number.
pub(crate) type Job = usize;
/// The right that an acquire gave.
pub(crate) type Fence = u8;
/// The fence of the acquire that happens now: every other one has a lower number.
pub(crate) const NEW: Fence = Fence::MAX;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Completed,
    Failed,
    Cancelled,
}

/// What the object store has of a job. The envelope is there if the job was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stored {
    pub(crate) accepted: bool,
    pub(crate) marker: bool,
    pub(crate) manifest: Option<End>,
}

/// What a transition left to do: settle, then ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Debt {
    pub(crate) ended: [bool; JOBS],
    /// How far the first of them is settled.
    pub(crate) settling: Settling,
    pub(crate) ring: bool,
    /// One bell more, when this job's delay is over.
    pub(crate) ring_later: Option<Job>,
}

impl Debt {
    pub(crate) fn is_paid(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn without_bells(self) -> Self {
        Self {
            ring: false,
            ..self
        }
    }
}

/// The steps of `settle`, each of which may be the last before a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Settling {
    #[default]
    Manifest,
    Marker,
    Script,
}

/// A bell; one that names a job lets a worker put it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bell {
    Plain,
    Naming(Job),
}

/// The bells that SQS has and nobody works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bells {
    pub(crate) plain: u8,
    pub(crate) naming: [u8; JOBS],
    /// The delayed one of each job; two for one delay come at the same time.
    pub(crate) later: [bool; JOBS],
}

impl Bells {
    pub(crate) fn of(&mut self, bell: Bell) -> &mut u8 {
        match bell {
            Bell::Plain => &mut self.plain,
            Bell::Naming(job) => &mut self.naming[job],
        }
    }

    pub(crate) fn count(&self) -> u8 {
        self.plain + self.naming.iter().sum::<u8>()
    }
}

/// A submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    #[default]
    New,
    /// The mutant's first step.
    RungTooEarly,
    /// Envelope and marker are stored.
    Durable,
    /// It stands in line, and this is owed.
    Committed(Debt),
    /// Answered, or dead.
    Over,
}

impl Request {
    /// Over when nothing is owed.
    pub(crate) fn owing(debt: Debt) -> Self {
        if debt.is_paid() {
            Self::Over
        } else {
            Self::Committed(debt)
        }
    }
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) redis: Redis,
    /// As it stood before the last transition, while it may be rolled back.
    pub(crate) before: Option<Redis>,
    pub(crate) store: [Stored; JOBS],
    pub(crate) bells: Bells,
    pub(crate) requests: [Request; JOBS],
    /// What the cancelling request still owes.
    pub(crate) cancelling: Debt,
    pub(crate) workers: [Worker; WORKERS],
    /// The bells of the workers that are not idle.
    pub(crate) answered: [Option<Bell>; WORKERS],
    pub(crate) left: Left,
    pub(crate) wrong: Wrong,
}

/// What must never happen and cannot be read off a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wrong {
    /// A write was accepted of a worker that was not the last to acquire the job.
    pub(crate) stale_write: bool,
    /// An ended job ended again.
    pub(crate) ended_again: bool,
    /// A manifest came to say something else.
    pub(crate) manifest_changed: bool,
}

impl State {
    pub(crate) fn new(setting: &Setting) -> Self {
        let mut requests = [Request::Over; JOBS];
        requests[..setting.jobs].fill(Request::New);
        Self {
            redis: Redis::default(),
            before: None,
            store: Default::default(),
            bells: Bells::default(),
            requests,
            cancelling: Debt::default(),
            workers: Default::default(),
            answered: Default::default(),
            left: setting.left,
            wrong: Wrong::default(),
        }
    }

    /// Rings once, unless there are bells enough.
    pub(crate) fn ring(&mut self, setting: &Setting, bell: Bell) {
        if self.bells.count() < setting.bells_max {
            *self.bells.of(bell) += 1;
        }
    }

    /// Numbers the fences anew. Of random nonces it only matters which are equal, and one that Redis has in no history is stale for ever.
    pub(crate) fn renumber_fences(&mut self) {
        const CURRENT: Fence = 0;
        const FORMER: Fence = 1;
        const STALE: Fence = 2;
        for job in 0..JOBS {
            let fence = |redis: &Redis| redis.jobs[job].and_then(|record| record.fence);
            let (current, former) = (fence(&self.redis), self.before.as_ref().and_then(fence));
            let number = |fence| match Some(fence) {
                fence if fence == current => CURRENT,
                fence if fence == former => FORMER,
                _ => STALE,
            };
            let holds = self.workers.iter_mut().filter_map(Worker::hold_mut);
            for hold in holds.filter(|hold| hold.job == job) {
                hold.fence = number(hold.fence);
            }
            for redis in self.before.iter_mut().chain([&mut self.redis]) {
                if let Some(record) = &mut redis.jobs[job] {
                    record.fence = record.fence.map(number);
                }
            }
        }
    }

    /// Whether a living worker renews the right under which this job is held.
    pub(crate) fn is_renewed(&self, job: Job) -> bool {
        let fence = self.redis.jobs[job].and_then(|record| record.fence);
        let mut holds = self.workers.into_iter().filter_map(Worker::hold);
        fence.is_some() && holds.any(|hold| hold.job == job && Some(hold.fence) == fence)
    }

    /// Every accepted job has ended, and the store says how.
    pub(crate) fn is_all_ended(&self) -> bool {
        self.store
            .iter()
            .all(|stored| !stored.accepted || stored.manifest.is_some() && !stored.marker)
    }
}
