//! The commands of owners, operators, the sweep and time, asked of the real queue.

use redis::Cmd;
use shared::job::TenantId;
use shared::priority::Priority;
use shared::queue::{Breaker, Revised, Settings};
use shared::stage::Stage;

use super::ask::{Real, owing, plain};
use super::care::{ADOPTED_LATER, kept, said_revision};
use super::command::{Command, Era};
use super::run::{Outcome, Said};
use super::state::{Kept, Model, id_of};
use super::view::key;
use crate::rig::{error, new_job, track};

const SERVICE: &str = "muscgen";

impl Real<'_> {
    pub(super) async fn ask_others(&self, model: &Model, command: &Command) -> Said {
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
                let said = queue.delete(id_of(n)).await.unwrap();
                plain(Outcome::Deleted(said))
            }
            Command::Refuse(n) => {
                let said = queue.refuse(id_of(n)).await.unwrap();
                plain(Outcome::Refused(said))
            }
            Command::Lapse(n) => {
                let fact = queue.keys().refused(id_of(n));
                let _: () = self.rig.raw(&Cmd::del(fact)).await;
                plain(Outcome::Nothing)
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
            Command::Breaker(showed) => {
                let mut answer = queue.breaker(SERVICE, showed, true).await.unwrap();
                // When the service may be called again, to the millisecond, is left to the tests of the breaker.
                answer.debt.ring_later = None;
                owing(answer, |said| Outcome::Breaker(said == Breaker::Closed))
            }
            Command::LeftAlone => {
                let breaker = queue.keys().breaker();
                let until = format!("{SERVICE}:until");
                let known: bool = self.rig.raw(&Cmd::hexists(&breaker, &until)).await;
                if known {
                    let _: () = self.rig.raw(&Cmd::hset(breaker, until, 1)).await;
                }
                let _: () = self.rig.raw(&Cmd::del(queue.keys().hold())).await;
                plain(Outcome::Nothing)
            }
            Command::Sweep => owing(queue.sweep("").await.unwrap(), Outcome::Swept),
            Command::Expire => owing(queue.expire().await.unwrap(), Outcome::Expired),
            Command::Settle(n, era) => {
                let said = queue.settle(id_of(n), generation(n, era)).await.unwrap();
                plain(Outcome::Settled(said))
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
                    let key = key(self.rig, clock);
                    self.rig.let_pass(key, id_of(n)).await;
                }
                plain(Outcome::Nothing)
            }
            other => unreachable!("{other:?} is asked by a worker or a model"),
        }
    }

    async fn configure(&self, settings: Settings) -> Said {
        let answer = self.rig.queue.configure(&settings).await.unwrap();
        owing(answer, Outcome::Configured)
    }
}
