//! What the model knows: the jobs, the tenants, what operators set, and little more. Lines, slots and turns are worked
//! out from them each time.

use std::collections::{BTreeMap, BTreeSet};

use shared::job::{JobId, JobStatus};
use shared::queue::{Debt, QueueSettings, TenantSettings};
use shared::stage::Stage;

use super::command::{Clock, Who};

pub(super) const TENANTS: [&str; 3] = ["a", "b", "c"];
pub(super) const JOBS: u8 = 15;
pub(super) const SLOTS: u32 = 3;
pub(super) const CAP: u32 = 2;
pub(super) const MAX_QUEUED: u32 = 3;
pub(super) const SEED: u32 = 7;

/// Jobs are known by their number; each belongs to the same tenant always.
pub(super) fn tenant_of(job: u8) -> &'static str {
    TENANTS[usize::from(job) % TENANTS.len()]
}

/// Sorts as the numbers do, so that Redis settles ties as the model does.
pub(super) fn id_of(job: u8) -> JobId {
    format!("00000000-0000-7000-8000-{job:012}")
        .parse()
        .unwrap()
}

pub(super) fn number_of(id: JobId) -> u8 {
    let all = (0..JOBS).find(|n| id_of(*n) == id);
    all.expect("a job of the model")
}

/// Where a job stands: in one place, whatever happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Line,
    Delayed { until: u64 },
    Leased { until: u64, parked: bool },
    Finish { due: u64, takes: u32 },
    Nowhere,
}

/// What is kept beside the record: the track by its seed, or the code of the last error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    Track(u32),
    Error(String),
}

#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) level: u32,
    pub(super) order: u64,
    pub(super) cost: u64,
    pub(super) max_attempts: u32,
    pub(super) seed: u32,
    pub(super) generation: u32,
    pub(super) attempt: u32,
    pub(super) status: JobStatus,
    pub(super) stage: Stage,
    pub(super) place: Place,
    /// Number of the acquire that its holder made.
    pub(super) fence: Option<u64>,
    /// Generation and attempt that its tenant has paid for.
    pub(super) charged: Option<(u32, u32)>,
    pub(super) start_by: Option<u64>,
    pub(super) finish_by: Option<u64>,
    /// When the sweep settles it, if nobody has.
    pub(super) outbox: Option<u64>,
    pub(super) dead: bool,
    pub(super) kept: Option<Kept>,
    pub(super) seq: u64,
    pub(super) progress: bool,
    pub(super) started: bool,
    pub(super) completed: bool,
    pub(super) cached: bool,
}

impl Job {
    pub(super) fn parked(&self) -> bool {
        matches!(self.place, Place::Leased { parked: true, .. })
    }

    pub(super) fn ended(&self) -> bool {
        self.status.is_terminal()
    }

    pub(super) fn leased(&self) -> bool {
        matches!(self.place, Place::Leased { .. })
    }

    /// The moment of this clock, if it runs.
    pub(super) fn when(&self, clock: Clock) -> Option<u64> {
        match (clock, self.place) {
            (Clock::Lease, Place::Leased { until, .. }) => Some(until),
            (Clock::Delayed, Place::Delayed { until }) => Some(until),
            (Clock::Finish, Place::Finish { due, .. }) => Some(due),
            (Clock::StartBy, _) => self.start_by,
            (Clock::FinishBy, _) => self.finish_by,
            (Clock::Outbox, _) => self.outbox,
            _ => None,
        }
    }
}

/// Why the line waits for the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Down,
    Busy,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tenant {
    pub(super) settings: TenantSettings,
    pub(super) revision: Option<u64>,
    /// Virtual time by level: what it was given, divided by its weight.
    pub(super) used: [u64; 3],
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    /// Milliseconds; one passes with each command, more where a command says so of one job.
    pub(super) now: u64,
    pub(super) jobs: BTreeMap<u8, Job>,
    /// Ids that were refused or deleted.
    pub(super) dead: BTreeSet<u8>,
    pub(super) tenants: BTreeMap<&'static str, Tenant>,
    /// Every fence that a job was ever given.
    pub(super) given: BTreeMap<u8, Vec<u64>>,
    pub(super) fences: u64,
    pub(super) last_order: u64,
    /// Virtual time by level at which the last turn began.
    pub(super) clock: [u64; 3],
    pub(super) settings: QueueSettings,
    pub(super) revision: Option<u64>,
    pub(super) loaded: bool,
    /// Of the service, in a row.
    pub(super) failures: u32,
    /// It is left alone, and until when is not over.
    pub(super) left_alone: bool,
    pub(super) hold: Option<Hold>,
    /// Jobs that the present command ended.
    pub(super) ended: Vec<u8>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            now: 10_000,
            jobs: BTreeMap::new(),
            dead: BTreeSet::new(),
            tenants: TENANTS.map(|name| (name, Tenant::default())).into(),
            given: BTreeMap::new(),
            fences: 0,
            last_order: 0,
            clock: [0; 3],
            settings: QueueSettings::default(),
            revision: None,
            loaded: false,
            failures: 0,
            left_alone: false,
            hold: None,
            ended: Vec::new(),
        }
    }

    pub(super) fn fence(&self, job: u8, who: Who) -> u64 {
        let all = self.given.get(&job).map_or(&[][..], Vec::as_slice);
        let back = match who {
            Who::Latest => 1,
            Who::Former => 2,
        };
        let place = all.len().checked_sub(back);
        place.map_or(0, |place| all[place])
    }

    /// A tenant's waiting jobs in their order.
    pub(super) fn line(&self, tenant: &str) -> Vec<u8> {
        let waits = |(n, job): (&u8, &Job)| {
            let here = job.place == Place::Line && tenant_of(*n) == tenant;
            here.then_some((job.level, job.order, *n))
        };
        let mut line: Vec<_> = self.jobs.iter().filter_map(waits).collect();
        line.sort_unstable();
        line.into_iter().map(|(_, _, n)| n).collect()
    }

    pub(super) fn in_flight(&self, tenant: &str) -> u32 {
        self.count(|n, job| job.leased() && tenant_of(n) == tenant)
    }

    pub(super) fn cap(&self, tenant: &str) -> u32 {
        self.tenants[tenant].settings.cap.unwrap_or(CAP)
    }

    pub(super) fn slots(&self) -> u32 {
        self.settings.slots.unwrap_or(SLOTS)
    }

    pub(super) fn free_slots(&self) -> u32 {
        self.slots()
            .saturating_sub(self.count(|_, job| job.leased()))
    }

    /// Tenants that may run a job now, in the order of their turns: by the level of their next job, then by virtual time, then by name.
    pub(super) fn turns(&self) -> Vec<&'static str> {
        let turn = |name: &'static str| {
            let tenant = &self.tenants[name];
            let level = self.jobs[self.line(name).first()?].level as usize;
            let room = self.in_flight(name) < self.cap(name) && !tenant.settings.paused;
            let start = tenant.used[level].max(self.clock[level]);
            room.then_some((level, start, name))
        };
        let mut turns: Vec<_> = TENANTS.into_iter().filter_map(turn).collect();
        turns.sort_unstable();
        turns.into_iter().map(|(_, _, name)| name).collect()
    }

    /// Jobs for which the moment of this clock has come, the earliest first.
    pub(super) fn due(&self, clock: Clock) -> Vec<u8> {
        let moment = |(n, job): (&u8, &Job)| Some((job.when(clock)?, *n));
        let mut due: Vec<_> = self.jobs.iter().filter_map(moment).collect();
        due.retain(|(at, _)| *at <= self.now);
        due.sort_unstable();
        due.into_iter().map(|(_, n)| n).collect()
    }

    /// How many workers that came now would be given a job each.
    pub(super) fn eligible(&self) -> u32 {
        let mut jobs = count(self.due(Clock::Finish).len());
        if self.hold.is_none() && !self.settings.paused {
            jobs += self.free_slots().min(count(self.turns().len()));
        }
        jobs
    }

    pub(super) fn debt(&self, most: u32) -> Debt {
        Debt {
            notices: Vec::new(),
            ring: self.eligible().min(most),
            ring_later: None,
            ended: self.ended.iter().map(|n| id_of(*n)).collect(),
        }
    }

    pub(super) fn count(&self, wanted: impl Fn(u8, &Job) -> bool) -> u32 {
        count(self.jobs.iter().filter(|(n, job)| wanted(**n, job)).count())
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap()
}
