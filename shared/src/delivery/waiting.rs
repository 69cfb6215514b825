//! Messages for which Redis has no room: they wait in the store, by line, and the sweep brings them in.

use std::time::Duration;

use chrono::Utc;

use super::deliver::count_given_up;
use super::owe::{forget, ring};
use crate::clients::Clients;
use crate::endpoint::{Line, Target};
use crate::envelope::{Due, DueName, DueTarget, Manifest};
use crate::job::JobId;
use crate::lookup::Unreachable;
use crate::queue::{Over, Owed};
use crate::store::{StoreError, WaitingLine, WaitingName};

/// Messages of one page.
const PAGE: usize = 250;
/// Pages of one line in one round: a receiver that answers again gets what waited as fast as it takes it.
const PAGES: usize = 8;

/// What became of a message that waited.
enum Brought {
    /// It stands in its line, or is owed no more.
    Over,
    /// Its line has no room.
    NoRoom,
}

/// Notes the messages that found no room.
pub(super) async fn note(
    clients: &Clients,
    id: JobId,
    due: &Due,
    left: &[Target],
) -> Result<(), Unreachable> {
    let mut rest: Vec<DueTarget> = due.targets.clone();
    rest.retain(|target| left.contains(&target.target));
    while let Some(first) = rest.first() {
        let line: Line = first.line.clone();
        let (targets, others) = rest.into_iter().partition(|target| target.line == line);
        rest = others;
        let waiting = Due {
            targets,
            ..due.clone()
        };
        match clients.store.put_waiting(id, &line, &waiting).await {
            // Nothing is left to tell of.
            Err(StoreError::Deleted { .. }) => {}
            put => put?,
        }
    }
    Ok(())
}

/// Brings what waits for this line into it, the earliest end first, as far as there is room; returns how many jobs' messages came in.
pub async fn bring(clients: &Clients, line: &WaitingLine) -> Result<u32, Unreachable> {
    let mut brought = 0;
    for _ in 0..PAGES {
        let page = clients.store.waiting_page(line, PAGE).await?;
        for name in &page {
            match bring_one(clients, line, name).await? {
                Brought::Over => brought += 1,
                Brought::NoRoom => return Ok(brought),
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    Ok(brought)
}

async fn bring_one(
    clients: &Clients,
    line: &WaitingLine,
    name: &WaitingName,
) -> Result<Brought, Unreachable> {
    let store = &clients.store;
    let gone = async || -> Result<Brought, Unreachable> {
        store.remove_waiting(line, name).await?;
        Ok(Brought::Over)
    };
    let Some(due) = store.waiting(line, name).await? else {
        return Ok(Brought::Over);
    };
    let id = name.id;
    if due.targets.iter().all(|target| target.until <= Utc::now()) {
        for target in &due.targets {
            tracing::warn!(job_id = %id, target = %target.target, "a message did not arrive in time and is given up");
            count_given_up(target.target);
        }
        return gone().await;
    }
    let ended = store.newest_manifest::<Manifest>(id).await?;
    if ended.is_none_or(|manifest| manifest.job.generation != due.generation) {
        return gone().await;
    }
    let noted = DueName::again(due.generation);
    match clients.queue.bring(id, &due, &noted).await? {
        Owed::Stale => gone().await,
        Owed::Ok { left, .. } if !left.is_empty() => Ok(Brought::NoRoom),
        Owed::Ok { pending, over, .. } => {
            // It is noted here until it is noted there.
            match store.put_due(id, &noted, &due).await {
                Err(StoreError::Deleted { .. }) => {}
                put => put?,
            }
            if pending > 0 {
                ring(clients, Duration::ZERO).await;
            }
            forget(clients, &Over { id, names: over }).await?;
            gone().await
        }
    }
}
