//! What the end of a job owes: durable first, then Redis, then the bell.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::waiting;
use crate::clients::Clients;
use crate::endpoint::{Ending, Line, Target, host_of};
use crate::envelope::{Due, DueName, DueTarget, Manifest};
use crate::job::{JobId, JobStatus};
use crate::lookup::Unreachable;
use crate::queue::{Over, Owed};
use crate::stage::Stage;
use crate::store::StoreError;
use crate::webhook::{hooks_if_any, told_of};

/// A message that has not arrived so long after the end is given up.
pub(super) const LIFE: TimeDelta = TimeDelta::days(3);
/// Bells of one round of the sweep: each sender goes on while something is due.
const BELLS_MOST: u32 = 10;

/// Notes what the outside is owed for the end of a job, and rings. Again: no harm.
pub async fn owe(clients: &Clients, manifest: &Manifest) -> Result<(), Unreachable> {
    let Some(event) = Ending::of(manifest.job.status) else {
        return Ok(());
    };
    let (id, generation) = (manifest.job.id, manifest.job.generation);
    let targets = targets(clients, manifest, event).await?;
    if targets.is_empty() {
        return Ok(());
    }
    let due = Due {
        generation,
        event,
        targets,
    };
    let name = DueName::of_end(generation);
    match clients.store.put_due(id, &name, &due).await {
        // Deleted meanwhile: nothing is left to tell of.
        Err(StoreError::Deleted { .. }) => return Ok(()),
        put => put?,
    }
    put_in_force(clients, id, &due, &name).await
}

/// Puts back what Redis has forgotten of a job's messages; tries begin anew.
pub async fn restore(clients: &Clients, id: JobId) -> Result<(), Unreachable> {
    for name in clients.store.due_names(id).await? {
        let Some(due) = clients.store.due(id, &name).await? else {
            continue;
        };
        let ended = clients.store.manifest::<Manifest>(id, due.generation);
        if ended.await?.is_some() {
            put_in_force(clients, id, &due, &name).await?;
        } else {
            clients.store.remove_due(id, &name).await?;
        }
    }
    Ok(())
}

async fn targets(
    clients: &Clients,
    manifest: &Manifest,
    event: Ending,
) -> Result<Vec<DueTarget>, Unreachable> {
    let job = &manifest.job;
    let ended = job.completed_at.unwrap_or(job.updated_at);
    let hooks = hooks_if_any(clients, &job.tenant).await?;
    let webhooks = told_of(manifest, &hooks, event).into_iter();
    let webhooks = webhooks.map(|(hook, url)| DueTarget {
        target: Target::Webhook(hook),
        url: url.shown(),
        line: Line::of_tenant(&url.host(), &job.tenant),
        until: ended + LIFE,
    });
    let service = |target, host: String, until| DueTarget {
        target,
        line: Line::of_service(&host),
        url: host,
        until,
    };
    let api = clients
        .config
        .api
        .as_ref()
        .map(|api| host_of(api.url.url()));
    let api = api.map(|host| service(Target::Api, host, ended + LIFE));
    let model = clients.config.muscgen_url.as_ref();
    let model = model.filter(|_| may_still_render(manifest));
    let model = model.map(|at| {
        // A render that was begun last is over by then.
        let until = ended + clients.config.render_deadline;
        service(Target::Model, host_of(at.url()), until)
    });
    Ok(webhooks.chain(api).chain(model).collect())
}

/// Whether a model may be at work for nothing.
fn may_still_render(manifest: &Manifest) -> bool {
    let job = &manifest.job;
    let given_up = match job.status {
        JobStatus::Cancelled | JobStatus::Expired => job.started_at.is_some(),
        JobStatus::Failed => {
            let error = manifest.error.as_ref();
            error.is_some_and(|error| error.code == "model_silent")
        }
        JobStatus::Queued | JobStatus::Processing | JobStatus::Completed => false,
    };
    given_up && job.stage == Stage::Audio
}

async fn put_in_force(
    clients: &Clients,
    id: JobId,
    due: &Due,
    name: &DueName,
) -> Result<(), Unreachable> {
    match clients.queue.owe(id, due, name).await? {
        Owed::Ok {
            pending,
            over,
            left,
        } => {
            // Before the note is removed that has them now.
            waiting::note(clients, id, due, &left).await?;
            if pending > 0 {
                ring(clients, Duration::ZERO).await;
            }
            forget(clients, &Over { id, names: over }).await
        }
        Owed::Stale => Ok(clients.store.remove_due(id, name).await?),
    }
}

/// Removes objects that note what is not owed any more.
pub(super) async fn forget(clients: &Clients, over: &Over) -> Result<(), Unreachable> {
    for name in &over.names {
        clients.store.remove_due(over.id, name).await?;
    }
    Ok(())
}

/// Wakes a sender. A bell that does not ring is rung by the sweep.
pub(super) async fn ring(clients: &Clients, delay: Duration) {
    if let Err(error) = clients.messages.ring(None, 1, delay).await {
        tracing::warn!(error = %error, "a bell for messages did not ring; the sweep will");
    }
}

/// Rings for messages that are due and that nobody came for; returns in how many lines they stand.
pub async fn ring_due(clients: &Clients) -> Result<u32, Unreachable> {
    let lines = clients.queue.due().await?;
    for _ in 0..lines.min(BELLS_MOST) {
        ring(clients, Duration::ZERO).await;
    }
    Ok(lines)
}

/// The end of a message's life that begins now.
pub(super) fn from_now() -> DateTime<Utc> {
    Utc::now() + LIFE
}
