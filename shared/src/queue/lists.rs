//! Ids of many jobs, page by page.

use redis::Cmd;
use serde::{Deserialize, Serialize};

use crate::job::{JobId, JobStatus};
use crate::queue::{Owner, Queue, QueueError};

/// Entries of one list that a page is looked for in.
const DEEPEST: usize = 10_000;

/// A place in a list, newest first: everything after it is older, or as old and of a lesser id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    pub created_ms: i64,
    pub id: JobId,
}

impl Queue {
    /// At most `limit` of an owner's jobs after `from`, newest first: those of a status or a `#tag`, else all.
    pub async fn list(
        &self,
        owner: &Owner,
        filter: Option<&str>,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Position>, QueueError> {
        let list = |filter| self.keys.by_user(owner, filter);
        let lists: Vec<String> = match filter {
            Some(filter) => vec![list(filter)],
            None => JobStatus::ALL.map(|status| list(status.as_str())).into(),
        };
        let highest = from.map_or("+inf".to_owned(), |p| p.created_ms.to_string());
        let mut depth = limit + 1; // the cursor's own job is found again
        loop {
            let pages = self.newest(&lists, &highest, depth).await?;
            let whole = pages.iter().all(|page| page.len() < depth);
            let mut found: Vec<Position> = pages.iter().flatten().filter_map(position).collect();
            found.sort_unstable_by(|one, other| other.cmp(one));
            if !whole {
                found.truncate(depth); // what a list that was cut off holds further down may belong before the rest
            }
            found.retain(|position| from.is_none_or(|from| *position < from));
            found.truncate(limit);
            if found.len() == limit || whole || depth >= DEEPEST {
                return Ok(found);
            }
            depth = (2 * depth).min(DEEPEST); // many jobs of the cursor's millisecond
        }
    }

    /// At most `limit` live jobs by the end of their time, from `from` ms on; `skip` of those at just that ms were seen before.
    pub async fn live_page(
        &self,
        from: i64,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<(JobId, i64)>, QueueError> {
        let (skip, limit) = (
            isize::try_from(skip).unwrap_or(isize::MAX),
            isize::try_from(limit).unwrap_or(isize::MAX),
        );
        let range =
            Cmd::zrangebyscore_limit_withscores(self.keys.finish_by(), from, "+inf", skip, limit);
        let page: Vec<(String, f64)> = self.redis.run(&range).await?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds since 1970 fit"
        )]
        let parsed = |(id, ms): (String, f64)| Some((id.parse().ok()?, ms as i64));
        Ok(page.into_iter().filter_map(parsed).collect())
    }

    /// At most `limit` jobs that are out of attempts, the latest first, after `skip` others.
    pub async fn dead_page(&self, skip: usize, limit: usize) -> Result<Vec<JobId>, QueueError> {
        let (from, to) = (
            isize::try_from(skip).unwrap_or(isize::MAX),
            isize::try_from(skip.saturating_add(limit)).unwrap_or(isize::MAX) - 1,
        );
        let range = Cmd::zrevrange(self.keys.dead(), from, to);
        let page: Vec<String> = self.redis.run(&range).await?;
        Ok(page.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// The first `depth` entries of each list, all of one moment: a job that changes its status is not missed, nor seen twice.
    async fn newest(
        &self,
        lists: &[String],
        highest: &str,
        depth: usize,
    ) -> Result<Vec<Vec<(String, f64)>>, QueueError> {
        let depth = isize::try_from(depth).unwrap_or(isize::MAX);
        let mut pipe = redis::pipe();
        pipe.atomic();
        for list in lists {
            pipe.add_command(Cmd::zrevrangebyscore_limit_withscores(
                list, highest, "-inf", 0, depth,
            ));
        }
        self.redis.pipe(&pipe).await
    }
}

fn position((id, created_ms): &(String, f64)) -> Option<Position> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds since 1970 fit"
    )]
    let created_ms = *created_ms as i64;
    let id = id.parse().ok()?;
    Some(Position { created_ms, id })
}
