//! The chunks in which Redis is compared with the whole store. The sweep hands them out; whoever has time takes one after the other.

use std::time::Duration;

use redis::Cmd;
use serde::{Deserialize, Serialize};

use crate::envelope::Open;
use crate::job::JobId;
use crate::queue::{Queue, QueueError, millis, scripts};

/// Some of what Redis and the store know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunk {
    /// Live jobs of Redis: the ends of their time, ms, from the first to the last.
    Live { from: i64, to: i64 },
    /// Jobs with messages that are not over: behind the one, up to the other.
    Due { after: Option<JobId>, last: JobId },
    /// Markers of the store, likewise.
    Open { after: Option<Open>, last: Open },
}

/// A chunk that was handed out, unlike any other: an emptied Redis is compared again from its first chunk on, and what somebody did of a
/// page before it was emptied does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    n: u32,
    pub chunk: Chunk,
}

impl Handed {
    fn name(self) -> Result<String, QueueError> {
        serde_json::to_string(&self).map_err(|e| QueueError::Record(e.to_string()))
    }
}

impl Queue {
    /// Hands out a chunk.
    pub async fn hand_out(&self, chunk: Chunk) -> Result<(), QueueError> {
        let handed = Handed {
            n: fastrand::u32(..),
            chunk,
        };
        let add = Cmd::zadd(self.keys.chunks(), handed.name()?, 0);
        self.redis.write(&add).await
    }

    /// Takes a chunk for `lease`; `None` where none waits, or `most` are taken.
    pub async fn take_chunk(
        &self,
        most: u32,
        lease: Duration,
    ) -> Result<Option<Handed>, QueueError> {
        #[derive(Serialize)]
        struct Args {
            most: u32,
            lease_ms: u64,
        }
        #[derive(Deserialize)]
        struct Taken {
            chunk: Option<String>,
        }
        let lease_ms = millis(lease);
        let args = Args { most, lease_ms };
        let taken: Taken = self.call_plain(&scripts::TAKE_CHUNK, &args).await?;
        let malformed = |e: serde_json::Error| QueueError::Record(e.to_string());
        let read = |text: String| serde_json::from_str(&text).map_err(malformed);
        taken.chunk.map(read).transpose()
    }

    /// All of a chunk was looked at.
    pub async fn chunk_done(&self, handed: Handed) -> Result<(), QueueError> {
        let remove = Cmd::zrem(self.keys.chunks(), handed.name()?);
        self.redis.run(&remove).await
    }

    /// Chunks that are handed out and not done.
    pub async fn chunks(&self) -> Result<usize, QueueError> {
        self.redis.run(&Cmd::zcard(self.keys.chunks())).await
    }

    /// Counts what could not be read of a chunk, for the sweep's next round.
    pub async fn count_passed_over(&self, count: u32) -> Result<(), QueueError> {
        let add = Cmd::hincr(self.keys.clock(), "chunks_passed_over", count);
        self.redis.write(&add).await
    }

    /// What was counted since this was last asked.
    pub async fn take_passed_over(&self) -> Result<u32, QueueError> {
        let clock = self.keys.clock();
        let counted = Cmd::hget(&clock, "chunks_passed_over");
        let Some(count) = self.redis.run::<Option<u32>>(&counted).await? else {
            return Ok(0);
        };
        // Somebody may count meanwhile.
        let less = Cmd::hincr(&clock, "chunks_passed_over", -i64::from(count));
        let () = self.redis.write(&less).await?;
        Ok(count)
    }
}
