//! Waiting for something that cannot tell by itself.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks `probe` until it has an answer, at first every 5 ms, later every 100 ms; `None` after `limit`.
pub async fn until<T>(limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if let Ok(Some(answer)) = tokio::time::timeout(left, probe()).await {
            return Some(answer);
        }
        if Instant::now() + pause >= end {
            return None;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// A span of time that grows with each failure and differs between waiters.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            next: first,
            first,
            most,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Between half and the whole of the present span; the next one is twice as long.
    pub(crate) fn take(&mut self) -> Duration {
        let span = self.next;
        self.next = (self.next * 2).min(self.most);
        span.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_with_the_answer_or_with_its_limit() {
        let mut asked = 0;
        let answer = until(Duration::from_secs(5), async || {
            asked += 1;
            (asked == 4).then_some(asked)
        });
        assert_eq!(answer.await, Some(4));
        let never = until(Duration::from_millis(30), async || None::<()>);
        assert_eq!(never.await, None);
    }

    #[test]
    fn a_backoff_grows_to_its_most_and_starts_over() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, most);
        for span in [100, 200, 400, 800, 1000, 1000] {
            let span = Duration::from_millis(span);
            let taken = backoff.take();
            assert!(taken >= span / 2 && taken <= span, "{taken:?} of {span:?}");
        }
        backoff.reset();
        assert!(backoff.take() <= first);
    }
}
