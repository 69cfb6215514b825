//! Fills a queue through its own `enqueue`.

use chrono::Utc;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared::job::TenantId;
use shared::priority::Priority;
use shared::queue::{NewJob, Queue, QueueError};

use crate::made;

/// Calls that wait for Redis at the same time.
const AT_ONCE: usize = 32;

/// Jobs of many tenants: the same for the same seed, but for their ids.
pub struct Load {
    tenants: Vec<TenantId>,
    random: fastrand::Rng,
    made: usize,
}

impl Load {
    /// For so many tenants.
    pub fn new(tenants: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let tenants = (0..tenants).map(|_| made::tenant(&mut random));
        Self {
            tenants: tenants.collect(),
            random,
            made: 0,
        }
    }

    /// The next job: tenants take turns, levels and lengths differ, and one in ten wears a tag.
    pub fn job(&mut self) -> NewJob {
        let tenant = self.tenants[self.made % self.tenants.len()].clone();
        self.made += 1;
        let level = match self.random.u32(0..10) {
            0 => 0,
            1..8 => 1,
            _ => 2,
        };
        let tag = format!("album-{}", self.random.u32(0..20));
        let cost = self.random.u32(5..=300);
        NewJob {
            seed: self.random.u32(..),
            priority: Priority::of_level(level).unwrap_or_default(),
            tags: if self.random.u32(0..10) == 0 {
                vec![tag]
            } else {
                Vec::new()
            },
            ..made::job(tenant, Utc::now(), cost)
        }
    }

    /// Puts `jobs` more jobs into the queue.
    pub async fn fill(&mut self, queue: &Queue, jobs: usize) -> Result<(), QueueError> {
        let new = (0..jobs).map(|_| self.job());
        stream::iter(new)
            .map(|job| async move { queue.enqueue(&job).await })
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |_| Ok(()))
            .await
    }
}
