//! The part of a run that looks after the queue, and its worst moments.

use std::time::Duration;

use shared::job::{JobId, JobRecord, JobStatus};

use super::meter::timed;
use super::round::{Costs, SPENT};
use super::site::{LONG, Site};
use crate::Result;

/// Items that a script looks after at most beside its own work.
const BATCH: usize = 4;

/// What the sweep does: the same step again and again, jobs whose time is over, jobs that it finds to have ended.
pub(super) async fn look_after(
    site: &mut Site,
    costs: &mut Costs,
    waiting: &[JobId],
) -> Result<()> {
    let queue = site.queue.clone();
    timed!(site, costs, "overview", {
        for _ in waiting {
            queue.overview().await?;
        }
    });
    let mut after = String::new();
    timed!(site, costs, "sweep", {
        for _ in waiting {
            after = queue.sweep(&after).await?.outcome.after;
        }
    });
    let (expiring, adopted) = waiting.split_at(waiting.len() / 2);
    timed!(site, costs, "expire", {
        for id in expiring {
            due(site, queue.keys().start_by(), *id).await?;
            queue.expire().await?;
        }
    });
    let mut records = Vec::new();
    for id in adopted {
        let found = queue.read(*id).await?.ok_or("a job is gone")?;
        records.push(JobRecord {
            status: JobStatus::Cancelled,
            ..found.job
        });
    }
    timed!(site, costs, "adopt", {
        for record in &records {
            queue.adopt(record, None).await?;
        }
    });
    for id in waiting {
        queue.settle(*id, 0).await?;
    }
    Ok(())
}

/// The most that one call can find to do: four lost leases and four due retries, or four overdue jobs of each clock.
pub(super) async fn fullest(site: &mut Site, costs: &mut Costs) -> Result<()> {
    let queue = site.queue.clone();
    much_is_due(site).await?;
    let mut holders = Vec::new();
    timed!(site, costs, "acquire, at its fullest", {
        holders.extend(site.acquire(1).await?);
    });
    for holder in &holders {
        queue.release(holder, Duration::ZERO, "busy", SPENT).await?;
    }
    much_is_due(site).await?;
    timed!(site, costs, "sweep, at its fullest", {
        queue.sweep("").await?;
    });
    for number in 0..2 * BATCH {
        let job = site.load.job();
        queue.enqueue(&job).await?;
        let clock = if number % 2 == 0 {
            queue.keys().start_by()
        } else {
            queue.keys().finish_by()
        };
        due(site, clock, job.id).await?;
    }
    timed!(site, costs, "expire, at its fullest", {
        queue.expire().await?;
    });
    Ok(())
}

async fn much_is_due(site: &Site) -> Result<()> {
    let (resting, lost) = (site.acquire(BATCH).await?, site.acquire(BATCH).await?);
    for holder in &resting {
        site.queue.release(holder, LONG, "busy", SPENT).await?;
        due(site, site.queue.keys().delayed(), holder.id).await?;
    }
    for holder in &lost {
        due(site, site.queue.keys().lease(), holder.id).await?;
    }
    Ok(())
}

/// Moves the moment at which a job is due in `key` into the past.
async fn due(site: &Site, key: String, id: JobId) -> Result<()> {
    let past = redis::Cmd::zadd(key, id.to_string(), 1);
    site.queue.redis().run::<()>(&past).await?;
    Ok(())
}
