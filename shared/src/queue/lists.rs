//! Lists of jobs, page by page: one script reads a page with its jobs.

use redis::Cmd;
use serde::{Deserialize, Serialize};

use crate::job::{JobId, JobStatus, TenantId};
use crate::queue::record::{self, Fields};
use crate::queue::{Left, Owner, Queue, QueueError, Snapshot, scripts};

/// Live jobs of one call to Redis.
const LIVE_AT_ONCE: isize = 5000;

/// A place in a list, newest first: everything after it is older, or as old and of a lesser id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    pub ms: i64,
    pub id: JobId,
}

/// Which jobs a list has.
#[derive(Debug, Clone)]
pub enum Listed<'a> {
    /// An owner's, by the time of their creation: those of a status, of a tag, of both, or all.
    Jobs {
        owner: &'a Owner,
        status: Option<JobStatus>,
        tag: Option<&'a str>,
    },
    /// Those that are out of attempts, by the time at which they failed.
    Dead,
}

/// Answer of `list`.
#[derive(Debug, Clone, PartialEq)]
pub enum Page {
    Page {
        /// Without what would tell how long they wait; fewer than asked for where only few match.
        jobs: Vec<Snapshot>,
        /// Where the list goes on; `None` is its end.
        next: Option<Position>,
    },
    /// This tenant reads too fast.
    Limited {
        /// When the next page is within the limit.
        retry_ms: u64,
    },
}

#[derive(Deserialize)]
struct RawPage {
    outcome: String,
    #[serde(default)]
    retry_ms: u64,
    quota: Option<Left>,
    #[serde(default)]
    jobs: Vec<RawJob>,
    next: Option<Position>,
}

#[derive(Deserialize)]
struct RawJob {
    id: JobId,
    fields: Fields,
    result: Option<String>,
    logged: u64,
    #[serde(default)]
    unrecorded: bool,
    position: Option<u64>,
}

impl Queue {
    /// At most `limit` jobs after `from`, newest first, with what the reader's limit has left. A page counts as as many reads as it
    /// has jobs, and as one for each fifty entries that it passes over.
    pub async fn list(
        &self,
        reader: &TenantId,
        listed: &Listed<'_>,
        from: Option<Position>,
        limit: usize,
    ) -> Result<(Page, Option<Left>), QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            tenant: &'a TenantId,
            #[serde(skip_serializing_if = "Option::is_none")]
            owner: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: Option<JobStatus>,
            #[serde(skip_serializing_if = "Option::is_none")]
            tag: Option<&'a str>,
            dead: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            from: Option<Position>,
            limit: usize,
        }
        let (owner, status, tag) = match listed {
            Listed::Jobs { owner, status, tag } => (Some(owner.to_string()), *status, *tag),
            Listed::Dead => (None, None, None),
        };
        let args = Args {
            tenant: reader,
            dead: owner.is_none(),
            owner,
            status,
            tag,
            from,
            limit,
        };
        let raw: RawPage = self.call_plain(&scripts::LIST, &args).await?;
        if raw.outcome == "limited" {
            let retry_ms = raw.retry_ms;
            return Ok((Page::Limited { retry_ms }, raw.quota));
        }
        let jobs = raw
            .jobs
            .into_iter()
            .map(snapshot)
            .collect::<Result<_, _>>()?;
        let next = raw.next;
        Ok((Page::Page { jobs, next }, raw.quota))
    }

    /// The ends of the time of the next `limit` live jobs, ms, from `from` on; fewer if there are no more.
    pub async fn live_page(&self, from: i64, limit: usize) -> Result<Vec<i64>, QueueError> {
        let limit = isize::try_from(limit).unwrap_or(isize::MAX);
        let range =
            Cmd::zrangebyscore_limit_withscores(self.keys.finish_by(), from, "+inf", 0, limit);
        let page: Vec<(String, f64)> = self.redis.run(&range).await?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds since 1970 fit"
        )]
        let ends = page.into_iter().map(|(_, ms)| ms as i64);
        Ok(ends.collect())
    }

    /// The live jobs whose time ends from the one ms to the other.
    pub async fn live_between(&self, from: i64, to: i64) -> Result<Vec<JobId>, QueueError> {
        let mut found = Vec::new();
        loop {
            // Many may end at one and the same ms.
            let skip = isize::try_from(found.len()).unwrap_or(isize::MAX);
            let range =
                Cmd::zrangebyscore_limit(self.keys.finish_by(), from, to, skip, LIVE_AT_ONCE);
            let page: Vec<String> = self.redis.run(&range).await?;
            let is_last = page.len() < LIVE_AT_ONCE.unsigned_abs();
            found.extend(page);
            if is_last {
                return Ok(found.iter().filter_map(|id| id.parse().ok()).collect());
            }
        }
    }
}

fn snapshot(raw: RawJob) -> Result<Snapshot, QueueError> {
    Ok(Snapshot {
        job: record::parse(raw.id, &raw.fields, raw.logged)?,
        outcome: raw.result,
        position: raw.position,
        eta: None,
        waiting: None,
        unrecorded: raw.unrecorded,
    })
}
