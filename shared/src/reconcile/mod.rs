//! Redis against the store, a chunk at a time: what Redis does not know of `open/` is put back, how jobs ended that it believes to be
//! live is told to it, and so are messages that are not over. An object that cannot be read is passed over.
//!
//! The sweep hands the chunks out ([`Chunk`]); it and the workers take them, a few at a time in all of them together.

mod faults;

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};

use crate::clients::Clients;
use crate::delivery;
use crate::envelope::Open;
use crate::job::JobId;
use crate::lookup::{self, Unreachable};
use crate::queue::{Chunk, Glance, QueueError};
use crate::store::{MAX_PAGE, StoreError};

pub use self::faults::Faults;

/// Chunks that are worked on at a time. A restored job costs two reads below `jobs/`, of which S3 answers 5,500 a second at first.
pub const AT_ONCE: u32 = 5;
/// Jobs of a chunk looked at in the store at the same time.
const LOOKS: usize = 32;
/// Jobs of one call to Redis.
const GLANCES: usize = 250;
/// The longest work on a chunk; a moment later somebody else may take it.
const CHUNK: Duration = Duration::from_secs(20);
const LEASE: Duration = Duration::from_secs(30);
/// A younger marker may be that of a request which is still on its way into Redis: for 2 s at most.
pub const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(5);

/// What became of an offer to help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helped {
    /// With a chunk; there may be more.
    Chunk,
    /// Not all of a chunk could be asked for; it comes again.
    Partly,
    /// No chunk waits, or enough of them are taken.
    NotNeeded,
}

/// Takes a chunk and works it off.
pub async fn help(clients: &Clients) -> Result<Helped, Unreachable> {
    let Some(handed) = clients.queue.take_chunk(AT_ONCE, LEASE).await? else {
        return Ok(Helped::NotNeeded);
    };
    let faults = Faults::default();
    let worked = tokio::time::timeout(CHUNK, work(clients, handed.chunk, &faults)).await;
    if faults.passed_over() > 0 {
        clients
            .queue
            .count_passed_over(faults.passed_over())
            .await?;
    }
    worked.map_err(|_| StoreError::TimedOut(CHUNK))??;
    // What could not be asked for may still be lost; what cannot be read does not change by another look.
    if faults.unreached() {
        return Ok(Helped::Partly);
    }
    clients.queue.chunk_done(handed).await?;
    Ok(Helped::Chunk)
}

async fn work(clients: &Clients, chunk: Chunk, faults: &Faults) -> Result<(), Unreachable> {
    let store = &clients.store;
    match chunk {
        Chunk::Live { from, to } => {
            let live = clients.queue.live_between(from, to).await?;
            let looks = live
                .into_iter()
                .map(|id| (id, lookup::end_as_stored(clients, id)));
            look(faults, looks).await;
        }
        Chunk::Due { after, last } => {
            let owing = store.due_page(after, MAX_PAGE).await?.entries;
            let owing = owing.into_keys().take_while(|id| *id <= last);
            look(faults, owing.map(|id| (id, delivery::restore(clients, id)))).await;
        }
        Chunk::Open { after, last } => {
            let page = store.open_page(after, MAX_PAGE).await?.entries;
            let (now, last) = (Utc::now(), last.to_string());
            let old = page
                .into_iter()
                .take_while(|(open, _)| open.to_string() <= last)
                .filter(|(_, modified)| now - *modified >= ON_ITS_WAY);
            let old: Vec<_> = old.map(|(open, _)| open).collect();
            compare(clients, &old, Closely::Yes, faults).await?;
        }
    }
    Ok(())
}

/// Whether what Redis knows of a job is held against its marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closely {
    Yes,
    /// Redis has forgotten nothing as far as is known: one glance for many jobs finds the one that was lost.
    No,
}

/// Puts back what Redis does not know.
pub async fn compare(
    clients: &Clients,
    markers: &[Open],
    closely: Closely,
    faults: &Faults,
) -> Result<(), Unreachable> {
    let mut looks = Vec::new();
    for some in markers.chunks(GLANCES) {
        let ids: Vec<JobId> = some.iter().map(|open| open.id).collect();
        let seen = clients.queue.glances(&ids).await?;
        let pairs = some.iter().copied().zip(seen);
        looks
            .extend(pairs.filter(|(open, seen)| closely == Closely::Yes || !is_known(*open, seen)));
    }
    let looks = looks.into_iter().map(|(open, seen)| {
        let look = async move {
            match seen? {
                Some(known) => lookup::align(clients, open, known).await,
                None => lookup::ensure_open(clients, open).await,
            }
        };
        (open.id, look)
    });
    look(faults, looks).await;
    Ok(())
}

/// Looks at jobs, some at the same time.
async fn look(
    faults: &Faults,
    looks: impl Iterator<Item = (JobId, impl Future<Output = Result<(), Unreachable>>)>,
) {
    let looks = looks.map(|(id, look)| faults.look(id, look));
    stream::iter(looks).buffer_unordered(LOOKS).collect().await
}

/// Redis has the job as its marker says, as far as a glance shows.
fn is_known(open: Open, seen: &Result<Option<Glance>, QueueError>) -> bool {
    matches!(seen, Ok(Some(known)) if !known.status.is_terminal() && known.generation == open.generation)
}
