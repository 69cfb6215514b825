//! The store against Redis: `open/` is exactly the unfinished jobs. What Redis does not know of it is put back; where Redis was
//! emptied, restarted or replaced, it is also held against the store job by job, for it may have forgotten how jobs ended, and told
//! which messages are not over. An object that cannot be read is passed over.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};
use shared::clients::Clients;
use shared::delivery;
use shared::envelope::Open;
use shared::job::JobId;
use shared::lookup::{self, Unreachable};
use shared::queue::{Cursor, Glance, QueueError};
use shared::store::MAX_PAGE;

use crate::faults::Faults;

/// Jobs of one page, each of which is looked at in the store.
const PAGE: usize = 200;
/// Jobs of one call to Redis.
const GLANCES: usize = 250;
/// Jobs looked at in the store at the same time.
const LOOKS: usize = 16;
/// A younger marker may be that of a request which is still on its way into Redis.
const SETTLED_DOWN: TimeDelta = TimeDelta::seconds(60);
/// The same where Redis was emptied and callers wait: a request is on its way for 2 s at most.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(5);

type Marker = (Open, DateTime<Utc>);

/// Once round, as far as there is time, and the next round goes on. Returns how many it looked at.
pub(crate) async fn go(
    clients: &Clients,
    epoch: bool,
    end: Instant,
    faults: &Faults,
) -> Result<usize, Unreachable> {
    let mut way = Way {
        clients,
        end,
        faults,
        looked: 0,
    };
    if epoch {
        way.known().await?;
    } else {
        way.forgotten().await?;
    }
    Ok(way.looked)
}

/// How a way round ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Round,
    /// Time is short; the next round goes on.
    Broken,
}

struct Way<'a> {
    clients: &'a Clients,
    end: Instant,
    faults: &'a Faults,
    looked: usize,
}

impl Way<'_> {
    /// Redis has forgotten nothing as far as is known: one glance for many jobs finds the one that was lost.
    async fn known(&mut self) -> Result<(), Unreachable> {
        let queue = &self.clients.queue;
        let mut after = match queue.reconcile_cursor().await? {
            Some(Cursor::Open(after)) => Some(after),
            _ => None,
        };
        loop {
            let begun = Utc::now();
            let page = self.open_page(after, MAX_PAGE).await?;
            let last = page.last().map(|(open, _)| *open);
            after = last.filter(|_| page.len() == MAX_PAGE);
            let old =
                |(open, modified): &Marker| (begun - *modified >= SETTLED_DOWN).then_some(*open);
            let old: Vec<_> = page.iter().filter_map(old).collect();
            self.compare(&old, false).await?;
            queue.set_reconcile_cursor(after.map(Cursor::Open)).await?;
            if after.is_none() || Instant::now() > self.end {
                return Ok(());
            }
        }
    }

    /// Redis may have forgotten something: everything that it knows and that the store knows, in as many rounds as it takes.
    async fn forgotten(&mut self) -> Result<(), Unreachable> {
        let queue = &self.clients.queue;
        let at = queue.reconcile_cursor().await?.unwrap_or(Cursor::Live(0));
        let begun = Utc::now();
        let emptied_at = queue.emptied_at(begun).await?;
        if let Cursor::Live(from) = at
            && self.live(from).await? == Done::Broken
        {
            return Ok(());
        }
        let mut after = None;
        match at {
            Cursor::Open(at) => after = Some(at),
            Cursor::Live(_) | Cursor::Due(_) => {
                let from = match at {
                    Cursor::Due(at) => Some(at),
                    _ => None,
                };
                if self.due(from).await? == Done::Broken {
                    return Ok(());
                }
            }
        }
        let mut unseen = false;
        loop {
            let page = self.open_page(after, PAGE).await?;
            after = page.last().map(|(open, _)| *open);
            // What came after Redis was emptied stands in it; what came shortly before is looked at next time.
            let young = |modified: DateTime<Utc>| begun - modified < ON_ITS_WAY;
            unseen |= page
                .iter()
                .any(|(_, modified)| young(*modified) && *modified < emptied_at + ON_ITS_WAY);
            let old = |(open, modified): &Marker| (!young(*modified)).then_some(*open);
            let old: Vec<_> = page.iter().filter_map(old).collect();
            self.compare(&old, true).await?;
            if page.len() < PAGE {
                queue.set_reconcile_cursor(None).await?;
                // What could not be asked for may still be lost; what cannot be read does not change by another round.
                if !unseen && !self.faults.unreached() {
                    queue.begin_epoch().await?;
                }
                return Ok(());
            }
            queue.set_reconcile_cursor(after.map(Cursor::Open)).await?;
            if Instant::now() > self.end {
                return Ok(());
            }
        }
    }

    async fn open_page(
        &mut self,
        after: Option<Open>,
        limit: usize,
    ) -> Result<Vec<Marker>, Unreachable> {
        let page = self.clients.store.open_page(after, limit).await?;
        self.faults.misnamed("open", page.misnamed);
        self.looked += page.entries.len();
        Ok(page.entries)
    }

    /// Puts back what Redis does not know. With `closely`, what it knows is also held against the marker.
    async fn compare(&self, markers: &[Open], closely: bool) -> Result<(), Unreachable> {
        let mut looks = Vec::new();
        for some in markers.chunks(GLANCES) {
            let ids: Vec<JobId> = some.iter().map(|open| open.id).collect();
            let seen = self.clients.queue.glances(&ids).await?;
            let pairs = some.iter().copied().zip(seen);
            let of_interest = pairs.filter(|(open, seen)| closely || !is_known(*open, seen));
            looks.extend(of_interest.map(|(open, seen)| (open.id, (open, seen))));
        }
        let clients = self.clients;
        self.look(looks, async |_, (open, seen)| match seen? {
            Some(known) => lookup::align(clients, open, known).await,
            None => lookup::ensure_open(clients, open).await,
        })
        .await;
        Ok(())
    }

    async fn look<T>(
        &self,
        all: Vec<(JobId, T)>,
        look: impl AsyncFn(JobId, T) -> Result<(), Unreachable>,
    ) {
        let looks = stream::iter(all).map(|(id, with)| self.faults.look(id, look(id, with)));
        looks.buffer_unordered(LOOKS).collect().await
    }

    /// Messages that Redis has forgotten.
    async fn due(&mut self, mut after: Option<JobId>) -> Result<Done, Unreachable> {
        let clients = self.clients;
        loop {
            let page = clients.store.due_page(after, PAGE).await?;
            self.faults.misnamed("due", page.misnamed);
            let page = page.entries;
            self.looked += page.len();
            after = page.keys().next_back().copied();
            let full = page.len() == PAGE;
            let owing = page.into_keys().map(|id| (id, ())).collect();
            self.look(owing, async |id, ()| delivery::restore(clients, id).await)
                .await;
            if !full {
                return Ok(Done::Round);
            }
            if Instant::now() > self.end {
                let at = after.map(Cursor::Due);
                clients.queue.set_reconcile_cursor(at).await?;
                return Ok(Done::Broken);
            }
        }
    }

    /// Jobs that Redis believes to be live, and that ended before it was rolled back.
    async fn live(&mut self, from: i64) -> Result<Done, Unreachable> {
        let clients = self.clients;
        let (mut from, mut skip) = (from, 0);
        loop {
            let page = clients.queue.live_page(from, skip, PAGE).await?;
            self.looked += page.len();
            if let Some((_, last)) = page.last() {
                let same = page.iter().filter(|(_, at)| at == last).count();
                skip = if *last == from { skip + same } else { same };
                from = *last;
            }
            let full = page.len() == PAGE;
            self.look(page, async |id, _| lookup::end_as_stored(clients, id).await)
                .await;
            if !full {
                return Ok(Done::Round);
            }
            if Instant::now() > self.end {
                let at = Some(Cursor::Live(from));
                clients.queue.set_reconcile_cursor(at).await?;
                return Ok(Done::Broken);
            }
        }
    }
}

/// Redis has the job as its marker says, as far as a glance shows.
fn is_known(open: Open, seen: &Result<Option<Glance>, QueueError>) -> bool {
    matches!(seen, Ok(Some(known)) if !known.status.is_terminal() && known.generation == open.generation)
}
