//! One job as its owner sees it, and what all jobs wait for: read from Redis, and worked out by the model.

use std::collections::BTreeMap;

use chrono::Utc;
use redis::Cmd;
use serde_json::Value;
use shared::job::JobStatus;
use shared::queue::{Counts, Snapshot};
use shared::stage::Stage;

use super::ask::fence_number;
use super::command::Clock;
use super::state::{Hold, Job, Kept, Model, Place, number_of, tenant_of};
use crate::rig::Rig;

#[derive(Debug, PartialEq)]
pub(super) struct View {
    status: JobStatus,
    stage: Stage,
    level: u32,
    generation: u32,
    attempt: u32,
    seed: u32,
    fence: Option<u64>,
    parked: bool,
    delayed: bool,
    progress: bool,
    started: bool,
    completed: bool,
    cached: bool,
    seq: u64,
    kept: Option<Kept>,
    position: Option<usize>,
    waiting: Option<String>,
}

impl From<Snapshot> for View {
    fn from(found: Snapshot) -> Self {
        let job = found.job;
        Self {
            status: job.status,
            stage: job.stage,
            level: job.priority.level(),
            generation: job.generation,
            attempt: job.attempt,
            seed: job.seed,
            fence: job.fence.as_ref().map(fence_number),
            parked: job.parked,
            delayed: job.delayed_until.is_some(),
            progress: job.progress.is_some(),
            started: job.started_at.is_some(),
            completed: job.completed_at.is_some(),
            cached: job.cached,
            seq: job.seq,
            kept: found.outcome.map(|text| kept(&text)),
            position: found.position.map(|n| usize::try_from(n).unwrap()),
            waiting: found.waiting.map(|why| why.code),
        }
    }
}

fn kept(text: &str) -> Kept {
    let value: Value = serde_json::from_str(text).unwrap();
    match value["code"].as_str() {
        Some(code) => Kept::Error(code.to_owned()),
        None => Kept::Track(serde_json::from_value(value["seed"].clone()).unwrap()),
    }
}

impl Model {
    pub(super) fn view(&self, n: u8) -> Option<View> {
        let job = self.jobs.get(&n)?;
        let line = self.line(tenant_of(n));
        let position = line.iter().position(|other| *other == n);
        let waits = job.status == JobStatus::Queued;
        Some(View {
            status: job.status,
            stage: job.stage,
            level: job.level,
            generation: job.generation,
            attempt: job.attempt,
            seed: job.seed,
            fence: job.fence,
            parked: job.parked(),
            delayed: matches!(job.place, Place::Delayed { .. }),
            progress: job.progress,
            started: job.started,
            completed: job.completed,
            cached: job.cached,
            seq: job.seq,
            kept: job.kept.clone(),
            position,
            waiting: waits.then(|| self.why(n, job.place, position).to_owned()),
        })
    }

    /// Why a job waits: the first reason that holds.
    fn why(&self, n: u8, place: Place, position: Option<usize>) -> &'static str {
        let tenant = tenant_of(n);
        let free = self.free_slots() as usize;
        let turn = self.turns().iter().position(|name| *name == tenant);
        match place {
            Place::Finish { .. } => "finish",
            _ if self.settings.paused => "queue_paused",
            _ if self.tenants[tenant].settings.paused => "tenant_paused",
            _ if !self.loaded => "loading",
            Place::Delayed { .. } => "retry_delay",
            _ if self.hold == Some(Hold::Busy) => "busy",
            _ if self.hold.is_some() => "hold",
            _ if position > Some(0) => "line",
            _ if self.in_flight(tenant) >= self.cap(tenant) => "cap",
            _ if free == 0 => "slots",
            _ if turn >= Some(free) => "turn",
            _ => "starting",
        }
    }
}

/// How far away a moment is: a lease, a deadline, and what no test waits for are told apart, a slow machine is not.
#[derive(Debug, PartialEq)]
pub(super) enum Span {
    Past,
    Minute,
    Quarter,
    Far,
}

impl Span {
    fn of(ms: i64) -> Self {
        match ms {
            ..=0 => Self::Past,
            1..=60_000 => Self::Minute,
            60_001..=1_000_000 => Self::Quarter,
            _ => Self::Far,
        }
    }
}

/// The jobs on each clock, in the order of [`Clock::ALL`].
pub(super) type Clocks = Vec<BTreeMap<u8, Span>>;

/// Where Redis keeps this clock.
pub(super) fn key(rig: &Rig, clock: Clock) -> String {
    let keys = rig.queue.keys();
    match clock {
        Clock::Lease => keys.lease(),
        Clock::Delayed => keys.delayed(),
        Clock::Finish => keys.finish(),
        Clock::StartBy => keys.start_by(),
        Clock::FinishBy => keys.finish_by(),
        Clock::Outbox => keys.outbox(),
    }
}

pub(super) async fn clocks(rig: &Rig) -> Clocks {
    let mut all = Vec::new();
    for clock in Clock::ALL {
        let range = Cmd::zrange_withscores(key(rig, clock), 0, -1);
        let due: Vec<(String, i64)> = rig.raw(&range).await;
        let now = Utc::now().timestamp_millis();
        let span = |(id, ms): (String, i64)| (number_of(id.parse().unwrap()), Span::of(ms - now));
        all.push(due.into_iter().map(span).collect());
    }
    all
}

impl Model {
    pub(super) fn counts(&self) -> Counts {
        let n = |wanted: fn(&Job) -> bool| u64::from(self.count(|_, job| wanted(job)));
        Counts {
            sweep_age: None,
            running: n(Job::leased),
            finishing: n(|job| matches!(job.place, Place::Finish { .. })),
            delayed: n(|job| matches!(job.place, Place::Delayed { .. })),
            ready_tenants: self.turns().len() as u64,
            unsettled: n(|job| job.outbox.is_some()),
            dead: n(|job| job.dead),
            queued: n(|job| job.status == JobStatus::Queued),
            completed: n(|job| job.status == JobStatus::Completed),
            failed: n(|job| job.status == JobStatus::Failed),
            slots: self.slots().into(),
        }
    }

    pub(super) fn clocks(&self) -> Clocks {
        let span = |at: u64| Span::of(at.cast_signed() - self.now.cast_signed());
        let on = |clock| {
            let due = |(n, job): (&u8, &Job)| Some((*n, span(job.when(clock)?)));
            self.jobs.iter().filter_map(due).collect()
        };
        Clock::ALL.map(on).into()
    }
}
