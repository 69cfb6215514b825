//! The doorbell: tells a worker that there may be something to do. Redis decides what; a bell is only a hint.
//!
//! The worker has one; `notify` another, whose bells are called notices: the job that one names has news for its listeners; and `deliver` a third.
//!
//! `QUEUE_URL` (`NOTIFY_QUEUE_URL`, `DELIVER_QUEUE_URL`) set: an SQS queue, read by Lambda. Otherwise a Redis stream, read by the local pump, with these keys for
//! partition `p` (`notice` and `notice_later` for notices, `message` and `message_later` for `deliver`):
//!
//! - stream `{p}:bell`: one entry a bell, its field `body` the bell as JSON; trimmed at about 10,000 entries. Readers share a
//!   consumer group, delete what they delivered, and claim what another reader left unacknowledged.
//! - zset `{p}:bell_later`: delayed bells, score = due in ms by Redis's clock, member = the bell as JSON with a nonce `n`
//!   that keeps members apart. Readers move what is due into the stream; who removed the member adds the entry.

mod bell;
mod sqs;
mod stream;

use std::time::Duration;

use crate::job::JobId;
use crate::queue::{Keys, QueueError, Redis};
use crate::reason::Reason;
pub use bell::{BadBell, Bell};

/// Most bells in one call, and in one SQS batch.
pub const MAX_RINGS: u32 = 10;

/// The longest delay that SQS knows; what is due later is found by the sweep.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// How long a bell rests at most that failed for the first time. The fourth time is 16 times as long and more:
/// five receives outlast a failure of a quarter of an hour.
const FIRST_REST: Duration = Duration::from_secs(15);

/// No bell, or not every bell, was rung.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// SQS could not be asked.
    #[error("sqs: {text}")]
    Sqs { text: String, reason: Reason },
    /// SQS took the batch and refused some of its bells.
    #[error("sqs refused {refused} of {asked} bells: {code}")]
    Partly {
        refused: usize,
        asked: u32,
        code: String,
    },
    /// Redis could not be asked.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Of a doorbell that was asked how many bells wait.
impl From<&RingError> for Reason {
    fn from(error: &RingError) -> Self {
        match error {
            RingError::Sqs { reason, .. } => *reason,
            RingError::Partly { .. } => Self::Busy,
            RingError::Queue(error) => error.into(),
        }
    }
}

/// Rings for one partition; clones share one client.
#[derive(Clone)]
pub struct Doorbell {
    partition: String,
    wire: Wire,
}

#[derive(Clone)]
enum Wire {
    Sqs(sqs::Queue),
    Stream(stream::Stream),
}

impl Doorbell {
    /// Rings an SQS queue. Credentials and endpoint come from `AWS_*`, read at the first ring.
    pub fn sqs(queue_url: impl Into<String>, partition: impl Into<String>) -> Self {
        Self {
            partition: partition.into(),
            wire: Wire::Sqs(sqs::Queue::new(queue_url.into())),
        }
    }

    /// Rings the Redis stream `{partition}:bell`, which wakes the worker.
    pub fn stream(redis: Redis, partition: impl Into<String>) -> Self {
        let partition = partition.into();
        let keys = Keys::new(&partition);
        Self::stream_named(redis, partition, keys.bell(), keys.bell_later())
    }

    /// Rings the Redis stream `now`; what is to ring later waits in the zset `later`.
    pub fn stream_named(
        redis: Redis,
        partition: impl Into<String>,
        now: String,
        later: String,
    ) -> Self {
        Self {
            partition: partition.into(),
            wire: Wire::Stream(stream::Stream::new(redis, now, later)),
        }
    }

    /// Bells that nobody has answered yet, delayed ones included; SQS counts roughly.
    pub async fn depth(&self) -> Result<u64, RingError> {
        match &self.wire {
            Wire::Sqs(queue) => queue.depth().await,
            Wire::Stream(stream) => stream.depth().await,
        }
    }

    /// Brings a bell back soon that could not be answered: after 15 s at first, four times as long with each
    /// time that it was `received`, at most 15 minutes, ±50 %. `receipt` and `received` are SQS's own words.
    ///
    /// Without it a queue hides the bell as long as an invocation may last. A failure is logged, because the
    /// bell comes back all the same. A stream gives its bells out again by itself.
    pub async fn bring_back(&self, receipt: Option<&str>, received: Option<&str>) {
        let (Wire::Sqs(queue), Some(receipt)) = (&self.wire, receipt) else {
            return;
        };
        let received = received.and_then(|count| count.parse().ok()).unwrap_or(1);
        if let Err(error) = queue.show_after(receipt, rest(received)).await {
            tracing::warn!(error = %error, "a bell stays hidden for as long as an invocation may last");
        }
    }

    /// Rings `count` times (at most [`MAX_RINGS`]), after `delay` (at most [`MAX_DELAY`]); `job` is named in every bell.
    pub async fn ring(
        &self,
        job: Option<JobId>,
        count: u32,
        delay: Duration,
    ) -> Result<(), RingError> {
        let bell = Bell::new(job, self.partition.clone());
        self.send(&bell, count, delay.min(MAX_DELAY)).await
    }

    /// Rings `count` times (at most [`MAX_RINGS`]) for workers that take a chunk of the comparison with the store each.
    pub async fn ring_to_compare(&self, count: u32) -> Result<(), RingError> {
        let bell = Bell::to_compare(self.partition.clone());
        self.send(&bell, count, Duration::ZERO).await
    }

    async fn send(&self, bell: &Bell, count: u32, delay: Duration) -> Result<(), RingError> {
        let count = count.min(MAX_RINGS);
        if count == 0 {
            return Ok(());
        }
        match &self.wire {
            Wire::Sqs(queue) => queue.ring(bell, count, delay).await,
            Wire::Stream(stream) => stream.ring(bell, count, delay).await,
        }
    }
}

/// How long a bell rests that failed for the `received`-th time.
fn rest(received: u32) -> Duration {
    let longest = FIRST_REST * 4_u32.pow(received.saturating_sub(1).min(3));
    longest.min(MAX_DELAY).mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_that_fails_rests_longer_each_time_and_never_beyond_the_bound() {
        for (received, longest) in [
            (0, 15),
            (1, 15),
            (2, 60),
            (3, 240),
            (4, 900),
            (u32::MAX, 900),
        ] {
            let longest = Duration::from_secs(longest);
            let rests: Vec<_> = (0..50).map(|_| rest(received)).collect();
            let within = |rest: &Duration| *rest >= longest / 2 && *rest <= longest;
            assert!(rests.iter().all(within), "{received}: {rests:?}");
            assert!(rests.iter().any(|rest| *rest != rests[0]));
        }
    }
}
