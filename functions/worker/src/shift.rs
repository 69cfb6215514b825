//! One bell's worth of work: job after job until nothing may run, or time is short.

use std::time::{Duration, Instant, SystemTime};

use shared::clients::Clients;
use shared::control;
use shared::lookup::Unreachable;
use shared::queue::{Acquired, Debt, QueueError, Spent, millis};

use crate::payer::Payer;
use crate::run::{self, Ran};
use crate::step::own_fault;
use crate::transition::give_back;

/// Jobs of one shift; a fresh bell goes on.
const JOBS_MAX: usize = 64;
/// With less left, a shift does not begin another job.
const RESERVE: Duration = Duration::from_secs(45);
/// What an invocation has where its deadline is not told: the emulator sets it in the past.
const UNTOLD: Duration = Duration::from_secs(890);

/// The end of this invocation, on a clock that does not step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLeft {
    from: Instant,
    end: Instant,
}

impl TimeLeft {
    pub(crate) fn until(deadline: SystemTime) -> Self {
        let told = deadline
            .duration_since(SystemTime::now())
            .ok()
            .filter(|left| !left.is_zero());
        let from = Instant::now();
        Self {
            from,
            end: from + told.unwrap_or(UNTOLD),
        }
    }

    pub(crate) fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    pub(crate) fn spent_ms(self) -> u64 {
        millis(self.from.elapsed())
    }
}

/// The baton rule: returns only after an acquire that gave nothing, or after ringing for the next worker.
pub(crate) async fn work(clients: &Clients, time: TimeLeft) -> Result<(), Unreachable> {
    let mut payer = Payer::new(clients);
    let worked = job_after_job(clients, time, &mut payer).await;
    payer.finish().await;
    worked
}

async fn job_after_job(
    clients: &Clients,
    time: TimeLeft,
    payer: &mut Payer,
) -> Result<(), Unreachable> {
    for _ in 0..JOBS_MAX {
        if time.left() < RESERVE {
            break;
        }
        let answer = clients.queue.acquire().await?;
        payer.pay(answer.debt);
        match answer.outcome {
            Acquired::Job(job, holder, troubled) => {
                let run = run::run(clients, time, *job, holder, troubled, payer);
                let ran = Box::pin(run).await?;
                if ran == Ran::TimeIsShort {
                    break;
                }
            }
            Acquired::Unreadable(holder, why) => {
                let (delay, reason) = own_fault(&QueueError::Record(why).into());
                let spent = Spent::default();
                give_back(clients, &holder, delay, reason, spent, payer).await?;
            }
            Acquired::Empty | Acquired::Saturated | Acquired::Held | Acquired::Paused => {
                return Ok(());
            }
            Acquired::Unconfigured => {
                let synced = control::sync(clients).await?;
                tracing::info!(?synced, "what operators set was put in force again");
            }
        }
    }
    payer.pay(Debt {
        ring: 1,
        ..Debt::default()
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_is_not_believed() {
        let left = TimeLeft::until(SystemTime::UNIX_EPOCH + Duration::from_secs(600)).left();
        assert!(left > UNTOLD - Duration::from_secs(5));
        let left = TimeLeft::until(SystemTime::now() + Duration::from_secs(100)).left();
        assert!((95..=100).contains(&left.as_secs()));
    }
}
