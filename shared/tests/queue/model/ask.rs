//! The same commands, asked of the real queue: those of workers and models, and what only the real queue knows.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use shared::job::{Fence, JobRecord, Progress, RenderKey};
use shared::priority::Priority;
use shared::queue::{Acquired, Answer, Debt, Holder, NewJob, Restored, Spent};
use shared::stage::Stage;

use super::command::{CACHED, Command, New, Who};
use super::run::{Outcome, Said};
use super::state::{Model, SEED, id_of, number_of, tenant_of};
use crate::rig::{LONG, Rig, error, new_job, track};

/// The queue under test, with what only it can know.
pub(super) struct Real<'a> {
    pub(super) rig: &'a Rig,
    /// What the model counts its milliseconds from. It lies ahead, so that no job is older than the queue.
    base: DateTime<Utc>,
    fences: HashMap<u64, Fence>,
    pub(super) template: JobRecord,
}

impl<'a> Real<'a> {
    /// Over an empty Redis.
    pub(super) async fn over(rig: &'a Rig) -> Self {
        rig.empty_redis().await;
        let any = rig.put("template").await;
        let template = rig.job(any).await.job;
        rig.empty_redis().await;
        Self {
            rig,
            base: Utc::now() + TimeDelta::hours(1),
            fences: HashMap::new(),
            template,
        }
    }

    /// `model` is as it was before the command.
    pub(super) async fn ask(&mut self, model: &Model, command: &Command) -> Said {
        let (queue, usage) = (&self.rig.queue, Spent::default());
        match *command {
            Command::Enqueue(n, new, refusal) => {
                let job = NewJob {
                    refusal,
                    ..self.job(model, n, new)
                };
                owing(queue.enqueue(&job).await.unwrap(), Outcome::Enqueued)
            }
            Command::EnqueueCached(n) => {
                let (job, track) = (self.job(model, n, CACHED), track());
                let answer = queue.enqueue_cached(&job, &track).await.unwrap();
                owing(answer, Outcome::Enqueued)
            }
            Command::Restore(n, new, stage, generation) => {
                let job = self.job(model, n, new);
                let proven = Restored { stage, generation };
                let answer = queue.restore(&job, proven).await.unwrap();
                owing(answer, Outcome::Enqueued)
            }
            Command::RetryForgotten(n, new, generation) => {
                let job = self.job(model, n, new);
                let stage = Stage::Plan;
                let as_of = Restored { stage, generation };
                let answer = queue.retry_forgotten(&job, as_of, "again").await;
                owing(answer.unwrap(), Outcome::Enqueued)
            }
            Command::Acquire => self.acquire().await,
            Command::Renew(n, who) => {
                let holder = self.holder(model, n, who);
                plain(Outcome::Renewed(queue.renew(&holder).await.unwrap()))
            }
            Command::Advance(n, who, to) => {
                let holder = self.holder(model, n, who);
                let answer = queue.advance(&holder, to, usage).await.unwrap();
                owing(answer, Outcome::Worker)
            }
            Command::Park(n, who, stage) => {
                let holder = self.holder(model, n, who);
                let answer = queue.park(&holder, stage, LONG, usage).await.unwrap();
                owing(answer, Outcome::Parked)
            }
            Command::Complete(n, who, seed) => {
                let holder = self.holder(model, n, who);
                let mut track = track();
                track.seed = Some(seed);
                let answer = queue.complete(&holder, &track, usage, &[]).await.unwrap();
                owing(answer, Outcome::Worker)
            }
            Command::Fail(n, who, failure) => {
                let fence = who.map(|who| self.holder(model, n, who).fence);
                let (why, delay) = (error(failure.retryable), failure.delay);
                let (error, cause, next) = (&why, failure.cause, failure.next);
                let why = shared::queue::Failure { error, cause };
                let fail = queue.fail(id_of(n), fence.as_ref(), why, delay, next, usage);
                owing(fail.await.unwrap(), Outcome::Failed)
            }
            Command::Release(n, who, delay) => {
                let holder = self.holder(model, n, who);
                let answer = queue.release(&holder, delay, "busy", usage).await.unwrap();
                owing(answer, Outcome::Worker)
            }
            Command::Progress(n, who, figures) => {
                let fence = who.map(|who| self.holder(model, n, who).fence);
                let half = figures.then(half);
                let said = queue.progress(id_of(n), fence.as_ref(), half.as_ref(), LONG, usage);
                owing(said.await.unwrap(), Outcome::Heartbeat)
            }
            Command::Report(n, stage, render) => {
                let job = model.jobs.get(&n);
                let key = render.map(|(era, more)| {
                    let seed = job.map_or(SEED, |job| job.seed) + more;
                    RenderKey::new(id_of(n), stage, seed, era.of(job))
                });
                let answer = queue
                    .report(id_of(n), stage, key.as_ref(), usage)
                    .await
                    .unwrap();
                owing(answer, Outcome::Reported)
            }
            _ => self.ask_others(model, command).await,
        }
    }

    async fn acquire(&mut self) -> Said {
        let answer = self.rig.queue.acquire().await.unwrap();
        let outcome = match answer.outcome {
            Acquired::Job(job, Holder { id, fence }, _) => {
                let read = self.rig.job(id).await.job;
                assert_eq!(*job, read, "the job as it now is");
                let number = fence_number(&fence);
                self.fences.insert(number, fence);
                Outcome::Given {
                    job: number_of(id),
                    fence: number,
                }
            }
            Acquired::Empty => Outcome::Empty,
            Acquired::Saturated => Outcome::Saturated,
            Acquired::Held => Outcome::Held,
            Acquired::Paused => Outcome::Paused,
            Acquired::Unconfigured => Outcome::Unconfigured,
        };
        Said {
            outcome,
            debt: answer.debt,
        }
    }

    fn holder(&self, model: &Model, n: u8, who: Who) -> Holder {
        let known = self.fences.get(&model.fence(n, who));
        let fence = known.cloned().unwrap_or_else(|| Fence("0-none".to_owned()));
        Holder {
            id: id_of(n),
            fence,
        }
    }

    fn job(&self, model: &Model, n: u8, new: New) -> NewJob {
        let created_at = self.base + TimeDelta::milliseconds((model.now + 1 - new.ago) as i64);
        NewJob {
            id: id_of(n),
            created_at,
            start_by: created_at + TimeDelta::hours(1),
            finish_by: created_at + TimeDelta::hours(2),
            cost: new.cost,
            seed: SEED,
            max_attempts: new.attempts,
            priority: Priority::of_level(new.level).unwrap(),
            ..new_job(tenant_of(n))
        }
    }
}

/// The counter in front of the nonce.
pub(super) fn fence_number(fence: &Fence) -> u64 {
    let (number, _) = fence.0.split_once('-').unwrap();
    number.parse().unwrap()
}

pub(super) fn owing<T>(answer: Answer<T>, outcome: impl Fn(T) -> Outcome) -> Said {
    Said {
        outcome: outcome(answer.outcome),
        debt: answer.debt,
    }
}

pub(super) fn plain(outcome: Outcome) -> Said {
    Said {
        outcome,
        debt: Debt::default(),
    }
}

fn half() -> Progress {
    Progress {
        current: 1,
        total: 2,
        percentage: 50,
        message: "half".to_owned(),
    }
}
