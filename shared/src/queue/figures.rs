//! What whoever watches the system asks of the queue, beside the sizes of its sets.

use std::collections::BTreeMap;

use chrono::Utc;

use super::{Counts, FAILURES, Owner, Queue, QueueError};

/// The queue in figures; each is read in constant time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub counts: Counts,
    /// Of the job that waits longest, ms; 0 when none waits.
    pub oldest_wait_ms: u64,
    /// Services that failed so often in a row that they are left alone.
    pub breakers_open: u64,
    /// Redis drops keys when it is full, as the sweep saw it.
    pub evicts: bool,
    /// Since Redis began: each terminal status, and of each stage `<stage>_n` and `<stage>_ms`.
    totals: BTreeMap<String, u64>,
}

impl Figures {
    /// How often something happened since Redis began, or how many ms it took.
    pub fn total(&self, what: &str) -> u64 {
        self.totals.get(what).copied().unwrap_or_default()
    }
}

impl Queue {
    /// As it is now.
    pub async fn figures(&self) -> Result<Figures, QueueError> {
        type Read = (
            Vec<(String, i64)>,
            BTreeMap<String, i64>,
            BTreeMap<String, u64>,
            Option<String>,
        );
        let k = &self.keys;
        let mut pipe = redis::pipe();
        pipe.zrange_withscores(k.by_user(&Owner::Everybody, "queued"), 0, 0)
            .hgetall(k.breaker())
            .hgetall(k.totals())
            .hget(k.clock(), "evicts");
        let (counts, read) = tokio::join!(self.counts(), self.redis.pipe::<Read>(&pipe));
        let (oldest, breakers, totals, evicts) = read?;
        let now = Utc::now().timestamp_millis();
        let since = oldest.first().map_or(now, |(_, created_ms)| *created_ms);
        let open = |(field, failures): &(&String, &i64)| {
            !field.contains(':') && **failures >= i64::from(FAILURES)
        };
        Ok(Figures {
            counts: counts?,
            oldest_wait_ms: u64::try_from(now - since).unwrap_or_default(),
            breakers_open: breakers.iter().filter(open).count() as u64,
            evicts: evicts.as_deref() == Some("1"),
            totals,
        })
    }
}
