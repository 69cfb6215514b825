//! What workers and models do with a job.

use std::time::Duration;

use shared::job::{JobError, JobId, JobRecord};
use shared::queue::{Acquired, Debt, Held, Holder, Next, Spent, backoff, millis};
use shared::stage::Stage;

use super::play::{Event, Play, ms, seconds};
use crate::{Result, made};

/// A model is given that long.
const DEADLINE: Duration = Duration::from_secs(3_600);

impl Play {
    pub(super) async fn work(&mut self) -> Result<Debt> {
        let answer = self.queue().acquire().await?;
        if let Acquired::Job(job, holder, _) = answer.outcome {
            self.ring(&answer.debt);
            return self.begin(*job, holder).await;
        }
        Ok(answer.debt)
    }

    async fn begin(&mut self, job: JobRecord, holder: Holder) -> Result<Debt> {
        if job.stage == Stage::Finish {
            return Ok(self
                .queue()
                .complete(&holder, &made::track(), Spent::default(), &[])
                .await?
                .debt);
        }
        let number = *self
            .numbers
            .get(&job.id)
            .ok_or("a job that nobody has submitted")?;
        if self.seen[number].waited.is_none() {
            self.seen[number].waited = Some(seconds(job.usage.queue_ms));
        }
        let attempts = &self.day.arrivals[number].attempts;
        let attempt = attempts[(job.attempt as usize - 1).min(attempts.len() - 1)];
        self.running.insert(job.id, (holder, attempt));
        self.plan(
            if job.stage == Stage::Plan {
                ms(attempt.plan)
            } else {
                0
            },
            Event::Planned(job.id),
        );
        Ok(Debt::default())
    }

    pub(super) async fn planned(&mut self, id: JobId) -> Result<Debt> {
        let Some((holder, attempt)) = self.running.get(&id).cloned() else {
            return Ok(Debt::default());
        };
        let spent = Spent {
            plan_ms: ms(attempt.plan),
            ..Spent::default()
        };
        let answer = self.queue().advance(&holder, Stage::Audio, spent).await?;
        if answer.outcome == Held::Ok {
            self.queue()
                .park(&holder, Stage::Audio, DEADLINE, Spent::default())
                .await?;
            self.plan(ms(attempt.audio), Event::Rendered(id));
        }
        Ok(answer.debt)
    }

    pub(super) async fn rendered(&mut self, id: JobId) -> Result<Debt> {
        let Some((_, attempt)) = self.running.remove(&id) else {
            return Ok(Debt::default());
        };
        if !attempt.fails {
            let usage = Spent::default();
            let reported = self.queue().report(id, Stage::Audio, None, usage).await?;
            return Ok(reported.debt);
        }
        let error = JobError {
            code: "model_down".to_owned(),
            message: "The model service did not answer.".to_owned(),
            stage: Stage::Audio,
            retryable: true,
        };
        let (queue, delay, none) = (self.queue(), backoff(1), Spent::default());
        let failed = queue.fail(id, None, &error, delay, Next::default(), none);
        let debt = failed.await?.debt;
        if let Some(later) = debt.ring_later {
            self.plan(millis(later), Event::Bell);
        }
        Ok(debt)
    }
}
