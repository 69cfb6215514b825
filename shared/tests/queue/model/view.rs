//! One job as its owner sees it: read from Redis, and worked out by the model.

use serde_json::Value;
use shared::job::JobStatus;
use shared::queue::Snapshot;
use shared::stage::Stage;

use super::ask::fence_number;
use super::state::{Kept, Model, Place, tenant_of};

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
            Place::Delayed { .. } => "retry_delay",
            _ if self.settings.paused => "queue_paused",
            _ if self.tenants[tenant].settings.paused => "tenant_paused",
            _ if self.held => "hold",
            _ if position > Some(0) => "line",
            _ if self.in_flight(tenant) >= self.cap(tenant) => "cap",
            _ if free == 0 => "slots",
            _ if turn >= Some(free) => "turn",
            _ => "starting",
        }
    }
}
