//! The store against Redis: `open/` is exactly the unfinished jobs. What Redis does not know of it is put back; where Redis was
//! emptied, restarted or replaced, it is also held against the store job by job, for it may have forgotten how jobs ended, and told
//! which messages are not over.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared::clients::Clients;
use shared::delivery;
use shared::envelope::Open;
use shared::job::JobId;
use shared::lookup::{self, Ensured, Unreachable};
use shared::queue::Cursor;

/// Jobs of one page.
const PAGE: usize = 200;
/// Jobs looked at in the store at the same time.
const LOOKS: usize = 16;
/// A younger marker may be that of a request which is still on its way into Redis.
const SETTLED_DOWN: TimeDelta = TimeDelta::seconds(60);
/// The same where Redis was emptied and callers wait: a request is on its way for 2 s at most.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(5);

/// One page a round; all of them, in as many rounds as it takes, when Redis may have forgotten something. Returns how many it looked at.
pub(crate) async fn go(clients: &Clients, epoch: bool, end: Instant) -> Result<usize, Unreachable> {
    let cursor = clients.queue.reconcile_cursor().await?;
    if epoch {
        return one_page(clients, cursor).await;
    }
    let begun = Utc::now();
    let emptied_at = clients.queue.emptied_at(begun).await?;
    let mut looked = 0;
    let mut after = None;
    let at = cursor.unwrap_or(Cursor::Live(0));
    if let Cursor::Live(from) = at
        && let Done::Broken = live(clients, from, end, &mut looked).await?
    {
        return Ok(looked);
    }
    match at {
        Cursor::Open(at) => after = Some(at),
        Cursor::Live(_) | Cursor::Due(_) => {
            let from = match at {
                Cursor::Due(at) => Some(at),
                _ => None,
            };
            if let Done::Broken = due(clients, from, end, &mut looked).await? {
                return Ok(looked);
            }
        }
    }
    let mut unseen = false;
    loop {
        let page = clients.store.open_page(after, PAGE).await?;
        let full = page.len() == PAGE;
        looked += page.len();
        after = page.last().map(|(open, _)| *open);
        // What came after Redis was emptied stands in it; what came shortly before is looked at next time.
        let young = |modified: DateTime<Utc>| begun - modified < ON_ITS_WAY;
        unseen |= page
            .iter()
            .any(|(_, modified)| young(*modified) && *modified < emptied_at + ON_ITS_WAY);
        let old = page.into_iter().filter(|(_, modified)| !young(*modified));
        compare(clients, old.map(|(open, _)| open), true).await?;
        if !full {
            clients.queue.set_reconcile_cursor(None).await?;
            if !unseen {
                clients.queue.begin_epoch().await?;
            }
            return Ok(looked);
        }
        let at = after.map(Cursor::Open);
        clients.queue.set_reconcile_cursor(at).await?;
        if Instant::now() > end {
            return Ok(looked);
        }
    }
}

async fn one_page(clients: &Clients, cursor: Option<Cursor>) -> Result<usize, Unreachable> {
    let after = match cursor {
        Some(Cursor::Open(after)) => Some(after),
        _ => None,
    };
    let page = clients.store.open_page(after, PAGE).await?;
    let looked = page.len();
    let next = page
        .last()
        .filter(|_| looked == PAGE)
        .map(|(open, _)| Cursor::Open(*open));
    let begun = Utc::now();
    let old = page
        .into_iter()
        .filter(|(_, modified)| begun - *modified >= SETTLED_DOWN);
    compare(clients, old.map(|(open, _)| open), false).await?;
    clients.queue.set_reconcile_cursor(next).await?;
    Ok(looked)
}

/// Puts back what Redis does not know. With `closely`, what it knows is also held against the marker.
async fn compare(
    clients: &Clients,
    markers: impl Iterator<Item = Open>,
    closely: bool,
) -> Result<(), Unreachable> {
    let looks = stream::iter(markers).map(|open| async move {
        match clients.queue.glance(open.id).await? {
            Some(known)
                if closely || known.status.is_terminal() || known.generation != open.generation =>
            {
                lookup::align(clients, open, known).await
            }
            Some(_) => Ok(()),
            None => match lookup::ensure(clients, open.id).await? {
                Ensured::Gone => Ok(clients.store.remove_open(open).await?),
                Ensured::Live | Ensured::Ended(_) => Ok(()),
            },
        }
    });
    looks.buffer_unordered(LOOKS).try_collect().await
}

/// How a way round ended.
enum Done {
    Round,
    /// Time is short; the next round goes on.
    Broken,
}

/// Messages that Redis has forgotten.
async fn due(
    clients: &Clients,
    mut after: Option<JobId>,
    end: Instant,
    looked: &mut usize,
) -> Result<Done, Unreachable> {
    loop {
        let page = clients.store.due_page(after, PAGE).await?;
        *looked += page.len();
        after = page.last().copied();
        let full = page.len() == PAGE;
        let looks = stream::iter(page).map(|id| delivery::restore(clients, id));
        let () = looks.buffer_unordered(LOOKS).try_collect().await?;
        if !full {
            return Ok(Done::Round);
        }
        if Instant::now() > end {
            let at = after.map(Cursor::Due);
            clients.queue.set_reconcile_cursor(at).await?;
            return Ok(Done::Broken);
        }
    }
}

/// Jobs that Redis believes to be live, and that ended before it was rolled back.
async fn live(
    clients: &Clients,
    from: i64,
    end: Instant,
    looked: &mut usize,
) -> Result<Done, Unreachable> {
    let (mut from, mut skip) = (from, 0);
    loop {
        let page = clients.queue.live_page(from, skip, PAGE).await?;
        *looked += page.len();
        if let Some((_, last)) = page.last() {
            let same = page.iter().filter(|(_, at)| at == last).count();
            skip = if *last == from { skip + same } else { same };
            from = *last;
        }
        let full = page.len() == PAGE;
        let looks = stream::iter(page).map(|(id, _)| lookup::end_as_stored(clients, id));
        let () = looks.buffer_unordered(LOOKS).try_collect().await?;
        if !full {
            return Ok(Done::Round);
        }
        if Instant::now() > end {
            let at = Some(Cursor::Live(from));
            clients.queue.set_reconcile_cursor(at).await?;
            return Ok(Done::Broken);
        }
    }
}
