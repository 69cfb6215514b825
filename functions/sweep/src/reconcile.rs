//! The store against Redis: `open/` is exactly the unfinished jobs. What Redis does not know of it is put back; where Redis was
//! emptied, restarted or replaced, all that both know is handed out in chunks, which the workers help to compare.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use shared::clients::Clients;
use shared::envelope::Open;
use shared::lookup::Unreachable;
use shared::queue::{Chunk, Cursor};
use shared::reconcile::{self, AT_ONCE, Closely, Faults, Helped, ON_ITS_WAY};
use shared::store::MAX_PAGE;

/// A younger marker may be that of a request which is still on its way into Redis.
const SETTLED_DOWN: TimeDelta = TimeDelta::seconds(60);
/// Chunks handed out ahead: what the workers compare until the next round.
const AHEAD: usize = 64;
/// How long the sweep rests where enough others compare.
const REST: Duration = Duration::from_millis(200);

/// Before the first marker.
const OPEN: Cursor = Cursor::Open {
    after: None,
    again: false,
};

type Marker = (Open, DateTime<Utc>);

/// Once round, as far as there is time, and the next round goes on. Returns how many it looked at or handed out.
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

struct Way<'a> {
    clients: &'a Clients,
    end: Instant,
    faults: &'a Faults,
    looked: usize,
}

impl Way<'_> {
    /// Redis has forgotten nothing as far as is known.
    async fn known(&mut self) -> Result<(), Unreachable> {
        let queue = &self.clients.queue;
        let mut after = match queue.reconcile_cursor().await? {
            Some(Cursor::Open { after, .. }) => after,
            _ => None,
        };
        loop {
            let begun = Utc::now();
            let page = self.open_page(after).await?;
            let last = page.last().map(|(open, _)| *open);
            after = last.filter(|_| page.len() == MAX_PAGE);
            let old =
                |(open, modified): &Marker| (begun - *modified >= SETTLED_DOWN).then_some(*open);
            let old: Vec<_> = page.iter().filter_map(old).collect();
            reconcile::compare(self.clients, &old, Closely::No, self.faults).await?;
            let at = Cursor::Open {
                after,
                again: false,
            };
            queue
                .set_reconcile_cursor(after.is_some().then_some(at))
                .await?;
            if after.is_none() || self.is_late() {
                return Ok(());
            }
        }
    }

    /// Redis may have forgotten something: everything that it knows and that the store knows, in as many rounds as it takes.
    async fn forgotten(&mut self) -> Result<(), Unreachable> {
        let queue = &self.clients.queue;
        let emptied_at = queue.emptied_at(Utc::now()).await?;
        let mut at = queue.reconcile_cursor().await?.unwrap_or(Cursor::Live(0));
        let (mut rung, mut partly) = (false, false);
        while !self.is_late() {
            let handed_out = queue.chunks().await?;
            match at {
                Cursor::Listed { again } if handed_out == 0 => {
                    queue.set_reconcile_cursor(None).await?;
                    if !again {
                        queue.begin_epoch().await?;
                    }
                    return Ok(());
                }
                Cursor::Listed { .. } => {}
                _ if handed_out < AHEAD => {
                    at = self.hand_out(at, emptied_at).await?;
                    queue.set_reconcile_cursor(Some(at)).await?;
                    continue;
                }
                _ => {}
            }
            if !rung {
                // One of them is for the sweep itself; who has worked one off rings for the next.
                let others = handed_out.saturating_sub(1).try_into().unwrap_or(u32::MAX);
                self.ring(others.min(AT_ONCE - 1)).await;
                rung = true;
            }
            match reconcile::help(self.clients).await? {
                Helped::Chunk => {}
                Helped::Partly => partly = true,
                // What is left may be out of reach for long.
                Helped::NotNeeded if partly => return Ok(()),
                Helped::NotNeeded => tokio::time::sleep(REST).await,
            }
        }
        Ok(())
    }

    /// Hands out the next chunk; says where the one after it begins.
    async fn hand_out(
        &mut self,
        at: Cursor,
        emptied_at: DateTime<Utc>,
    ) -> Result<Cursor, Unreachable> {
        let (queue, store) = (&self.clients.queue, &self.clients.store);
        match at {
            Cursor::Live(from) => {
                let page = queue.live_page(from, MAX_PAGE).await?;
                self.looked += page.len();
                let Some(&to) = page.last() else {
                    return Ok(Cursor::Due(None));
                };
                queue.hand_out(Chunk::Live { from, to }).await?;
                Ok(match page.len() < MAX_PAGE {
                    true => Cursor::Due(None),
                    false => Cursor::Live(to + 1),
                })
            }
            Cursor::Due(after) => {
                let page = store.due_page(after, MAX_PAGE).await?;
                self.faults.misnamed("due", page.misnamed);
                let page = page.entries;
                self.looked += page.len();
                let Some((&last, _)) = page.last_key_value() else {
                    return Ok(OPEN);
                };
                queue.hand_out(Chunk::Due { after, last }).await?;
                Ok(match page.len() < MAX_PAGE {
                    true => OPEN,
                    false => Cursor::Due(Some(last)),
                })
            }
            Cursor::Open { after, again } => {
                let begun = Utc::now();
                let page = self.open_page(after).await?;
                // What came after Redis was emptied stands in it; what came shortly before is looked at next time.
                let again = again
                    | page.iter().any(|(_, modified)| {
                        begun - *modified < ON_ITS_WAY && *modified < emptied_at + ON_ITS_WAY
                    });
                let Some(&(last, _)) = page.last() else {
                    return Ok(Cursor::Listed { again });
                };
                queue.hand_out(Chunk::Open { after, last }).await?;
                Ok(match page.len() < MAX_PAGE {
                    true => Cursor::Listed { again },
                    false => Cursor::Open {
                        after: Some(last),
                        again,
                    },
                })
            }
            Cursor::Listed { .. } => Ok(at),
        }
    }

    async fn open_page(&mut self, after: Option<Open>) -> Result<Vec<Marker>, Unreachable> {
        let page = self.clients.store.open_page(after, MAX_PAGE).await?;
        self.faults.misnamed("open", page.misnamed);
        self.looked += page.entries.len();
        Ok(page.entries)
    }

    /// The comparison goes on without help, too.
    async fn ring(&self, count: u32) {
        if let Err(error) = self.clients.doorbell.ring_to_compare(count).await {
            tracing::warn!(error = %error, "no worker was asked to help");
        }
    }

    fn is_late(&self) -> bool {
        Instant::now() > self.end
    }
}
