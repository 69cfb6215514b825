//! What is read of jobs without changing them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use redis::Cmd;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Event, EventPage};
use crate::job::{JobId, JobRecord, JobStatus};
use crate::queue::record::{self, Fields};
use crate::queue::{Owner, Queue, QueueError, millis, scripts};

/// One job as Redis knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub job: JobRecord,
    /// The envelope, JSON.
    pub request: Option<String>,
    /// The track of a completed job, else the last error; JSON.
    pub outcome: Option<String>,
    /// Jobs before it in its own line, while it stands there.
    pub position: Option<u64>,
}

/// A place in a list, newest first: everything after it is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub created_ms: i64,
    pub id: JobId,
}

/// Answer of `wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Waiting {
    Ok,
    /// Too many wait already.
    Full,
}

/// Figures for `/metrics`: sizes only, each read in constant time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: u64,
    pub finishing: u64,
    pub delayed: u64,
    pub ready_tenants: u64,
    pub unsettled: u64,
    pub dead: u64,
    pub queued: u64,
    pub completed: u64,
    pub failed: u64,
}

#[derive(Deserialize)]
struct RawSnapshot {
    found: bool,
    fields: Option<Fields>,
    request: Option<String>,
    outcome: Option<String>,
    #[serde(default)]
    logged: u64,
    position: Option<u64>,
}

#[derive(Serialize)]
struct ById {
    id: JobId,
}

impl Queue {
    /// One job, in one round trip.
    pub async fn read(&self, id: JobId) -> Result<Option<Snapshot>, QueueError> {
        let raw: RawSnapshot = self.call_plain(&scripts::READ, &ById { id }).await?;
        let Some(fields) = raw.fields.filter(|_| raw.found) else {
            return Ok(None);
        };
        let job = record::parse(id, &fields, raw.logged)?;
        Ok(Some(Snapshot {
            job,
            request: raw.request,
            outcome: raw.outcome,
            position: raw.position,
        }))
    }

    /// Some jobs, in the given order; forgotten ones are left out.
    pub async fn read_all(&self, ids: &[JobId]) -> Result<Vec<Snapshot>, QueueError> {
        let found = try_join_all(ids.iter().map(|id| self.read(*id))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Status and number of the newest event; `None` for an unknown job. As cheap as a read can be.
    pub async fn glance(&self, id: JobId) -> Result<Option<(JobStatus, u64)>, QueueError> {
        let mut pipe = redis::pipe();
        pipe.atomic()
            .hmget(self.keys.job(id), &["status", "event_base"])
            .llen(self.keys.events(id));
        let (fields, logged): ((Option<String>, Option<u64>), u64) = self.redis.pipe(&pipe).await?;
        let Some(status) = fields.0 else {
            return Ok(None);
        };
        let status = status
            .parse()
            .map_err(|_| QueueError::Record(format!("status {status:?}")))?;
        Ok(Some((status, fields.1.unwrap_or(0) + logged)))
    }

    /// The events after `after`, at most 200.
    pub async fn events(&self, id: JobId, after: u64) -> Result<Option<EventPage>, QueueError> {
        #[derive(Deserialize)]
        struct Stored {
            #[serde(with = "chrono::serde::ts_milliseconds")]
            at: DateTime<Utc>,
            #[serde(flatten)]
            rest: serde_json::Map<String, serde_json::Value>,
        }
        let mut pipe = redis::pipe();
        pipe.atomic()
            .hmget(self.keys.job(id), &["status", "event_base"])
            .lrange(self.keys.events(id), 0, -1);
        let (fields, texts): ((Option<String>, Option<u64>), Vec<String>) =
            self.redis.pipe(&pipe).await?;
        let (Some(_), base) = (fields.0, fields.1.unwrap_or(0)) else {
            return Ok(None);
        };
        let malformed = |e: serde_json::Error| QueueError::Record(e.to_string());
        let seq = base + texts.len() as u64;
        let mut events = Vec::new();
        for (number, text) in (base + 1..)
            .zip(&texts)
            .filter(|(number, _)| *number > after)
        {
            let stored: Stored = serde_json::from_str(text).map_err(malformed)?;
            let mut value = stored.rest;
            value.insert(
                "at".to_owned(),
                serde_json::to_value(stored.at).map_err(malformed)?,
            );
            let mut event: Event = serde_json::from_value(value.into()).map_err(malformed)?;
            event.seq = number;
            events.push(event);
        }
        Ok(Some(EventPage {
            events,
            gap: after < base,
            seq,
        }))
    }

    /// At most `limit` ids of an owner's list after `from`, newest first.
    pub async fn list(
        &self,
        owner: &Owner,
        filter: Option<&str>,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Position>, QueueError> {
        let key = self.keys.by_user(owner, filter);
        let highest = from.map_or("+inf".to_owned(), |p| p.created_ms.to_string());
        // Jobs of the same millisecond sort by id: those at or before the cursor were shown already.
        let mut found = Vec::new();
        let mut offset = 0;
        while found.len() < limit && offset < 10_000 {
            let range = Cmd::zrevrangebyscore_limit_withscores(&key, &highest, "-inf", offset, 100);
            let page: Vec<(String, f64)> = self.redis.run(&range).await?;
            let full = page.len() == 100;
            offset += 100;
            for (id, created_ms) in page {
                let Ok(id) = id.parse::<JobId>() else {
                    continue;
                };
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "milliseconds since 1970 fit"
                )]
                let position = Position {
                    created_ms: created_ms as i64,
                    id,
                };
                let shown = from.is_some_and(|f| {
                    f.created_ms == position.created_ms && id.to_string() >= f.id.to_string()
                });
                if !shown && found.len() < limit {
                    found.push(position);
                }
            }
            if !full {
                break;
            }
        }
        Ok(found)
    }

    /// Counts a long-polling caller in, for at most `length`.
    pub async fn wait(
        &self,
        waiter: Uuid,
        length: Duration,
        most: u32,
    ) -> Result<Waiting, QueueError> {
        #[derive(Serialize)]
        struct Args {
            waiter: Uuid,
            for_ms: u64,
            most: u32,
        }
        self.call_plain(
            &scripts::WAIT,
            &Args {
                waiter,
                for_ms: millis(length),
                most,
            },
        )
        .await
    }

    /// Sizes of the sets.
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        let k = &self.keys;
        let all = |status| k.by_user(&Owner::Everybody, Some(status));
        let mut pipe = redis::pipe();
        for key in [
            k.lease(),
            k.finish(),
            k.delayed(),
            k.ready(),
            k.outbox(),
            k.dead(),
        ] {
            pipe.zcard(key);
        }
        pipe.zcard(all("queued"))
            .zcard(all("completed"))
            .zcard(all("failed"));
        let n: Vec<u64> = self.redis.pipe(&pipe).await?;
        let [
            running,
            finishing,
            delayed,
            ready_tenants,
            unsettled,
            dead,
            queued,
            completed,
            failed,
        ] = n[..]
        else {
            return Err(QueueError::Record(format!("{} counts", n.len())));
        };
        Ok(Counts {
            running,
            finishing,
            delayed,
            ready_tenants,
            unsettled,
            dead,
            queued,
            completed,
            failed,
        })
    }

    /// Answers when Redis does.
    pub async fn ping(&self) -> Result<(), QueueError> {
        let _: String = self.redis.run(&redis::cmd("PING")).await?;
        Ok(())
    }
}
