//! What Redis shows of the functions that nobody calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::queue::{Queue, QueueError, scripts};

/// How long ago something happened, or has been owed; `None`: never, as far as Redis remembers, or nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// Redis's clock, ms.
    pub at_ms: i64,
    /// Since the sweep ended a round.
    pub round: Option<Duration>,
    /// What that round could not read or settle.
    pub passed_over: Option<u32>,
    /// Since a job could run, and no worker came for any.
    pub owed: Option<Duration>,
    /// Since somebody was to be told of news, and `notify` came for nobody.
    pub unheard: Option<Duration>,
    /// Since the message to a webhook that waits longest was due.
    pub undelivered: Option<Duration>,
}

#[derive(Deserialize)]
struct Raw {
    at: i64,
    round_ms: Option<u64>,
    passed_over: Option<u32>,
    owed_ms: Option<u64>,
    unheard_ms: Option<u64>,
    undelivered_ms: Option<u64>,
}

impl Queue {
    /// As it is now; it costs the same whatever waits.
    pub async fn signs(&self) -> Result<Signs, QueueError> {
        #[derive(Serialize)]
        struct Args {}
        let raw: Raw = self.call_plain(&scripts::SIGNS, &Args {}).await?;
        let time = |ms: Option<u64>| ms.map(Duration::from_millis);
        Ok(Signs {
            at_ms: raw.at,
            round: time(raw.round_ms),
            passed_over: raw.passed_over,
            owed: time(raw.owed_ms),
            unheard: time(raw.unheard_ms),
            undelivered: time(raw.undelivered_ms),
        })
    }
}
