//! From a job's hash in Redis to a [`JobRecord`], and back.

use std::collections::HashMap;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::job::{Fence, JobId, JobRecord, Progress, TenantId, Usage, UserId};
use crate::priority::Priority;
use crate::queue::QueueError;

pub(super) type Fields = HashMap<String, String>;

struct Hash<'a>(&'a Fields);

impl Hash<'_> {
    fn text(&self, name: &str) -> Result<&str, QueueError> {
        let missing = || QueueError::Record(format!("a job without {name}"));
        self.0.get(name).map(String::as_str).ok_or_else(missing)
    }

    fn read<T: FromStr>(&self, name: &str) -> Result<T, QueueError> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_| QueueError::Record(format!("{name} of a job is {text:?}")))
    }

    fn maybe<T: FromStr>(&self, name: &str) -> Result<Option<T>, QueueError> {
        if self.0.contains_key(name) {
            self.read(name).map(Some)
        } else {
            Ok(None)
        }
    }

    fn time(&self, name: &str) -> Result<DateTime<Utc>, QueueError> {
        let ms: i64 = self.read(name)?;
        DateTime::from_timestamp_millis(ms)
            .ok_or_else(|| QueueError::Record(format!("{name} of a job is {ms}")))
    }

    fn maybe_time(&self, name: &str) -> Result<Option<DateTime<Utc>>, QueueError> {
        if self.0.contains_key(name) {
            self.time(name).map(Some)
        } else {
            Ok(None)
        }
    }

    fn progress(&self) -> Result<Option<Progress>, QueueError> {
        if !self.0.contains_key("percentage") {
            return Ok(None);
        }
        Ok(Some(Progress {
            current: self.read("current")?,
            total: self.read("total")?,
            percentage: self.read("percentage")?,
            message: self.text("message")?.to_owned(),
        }))
    }
}

/// `logged` is the number of events that the log keeps; the first is there before the list is.
pub(super) fn parse(id: JobId, fields: &Fields, logged: u64) -> Result<JobRecord, QueueError> {
    let hash = Hash(fields);
    let ms = |name| hash.maybe(name).map(Option::unwrap_or_default);
    Ok(JobRecord {
        id,
        tenant: TenantId::stored(hash.text("tenant")?),
        user: UserId::stored(hash.text("user")?),
        status: hash.read("status")?,
        stage: hash.read("stage")?,
        generation: hash.read("generation")?,
        attempt: hash.read("attempt")?,
        max_attempts: hash.read("max_attempts")?,
        seed: hash.read("seed")?,
        seed_fixed: hash.text("seed_fixed")? == "1",
        fence: hash.maybe::<String>("fence")?.map(Fence),
        parked: fields.contains_key("parked"),
        priority: Priority::of_level(hash.read("level")?)
            .ok_or_else(|| QueueError::Record("a job of an unknown level".to_owned()))?,
        cached: fields.contains_key("cached"),
        progress: hash.progress()?,
        request_id: hash.text("request_id")?.to_owned(),
        seq: ms("event_base")? + logged.max(1),
        created_at: hash.time("created_ms")?,
        // Nothing has happened to it since it was enqueued.
        updated_at: hash.time(if fields.contains_key("updated_ms") {
            "updated_ms"
        } else {
            "queued_ms"
        })?,
        started_at: hash.maybe_time("started_ms")?,
        completed_at: hash.maybe_time("completed_ms")?,
        start_by: hash.time("start_by_ms")?,
        finish_by: hash.time("finish_by_ms")?,
        delayed_until: hash.maybe_time("delayed_ms")?,
        usage: Usage {
            queue_ms: ms("queue_ms")?,
            plan_ms: ms("plan_ms")?,
            audio_ms: ms("audio_ms")?,
            finish_ms: ms("finish_ms")?,
            billed_ms: ms("billed_ms")?,
        },
    })
}
