//! How a job ends: what an ended job owes the outside is done, at once by whoever ended it, else by the sweep.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::callback::sign_link;
use crate::clients::Clients;
use crate::delivery;
use crate::envelope::{Manifest, Open};
use crate::job::{JobId, JobStatus};
use crate::keyring::now;
use crate::lookup::{self, Unreachable};
use crate::metrics::{self, Embedded};
use crate::provenance::Provenance;
use crate::queue::{Debt, Settled, millis};
use crate::store::{Put, StoreError};
use crate::view::{Known, audio_path};

/// Jobs settled, or told of, at the same time.
const AT_ONCE: usize = 32;
/// The longest that settling one job may take where nobody waits.
pub const SETTLE_WITHIN: Duration = Duration::from_secs(15);
/// How long the link in a report to the API works.
const LINK_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Pays what a transition left to do: tells of the news, settles and rings. Never fails its caller: the sweep does what is left undone.
pub async fn pay(clients: &Clients, debt: Debt, job: Option<JobId>) {
    pay_within(clients, debt, job, SETTLE_WITHIN).await;
}

/// The same for who is waited for: each job has so long to be settled.
pub async fn pay_within(
    clients: &Clients,
    mut debt: Debt,
    job: Option<JobId>,
    settled_within: Duration,
) {
    let news = std::mem::take(&mut debt.notices);
    let ended = std::mem::take(&mut debt.ended);
    // What only the queue is asked for does not wait for the store.
    tokio::join!(
        tell_of(clients, news),
        ring(clients, &debt, job),
        settle_all(clients, ended, settled_within)
    );
}

/// Whoever listens to these jobs is told of what is new.
async fn tell_of(clients: &Clients, jobs: Vec<JobId>) {
    let notices = stream::iter(jobs).map(|id| async move {
        if let Err(error) = clients.notices.ring(Some(id), 1, Duration::ZERO).await {
            tracing::warn!(job_id = %id, error = %error, "a notice was not given; the sweep will");
        }
    });
    notices.buffer_unordered(AT_ONCE).collect().await
}

async fn ring(clients: &Clients, debt: &Debt, job: Option<JobId>) {
    let bells = [
        (debt.ring, Duration::ZERO),
        (
            u32::from(debt.ring_later.is_some()),
            debt.ring_later.unwrap_or_default(),
        ),
    ];
    for (count, delay) in bells.into_iter().filter(|(count, _)| *count > 0) {
        if let Err(error) = clients.doorbell.ring(job, count, delay).await {
            tracing::warn!(error = %error, delay_ms = millis(delay), "a bell did not ring; the sweep will");
        }
    }
}

/// Settles these jobs, some at the same time, each within so long. Returns how many are left to the sweep.
pub async fn settle_all(clients: &Clients, jobs: Vec<JobId>, within: Duration) -> u32 {
    let settles = stream::iter(jobs).map(|id| async move {
        let left = match tokio::time::timeout(within, settle(clients, id)).await {
            Ok(Ok(())) => return 0,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no end within {within:?}"),
        };
        tracing::warn!(job_id = %id, error = left, "settling is left to the sweep");
        1
    });
    let left = settles.buffer_unordered(AT_ONCE);
    left.fold(0, async |all, left| all + left).await
}

/// Writes the manifest, notes what the outside is owed, removes the marker, and lets Redis forget. It calls nobody. May be repeated.
pub async fn settle(clients: &Clients, id: JobId) -> Result<(), Unreachable> {
    let Some(snapshot) = clients.queue.read(id).await? else {
        return Ok(());
    };
    if !snapshot.job.status.is_terminal() {
        return Ok(());
    }
    let generation = snapshot.job.generation;
    let recorded = match lookup::unsettled(clients, snapshot).await? {
        Some(known) => record(clients, known).await,
        None => Err(StoreError::Deleted { id }.into()),
    };
    let manifest = match recorded {
        // Deleted meanwhile: nothing is left to tell of.
        Err(Unreachable::Store(StoreError::Deleted { .. })) => {
            clients.store.remove_open(Open { id, generation }).await?;
            clients.queue.settle(id, generation).await?;
            return Ok(());
        }
        recorded => recorded?,
    };
    delivery::owe(clients, &manifest).await?;
    clients.store.remove_open(Open { id, generation }).await?;
    let known = Known::from(manifest);
    let generation = known.job.generation;
    let settled = clients.queue.settle(id, generation).await?;
    if matches!(settled, Settled::Ok { first: true }) {
        tell_figures(&known);
    }
    tracing::info!(
        job_id = %id, request_id = known.job.request_id, status = %known.job.status, attempt = known.job.attempt,
        "the job is settled"
    );
    Ok(())
}

/// How the job ended and what it took, once for each end.
fn tell_figures(known: &Known) {
    let (job, usage) = (&known.job, known.job.usage);
    let line = Embedded::default()
        .with("job_id", job.id.to_string())
        .with("request_id", job.request_id.clone())
        .with("attempt", job.attempt)
        .with("billed_ms", usage.billed_ms)
        .put(&metrics::JOBS_ENDED, 1.0, Some(job.status.as_str()));
    let failed = match job.status {
        JobStatus::Completed => Some(0.0),
        JobStatus::Failed => Some(1.0),
        _ => None,
    };
    let line = failed.into_iter().fold(line, |line, failed| {
        line.put(&metrics::JOB_FAILED, failed, None)
    });
    // What was never begun took no time, which would spoil the percentiles.
    let times = [
        (
            &metrics::QUEUE_SECONDS,
            Some(usage.queue_ms).filter(|_| job.started_at.is_some()),
        ),
        (
            &metrics::PLAN_SECONDS,
            Some(usage.plan_ms).filter(|ms| *ms > 0),
        ),
        (
            &metrics::AUDIO_SECONDS,
            Some(usage.audio_ms).filter(|ms| *ms > 0),
        ),
        (
            &metrics::FINISH_SECONDS,
            Some(usage.finish_ms).filter(|ms| *ms > 0),
        ),
    ];
    let took = times
        .into_iter()
        .filter_map(|(metric, ms)| Some((metric, ms?)));
    took.fold(line, |line, (metric, ms)| {
        line.put(metric, metrics::seconds(ms), None)
    })
    .send();
}

/// Writes the manifest of the job's end. One that is there already stays; if it tells of another end,
/// Redis was rolled back behind it, and is told.
pub(crate) async fn record(clients: &Clients, known: Known) -> Result<Manifest, Unreachable> {
    let id = known.job.id;
    let made = known.plan.as_ref().zip(known.track.as_ref());
    let provenance = made.map(|(plan, track)| Provenance::of(&known.request, plan, track));
    let manifest = Manifest {
        job: known.job,
        request: known.request,
        plan: known.plan,
        track: known.track,
        error: known.error,
        provenance,
    };
    let (generation, status) = (manifest.job.generation, manifest.job.status);
    let store = &clients.store;
    if store
        .put_manifest_if_absent(id, generation, &manifest)
        .await?
        == Put::Stored
    {
        return Ok(manifest);
    }
    let Some(first) = store.manifest_since::<Manifest>(id, generation).await? else {
        return Err(StoreError::Deleted { id }.into());
    };
    if (first.job.generation, first.job.status) != (generation, status) {
        // It holds no slot, so it owes no bell; and it is being settled.
        drop(lookup::adopt(clients, &first).await?);
    }
    Ok(first)
}

/// A link to the audio for who does not sign in, absolute where our address is known.
pub(crate) fn artifact_url(clients: &Clients, id: JobId) -> String {
    let path = sign_link(
        &clients.config.keys,
        &audio_path(id),
        now() + LINK_LIFE.as_secs(),
    );
    clients
        .config
        .public_url
        .as_ref()
        .map_or(path.clone(), |base| base.at(&path))
}
