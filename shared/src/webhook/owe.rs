//! What the end of a job owes: durable first, then Redis, then the bell.

use std::time::Duration;

use super::register::hooks_if_any;
use super::target::told_of;
use crate::clients::Clients;
use crate::endpoint::Ending;
use crate::envelope::{Due, Manifest};
use crate::job::JobId;
use crate::lookup::Unreachable;
use crate::queue::Delivered;

/// Messages of one look at what is due, and looks of one round.
const PAGE: usize = 16;
const PAGES: usize = 40;

/// Notes who is to be told how the job ended, and rings. Again: no harm.
pub async fn owe(clients: &Clients, manifest: &Manifest) -> Result<(), Unreachable> {
    let Some(event) = Ending::of(manifest.job.status) else {
        return Ok(());
    };
    let hooks = hooks_if_any(clients, &manifest.job.tenant).await?;
    let due = Due {
        generation: manifest.job.generation,
        event,
        targets: told_of(manifest, &hooks, event),
    };
    if due.targets.is_empty() {
        return Ok(());
    }
    clients.store.put_due(manifest.job.id, &due).await?;
    put_in_force(clients, manifest.job.id, &due).await
}

/// Puts back what Redis has forgotten of a job's messages; tries begin anew.
pub async fn restore(clients: &Clients, id: JobId) -> Result<(), Unreachable> {
    let Some(due) = clients.store.due(id).await? else {
        return Ok(());
    };
    let manifest = clients.store.newest_manifest::<Manifest>(id).await?;
    if manifest.is_some_and(|manifest| manifest.job.generation == due.generation) {
        return put_in_force(clients, id, &due).await;
    }
    Ok(clients.store.remove_due(id).await?)
}

async fn put_in_force(clients: &Clients, id: JobId, due: &Due) -> Result<(), Unreachable> {
    match clients.queue.owe(id, due).await? {
        Delivered::Ok { pending: 0, .. } => over(clients, id, due.generation).await,
        Delivered::Ok { .. } => {
            ring(clients, id, Duration::ZERO).await;
            Ok(())
        }
        Delivered::Stale => Ok(()),
    }
}

/// Nothing more is owed of this end. A later one may have been noted meanwhile.
pub(super) async fn over(clients: &Clients, id: JobId, generation: u32) -> Result<(), Unreachable> {
    let due = clients.store.due(id).await?;
    if due.is_some_and(|due| due.generation == generation) {
        clients.store.remove_due(id).await?;
    }
    Ok(())
}

/// A bell that does not ring is rung by the sweep.
pub(super) async fn ring(clients: &Clients, id: JobId, delay: Duration) {
    if let Err(error) = clients.notices.ring(Some(id), 1, delay).await {
        tracing::warn!(job_id = %id, error = %error, "a notice did not ring; the sweep will");
    }
}

/// Rings for messages that are due and that nobody came for; returns for how many jobs.
pub async fn ring_due(clients: &Clients) -> Result<usize, Unreachable> {
    let mut rung = 0;
    for page in 0..PAGES {
        let (jobs, more) = clients.queue.due(page * PAGE).await?;
        for id in &jobs {
            ring(clients, *id, Duration::ZERO).await;
        }
        rung += jobs.len();
        if !more {
            break;
        }
    }
    Ok(rung)
}
