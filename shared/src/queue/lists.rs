//! Ids of many jobs, page by page.

use redis::Cmd;
use serde::{Deserialize, Serialize};

use crate::job::JobId;
use crate::queue::{Owner, Queue, QueueError};

/// A place in a list, newest first: everything after it is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub created_ms: i64,
    pub id: JobId,
}

impl Queue {
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
            isize::try_from(skip + limit).unwrap_or(isize::MAX) - 1,
        );
        let range = Cmd::zrevrange(self.keys.dead(), from, to);
        let page: Vec<String> = self.redis.run(&range).await?;
        Ok(page.iter().filter_map(|id| id.parse().ok()).collect())
    }
}
