//! What a job costs: wall time by stage, and the handler's own time without the waits for a synchronous model.

use std::future::Future;
use std::time::{Duration, Instant};

use shared::queue::{Spent, millis};
use shared::stage::Stage;

/// Runs from acquire to the last transition of one holder.
pub(crate) struct Meter {
    stage_from: Instant,
    billed_from: Instant,
    waited: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self {
            stage_from: now,
            billed_from: now,
            waited: Duration::ZERO,
        }
    }

    /// Awaits a model; the wait is not billed to the job.
    pub(crate) async fn wait<T>(&mut self, call: impl Future<Output = T>) -> T {
        let from = Instant::now();
        let answer = call.await;
        self.waited += from.elapsed();
        answer
    }

    /// What was spent since the last call, booked on `stage`.
    pub(crate) fn take(&mut self, stage: Stage) -> Spent {
        let now = Instant::now();
        let wall = millis(now - self.stage_from);
        let billed = (now - self.billed_from).saturating_sub(self.waited);
        let mut spent = Spent::billed(billed);
        match stage {
            Stage::Plan => spent.plan_ms = wall,
            Stage::Audio => spent.audio_ms = wall,
            Stage::Finish => spent.finish_ms = wall,
        }
        *self = Self {
            stage_from: now,
            billed_from: now,
            waited: Duration::ZERO,
        };
        spent
    }
}
