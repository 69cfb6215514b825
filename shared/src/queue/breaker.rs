//! The circuit breakers: which model services are left alone for a while, and the whole line with them if no job can go on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::queue::{Answer, Queue, QueueError, millis, scripts};

/// Failures in a row before a service is left alone.
pub const FAILURES: u32 = 5;
/// How long it is left alone, and how often one call is let through after that.
pub const OPEN: Duration = Duration::from_secs(60);
/// The line waits no longer for a busy service, whatever that asks for.
pub const BUSY_MOST: Duration = Duration::from_secs(30);

/// What a call showed of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showed {
    /// No connection, no answer in time, or a 5xx.
    Failed,
    /// It works, whatever it said.
    Answered,
    /// It works, and asks to be left alone for this long.
    Busy(Duration),
    /// Nothing yet: may it be called?
    Asked,
}

/// Answer of `breaker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Breaker {
    /// Call it.
    Closed,
    /// Leave it alone for so many milliseconds.
    Open { wait_ms: u64 },
}

impl Queue {
    /// Tells, or asks, of a service. `hold`: no job can go on without it, so none is given out while it is left alone.
    pub async fn breaker(
        &self,
        service: &str,
        showed: Showed,
        hold: bool,
    ) -> Result<Answer<Breaker>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            service: &'a str,
            said: &'a str,
            most: u32,
            open_ms: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            busy_ms: Option<u64>,
            hold: bool,
        }
        let (said, busy_ms) = match showed {
            Showed::Failed => ("failed", None),
            Showed::Answered => ("answered", None),
            Showed::Busy(wait) => ("busy", Some(millis(wait.min(BUSY_MOST)))),
            Showed::Asked => ("asked", None),
        };
        let args = Args {
            service,
            said,
            most: FAILURES,
            open_ms: millis(OPEN),
            busy_ms,
            hold,
        };
        let mut answer: Answer<Breaker> = self.call(&scripts::BREAKER, &args).await?;
        if let (Breaker::Open { wait_ms }, true) = (answer.outcome, hold) {
            answer.debt.ring_later = Some(Duration::from_millis(wait_ms));
        }
        Ok(answer)
    }
}
