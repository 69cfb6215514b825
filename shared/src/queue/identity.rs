//! What the doors ask Redis about callers: limits on attempts, and tokens that were taken back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::queue::{Queue, QueueError, millis, scripts};

/// In the set of revoked tokens while it is whole; no token's `jti` of ours.
const LOADED: &str = "*";
/// Ids of one call.
pub const MAX_REVOKED: usize = 500;

/// One limit that an attempt falls under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Names the limit; part of its key.
    pub kind: &'static str,
    /// Whose attempts are counted together; a hash, since it is part of a key.
    pub who: String,
    /// From 1; as many may come at once.
    pub per_minute: u32,
}

/// Answer of `attempt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Attempted {
    Ok {
        /// Attempts that the first limit still allows at once.
        left: u32,
        /// Until it allows a whole minute's worth again.
        full_ms: u64,
    },
    Limited {
        /// Which limit, from 0.
        at: usize,
        retry_ms: u64,
    },
}

impl Queue {
    /// Counts an attempt against all limits (at most four), or against none if one of them is reached.
    pub async fn attempt(&self, limits: &[Limit]) -> Result<Attempted, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            limits: &'a [Limit],
        }
        self.call_plain(&scripts::ATTEMPT, &Args { limits }).await
    }

    /// Adds tokens (at most [`MAX_REVOKED`]) to those that were taken back; returns how many were new. With `loaded_for` these were
    /// all that the store has, and Redis may answer for them that long.
    pub async fn revoke(
        &self,
        ids: &[String],
        loaded_for: Option<Duration>,
    ) -> Result<u32, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            ids: &'a [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            loaded_ms: Option<u64>,
        }
        #[derive(Deserialize)]
        struct Added {
            added: u32,
        }
        let args = Args {
            ids,
            loaded_ms: loaded_for.map(millis),
        };
        let answer: Added = self.call_plain(&scripts::REVOKE, &args).await?;
        Ok(answer.added)
    }

    /// Whether a token was taken back; `None` while Redis does not know of all that were.
    pub async fn is_revoked(&self, jti: &str) -> Result<Option<bool>, QueueError> {
        let mut command = redis::cmd("SMISMEMBER");
        command.arg(self.keys.revoked()).arg(jti).arg(LOADED);
        let (revoked, loaded): (bool, bool) = self.redis.run(&command).await?;
        // What is known is known, whatever else is missing.
        Ok((revoked || loaded).then_some(revoked))
    }
}
