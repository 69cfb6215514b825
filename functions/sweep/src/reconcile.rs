//! The store against Redis: `open/` is exactly the unfinished jobs, so what Redis does not know of it is put back.

use std::time::Instant;

use chrono::{TimeDelta, Utc};
use shared::clients::Clients;
use shared::lookup::{self, Unreachable};

/// Markers of one page.
const PAGE: usize = 200;
/// A younger marker may be that of a request which is still on its way into Redis.
const SETTLED_DOWN: TimeDelta = TimeDelta::seconds(60);
/// The same where Redis was emptied and callers wait: a request is on its way for 2 s at most.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(5);

/// One page a round; all of them, in as many rounds as it takes, when Redis was emptied. Returns how many it looked at.
pub(crate) async fn go(clients: &Clients, epoch: bool, end: Instant) -> Result<usize, Unreachable> {
    let mut after = clients.queue.reconcile_cursor().await?;
    let now = Utc::now();
    let emptied_at = match epoch {
        true => None,
        false => Some(clients.queue.emptied_at(now).await?),
    };
    let rest = if epoch { SETTLED_DOWN } else { ON_ITS_WAY };
    let (mut looked, mut unseen) = (0, false);
    loop {
        let page = clients.store.open_page(after, PAGE).await?;
        let full = page.len() == PAGE;
        for (id, modified) in page {
            after = Some(id);
            looked += 1;
            if now - modified < rest {
                // What came after Redis was emptied stands in it; what came shortly before is looked at next time.
                unseen |= emptied_at.is_some_and(|emptied_at| modified < emptied_at + ON_ITS_WAY);
                continue;
            }
            match clients.queue.glance(id).await? {
                Some((status, _)) if status.is_terminal() => lookup::tidy(clients, id).await?,
                Some(_) => {}
                None => {
                    lookup::ensure(clients, id).await?;
                }
            }
        }
        if !full {
            clients.queue.set_reconcile_cursor(None).await?;
            if !epoch && !unseen {
                clients.queue.begin_epoch().await?;
            }
            return Ok(looked);
        }
        clients.queue.set_reconcile_cursor(after).await?;
        if epoch || Instant::now() > end {
            return Ok(looked);
        }
    }
}
