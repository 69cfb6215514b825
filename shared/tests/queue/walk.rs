//! Random walks: whatever happens in whatever order, the invariants hold, and bells alone bring every job to an end.

use std::time::Duration;

use shared::job::{JobId, JobStatus};
use shared::queue::{Acquired, Debt, Holder, Next, Spent};
use shared::stage::Stage;

use crate::rig::{LONG, NOW, Rig, error, track};

const JOBS: usize = 16;

/// Bells that were rung and not yet answered. A lost one would leave a job lying; the walk would then end too early.
#[derive(Default)]
struct Tower {
    bells: u32,
}

impl Tower {
    fn pay(&mut self, debt: &Debt) {
        assert!(debt.ring_later.is_none_or(|delay| delay == NOW));
        self.bells += debt.ring + u32::from(debt.ring_later.is_some());
    }
}

struct Walk {
    rig: Rig,
    chance: fastrand::Rng,
    tower: Tower,
    /// Jobs that a model holds.
    models: Vec<Holder>,
}

impl Walk {
    /// One worker with one bell: it works until there is nothing to do, and only then lets the bell go.
    async fn answer_a_bell(&mut self) {
        self.tower.bells -= 1;
        loop {
            let answer = self.rig.acquire().await;
            self.tower.pay(&answer.debt);
            let Acquired::Job(job, holder, _) = answer.outcome else {
                return;
            };
            self.work(job.stage, &holder).await;
        }
    }

    async fn work(&mut self, stage: Stage, holder: &Holder) {
        let usage = Spent::default();
        let debt = match (self.chance.u8(0..8), stage) {
            (0, _) => self.rig.fail_now(holder, &error(true)).await.debt,
            (1, _) => self.rig.release(holder, NOW, "busy", usage).await.debt,
            (2, _) => self.rig.cancel(holder.id, "cancelled").await.debt,
            (3, Stage::Finish) => {
                let anew = Next {
                    stage: Some(Stage::Audio),
                    seed: Some(self.chance.u32(..)),
                };
                let (fence, why) = (Some(&holder.fence), error(true));
                self.rig
                    .fail(holder.id, fence, &why, NOW, anew, usage)
                    .await
                    .debt
            }
            (_, Stage::Finish) => self.rig.complete(holder, &track(), usage).await.debt,
            (3 | 4, _) => {
                self.models.push(holder.clone());
                self.rig.park(holder, stage, LONG, usage).await.debt
            }
            (_, Stage::Audio) => {
                let debt = self.rig.advance(holder, Stage::Finish, usage).await.debt;
                self.tower.pay(&debt);
                self.rig.complete(holder, &track(), usage).await.debt
            }
            (_, Stage::Plan) => {
                let debt = self.rig.advance(holder, Stage::Audio, usage).await.debt;
                self.tower.pay(&debt);
                self.models.push(holder.clone());
                self.rig.park(holder, Stage::Audio, LONG, usage).await.debt
            }
        };
        self.tower.pay(&debt);
    }

    /// A model delivers, fails, or says nothing until its lease is over.
    async fn hear_a_model(&mut self) {
        let holder = self
            .models
            .swap_remove(self.chance.usize(0..self.models.len()));
        let stage = self.rig.job(holder.id).await.job.stage;
        let debt = match self.chance.u8(0..4) {
            0 => self.rig.fail_now(&holder, &error(true)).await.debt,
            1 => {
                self.rig
                    .let_pass(self.rig.queue.keys().lease(), holder.id)
                    .await;
                let swept = self.rig.sweep("").await;
                self.tower.bells += swept.outcome.bells;
                swept.debt
            }
            _ => self.rig.report(holder.id, stage, None).await.debt,
        };
        self.tower.pay(&debt);
    }
}

async fn walk(seed: u64) {
    let rig = Rig::with(3, 2);
    let chance = fastrand::Rng::with_seed(seed);
    let (tower, models) = Default::default();
    let mut walk = Walk {
        rig,
        chance,
        tower,
        models,
    };
    let mut jobs: Vec<JobId> = Vec::new();
    loop {
        let next = walk.chance.u8(0..3);
        if next == 0 && jobs.len() < JOBS {
            let tenant = ["a", "b", "c"][walk.chance.usize(0..3)];
            let job = crate::rig::new_job(tenant);
            let answer = walk.rig.enqueue(&job).await;
            walk.tower.pay(&answer.debt);
            jobs.push(job.id);
        } else if next == 1 && !walk.models.is_empty() {
            walk.hear_a_model().await;
        } else if walk.tower.bells > 0 {
            walk.answer_a_bell().await;
        } else if jobs.len() == JOBS && walk.models.is_empty() {
            break;
        }
    }
    for id in jobs {
        let status = walk.rig.status(id).await;
        assert!(
            status.is_terminal(),
            "seed {seed}: {id} is {status} and no bell is left"
        );
    }
    let counts = walk.rig.queue.counts().await.unwrap();
    assert_eq!((counts.running, counts.finishing, counts.queued), (0, 0, 0));
    assert_eq!(counts.unsettled, JOBS as u64, "one end for each job");
}

#[tokio::test]
async fn workers_that_come_only_when_rung_bring_every_job_to_an_end() {
    for seed in 0..4 {
        tokio::time::timeout(Duration::from_secs(60), walk(seed))
            .await
            .expect("the walk ends");
    }
}

#[tokio::test]
async fn a_job_has_one_terminal_state() {
    let rig = Rig::start();
    let holder = rig.finishing("a").await;
    rig.complete(&holder, &track(), Spent::default()).await;
    rig.cancel(holder.id, "cancelled").await;
    rig.fail_now(&holder, &error(true)).await;
    rig.release(&holder, NOW, "x", Spent::default()).await;
    rig.report(holder.id, Stage::Audio, None).await;
    rig.park(&holder, Stage::Finish, LONG, Spent::default())
        .await;
    rig.expire().await;
    rig.sweep("").await;
    assert_eq!(rig.status(holder.id).await, JobStatus::Completed);
}
