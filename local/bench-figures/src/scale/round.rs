//! One run: every script some times in a row, on jobs that pass through it as they would in service.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use shared::job::{JobError, JobId, Progress};
use shared::priority::Priority;
use shared::queue::{Holder, Next, Revised, Settings, Showed, Spent, TenantSettings};
use shared::stage::Stage;
use uuid::Uuid;

use super::meter::{Cost, timed};
use super::site::{LONG, Site};
use super::upkeep::{fullest, look_after};
use crate::{Result, made};

/// What a script took, in the order of a job's life.
pub(super) type Costs = Vec<(&'static str, Cost)>;

pub(super) const SPENT: Spent = Spent {
    plan_ms: 3_000,
    audio_ms: 20_000,
    finish_ms: 900,
    billed_ms: 1_200,
};

/// Leaves as many jobs waiting as there were.
pub(super) async fn run(site: &mut Site, calls: usize) -> Result<Costs> {
    let mut costs = Costs::new();
    let fresh = submit(site, &mut costs, calls).await?;
    steer(site, &mut costs, &fresh).await?;
    let made = make(site, &mut costs, calls).await?;
    forget(site, &mut costs, &made).await?;
    go_wrong(site, &mut costs, calls).await?;
    look_after(site, &mut costs, &fresh).await?;
    fullest(site, &mut costs).await?;
    site.fill(3 * calls).await?;
    Ok(costs)
}

async fn submit(site: &mut Site, costs: &mut Costs, calls: usize) -> Result<Vec<JobId>> {
    let new: Vec<_> = (0..calls).map(|_| site.load.job()).collect();
    let queue = site.queue.clone();
    timed!(site, costs, "enqueue", {
        for job in &new {
            queue.enqueue(job).await?;
        }
    });
    timed!(site, costs, "read", {
        for job in &new {
            queue.read_for(job.id, &job.tenant).await?;
        }
    });
    timed!(site, costs, "wait", {
        for job in &new {
            let waiter = Uuid::now_v7();
            queue
                .wait(waiter, &job.tenant, Duration::from_secs(1), 1_000)
                .await?;
        }
    });
    Ok(new.iter().map(|job| job.id).collect())
}

/// From the line to the track.
async fn make(site: &mut Site, costs: &mut Costs, calls: usize) -> Result<Vec<Holder>> {
    let queue = site.queue.clone();
    let mut holders = Vec::new();
    timed!(site, costs, "acquire", {
        holders.extend(site.acquire(calls).await?);
    });
    timed!(site, costs, "renew", {
        for holder in &holders {
            queue.renew(holder).await?;
        }
    });
    timed!(site, costs, "advance", {
        for holder in &holders {
            queue.advance(holder, Stage::Audio, SPENT).await?;
        }
    });
    timed!(site, costs, "park", {
        for holder in &holders {
            queue.park(holder, Stage::Audio, LONG, SPENT).await?;
        }
    });
    timed!(site, costs, "progress", {
        for holder in &holders {
            let (current, total) = (7, 30);
            let message = "Rendering the chorus.".to_owned();
            let progress = Progress {
                current,
                total,
                percentage: 23,
                message,
            };
            queue
                .progress(
                    holder.id,
                    Some(&holder.fence),
                    Some(&progress),
                    LONG,
                    Spent::default(),
                )
                .await?;
        }
    });
    timed!(site, costs, "report", {
        for holder in &holders {
            queue
                .report(holder.id, Stage::Audio, None, Spent::default())
                .await?;
        }
    });
    timed!(site, costs, "breaker", {
        for call in 0..calls {
            let showed = if call % 4 == 0 {
                Showed::Failed
            } else {
                Showed::Answered
            };
            drop(queue.breaker("muscgen", showed, true).await?);
        }
    });
    let mut finishing = Vec::new();
    timed!(site, costs, "acquire (to finish)", {
        finishing.extend(site.acquire(calls).await?);
    });
    let track = made::track();
    timed!(site, costs, "complete", {
        for holder in &finishing {
            let digest = holder.id.to_string();
            queue.complete(holder, &track, SPENT, &[digest]).await?;
        }
    });
    Ok(finishing)
}

async fn forget(site: &mut Site, costs: &mut Costs, ended: &[Holder]) -> Result<()> {
    let queue = site.queue.clone();
    timed!(site, costs, "settle", {
        for holder in ended {
            queue.settle(holder.id, 0).await?;
        }
    });
    timed!(site, costs, "delete", {
        for holder in ended {
            queue.delete(holder.id).await?;
        }
    });
    Ok(())
}

async fn go_wrong(site: &mut Site, costs: &mut Costs, calls: usize) -> Result<()> {
    let queue = site.queue.clone();
    let holders = site.acquire(calls).await?;
    timed!(site, costs, "release", {
        for holder in &holders {
            queue.release(holder, Duration::ZERO, "busy", SPENT).await?;
        }
    });
    let holders = site.acquire(calls).await?;
    let error = JobError {
        code: "model_down".to_owned(),
        message: "The model service did not answer.".to_owned(),
        stage: Stage::Plan,
        retryable: true,
    };
    timed!(site, costs, "fail", {
        for holder in &holders {
            queue
                .fail(
                    holder.id,
                    Some(&holder.fence),
                    &error,
                    LONG,
                    Next::default(),
                    SPENT,
                )
                .await?;
        }
    });
    timed!(site, costs, "cancel", {
        for holder in &holders {
            queue.cancel(holder.id, "cancelled by its owner").await?;
        }
    });
    let now = Utc::now();
    timed!(site, costs, "retry", {
        for holder in &holders {
            let (start_by, finish_by) = (now + TimeDelta::hours(24), now + TimeDelta::hours(26));
            queue
                .retry(holder.id, 1, start_by, finish_by, "retried by its owner")
                .await?;
        }
    });
    // A job that began again has no guess to learn from: the line must be all of new ones at every size.
    for holder in &holders {
        queue.cancel(holder.id, "cancelled by its owner").await?;
        queue.settle(holder.id, 1).await?;
    }
    Ok(())
}

/// As operators do. The jobs of this run are the last in line from here on, so that none is given out.
async fn steer(site: &mut Site, costs: &mut Costs, waiting: &[JobId]) -> Result<()> {
    let queue = site.queue.clone();
    timed!(site, costs, "reprioritise", {
        for id in waiting {
            queue
                .reprioritise(*id, Priority::Low, "by an admin")
                .await?;
        }
    });
    let revision = u64::try_from(Utc::now().timestamp_millis())?;
    let tenants: Vec<_> = waiting.iter().map(|_| site.load.job().tenant).collect();
    timed!(site, costs, "configure", {
        for (tenant, number) in tenants.iter().zip(0..) {
            let settings = TenantSettings {
                weight: Some(2),
                ..TenantSettings::default()
            };
            let revised = Revised {
                revision: revision + number,
                settings,
            };
            let tenants = vec![(tenant.clone(), revised)];
            queue
                .configure(&Settings {
                    tenants,
                    ..Settings::default()
                })
                .await?;
        }
    });
    Ok(())
}
