//! A course of events through a real queue, whose clock goes as fast as they do: so a day takes a minute.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use shared::queue::Queue;

use crate::Result;

/// The clock is so far ahead of the real one at the beginning: further than the real one gets, in ms.
const START_MS: u64 = 3_600_000;

/// What is to happen, by its time.
pub(crate) struct Course<E> {
    queue: Queue,
    real: Instant,
    /// What the clock shows, in ms since the beginning.
    now: u64,
    agenda: BinaryHeap<Reverse<(u64, E)>>,
}

impl<E: Ord> Course<E> {
    pub(crate) fn new(queue: Queue) -> Self {
        Self {
            queue,
            real: Instant::now(),
            now: 0,
            agenda: BinaryHeap::new(),
        }
    }

    /// The queue at this moment.
    pub(crate) fn queue(&self) -> Queue {
        let ahead = Duration::from_millis(START_MS + self.now);
        self.queue.ahead(ahead.saturating_sub(self.real.elapsed()))
    }

    /// This moment as the queue's clock tells it.
    pub(crate) fn time(&self) -> Result<DateTime<Utc>> {
        let real = i64::try_from(self.real.elapsed().as_millis())?;
        let ahead = i64::try_from(START_MS + self.now)? - real;
        Ok(Utc::now() + TimeDelta::milliseconds(ahead))
    }

    pub(crate) fn plan(&mut self, after_ms: u64, event: E) {
        self.agenda.push(Reverse((self.now + after_ms, event)));
    }

    /// The next event, if it comes by `end`, in ms since the beginning; the clock goes on to it.
    pub(crate) fn next(&mut self, end: u64) -> Option<E> {
        self.agenda.peek().filter(|Reverse((at, _))| *at <= end)?;
        let Reverse((at, event)) = self.agenda.pop()?;
        self.now = at;
        Some(event)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.agenda.is_empty()
    }
}
