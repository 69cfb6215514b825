//! The same commands, asked of the real queue.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use redis::Cmd;
use shared::job::{Fence, JobRecord, Progress, RenderKey, TenantId, UserId};
use shared::priority::Priority;
use shared::queue::{Acquired, Answer, Debt, Holder, NewJob, Restored, Revised};
use shared::queue::{Settings, Spent};
use shared::stage::Stage;

use super::care::{ADOPTED_LATER, kept, said_revision};
use super::command::{CACHED, Clock, Command, Era, New, Who};
use super::run::{Outcome, Said};
use super::state::{Kept, Model, SEED, id_of, number_of, tenant_of};
use crate::rig::{LONG, Rig, error, new_job, track};

/// The queue under test, with what only it can know.
pub(super) struct Real<'a> {
    rig: &'a Rig,
    /// What the model counts its milliseconds from. It lies ahead, so that no job is older than the queue.
    base: DateTime<Utc>,
    fences: HashMap<u64, Fence>,
    template: JobRecord,
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
            Command::Enqueue(n, new) => {
                let job = self.job(model, n, new);
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
                track.seed = seed;
                let answer = queue.complete(&holder, &track, usage, &[]).await.unwrap();
                owing(answer, Outcome::Worker)
            }
            Command::Fail(n, who, failure) => {
                let fence = who.map(|who| self.holder(model, n, who).fence);
                let (why, delay) = (error(failure.retryable), failure.delay);
                let fail = queue.fail(id_of(n), fence.as_ref(), &why, delay, failure.next, usage);
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
                let said = queue.progress(id_of(n), fence.as_ref(), half.as_ref(), LONG);
                plain(Outcome::Heartbeat(said.await.unwrap()))
            }
            Command::Report(n, stage, render) => {
                let job = model.jobs.get(&n);
                let key = render.map(|(era, more)| {
                    let seed = job.map_or(SEED, |job| job.seed) + more;
                    RenderKey::new(id_of(n), stage, seed, era.of(job))
                });
                let answer = queue.report(id_of(n), stage, key.as_ref()).await.unwrap();
                owing(answer, Outcome::Reported)
            }
            _ => self.ask_no_worker(model, command).await,
        }
    }

    /// The commands of owners, operators, the sweep and time.
    async fn ask_no_worker(&self, model: &Model, command: &Command) -> Said {
        let queue = &self.rig.queue;
        let generation = |n: u8, era: Era| era.of(model.jobs.get(&n));
        match command.clone() {
            Command::Cancel(n) => {
                let answer = queue.cancel(id_of(n), "cancelled").await.unwrap();
                owing(answer, Outcome::Cancelled)
            }
            Command::Retry(n, era) => {
                let new = new_job("any");
                let (start, end, era) = (new.start_by, new.finish_by, generation(n, era));
                let answer = queue.retry(id_of(n), era, start, end, "again").await;
                owing(answer.unwrap(), Outcome::Retried)
            }
            Command::Reprioritise(n, level) => {
                let priority = Priority::of_level(level).unwrap();
                let answer = queue.reprioritise(id_of(n), priority, "moved").await;
                owing(answer.unwrap(), Outcome::Reprioritised)
            }
            Command::Delete(n) => {
                let user = UserId::new(tenant_of(n));
                let said = queue.delete(id_of(n), &user, &[]).await.unwrap();
                plain(Outcome::Deleted(said))
            }
            Command::SetQueue(new, settings) => {
                let revision = said_revision(model.revision, new);
                let queue = Some(Revised { revision, settings });
                self.configure(Settings {
                    queue,
                    ..Settings::default()
                })
                .await
            }
            Command::SetTenant(name, new, settings) => {
                let revision = said_revision(model.tenants[name].revision, new);
                let tenants = vec![(TenantId::new(name), Revised { revision, settings })];
                self.configure(Settings {
                    tenants,
                    ..Settings::default()
                })
                .await
            }
            Command::Load => {
                self.configure(Settings {
                    loaded: true,
                    ..Settings::default()
                })
                .await
            }
            Command::Hold(on) => {
                let hold = queue.keys().hold();
                let set = if on {
                    Cmd::set(hold, 1)
                } else {
                    Cmd::del(hold)
                };
                let _: () = self.rig.raw(&set).await;
                plain(Outcome::Nothing)
            }
            Command::Sweep => owing(queue.sweep("").await.unwrap(), Outcome::Swept),
            Command::Expire => owing(queue.expire().await.unwrap(), Outcome::Expired),
            Command::Settle(n, era) => {
                let said = queue.settle(id_of(n), generation(n, era)).await.unwrap();
                plain(Outcome::Settled(said))
            }
            Command::SettleLater(n, era) => {
                let said = queue.settle_later(id_of(n), generation(n, era), LONG).await;
                plain(Outcome::Settled(said.unwrap()))
            }
            Command::Adopt(n, era, status) => {
                let known = queue.read(id_of(n)).await.unwrap();
                let mut job = known.map_or_else(|| self.template.clone(), |found| found.job);
                job.id = id_of(n);
                job.status = status;
                job.stage = Stage::Finish;
                job.generation = generation(n, era);
                job.seq += ADOPTED_LATER;
                let result = kept(status).map(|kept| match kept {
                    Kept::Track(_) => serde_json::to_string(&track()).unwrap(),
                    Kept::Error(_) => serde_json::to_string(&error(false)).unwrap(),
                });
                owing(queue.adopt(&job, result).await.unwrap(), Outcome::Adopted)
            }
            Command::Pass(n, clock) => {
                if model
                    .jobs
                    .get(&n)
                    .is_some_and(|job| job.when(clock).is_some())
                {
                    self.pass(n, clock).await;
                }
                plain(Outcome::Nothing)
            }
            other => unreachable!("{other:?} is asked by a worker or a model"),
        }
    }

    async fn pass(&self, n: u8, clock: Clock) {
        let keys = self.rig.queue.keys();
        let key = match clock {
            Clock::Lease => keys.lease(),
            Clock::Delayed => keys.delayed(),
            Clock::Finish => keys.finish(),
            Clock::StartBy => keys.start_by(),
            Clock::FinishBy => keys.finish_by(),
            Clock::Outbox => keys.outbox(),
        };
        self.rig.let_pass(key, id_of(n)).await;
    }

    async fn acquire(&mut self) -> Said {
        let answer = self.rig.queue.acquire().await.unwrap();
        let outcome = match answer.outcome {
            Acquired::Job(job, Holder { id, fence }) => {
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

    async fn configure(&self, settings: Settings) -> Said {
        let answer = self.rig.queue.configure(&settings).await.unwrap();
        owing(answer, Outcome::Configured)
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

fn owing<T>(answer: Answer<T>, outcome: impl Fn(T) -> Outcome) -> Said {
    Said {
        outcome: outcome(answer.outcome),
        debt: answer.debt,
    }
}

fn plain(outcome: Outcome) -> Said {
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
