//! How a job ends: what an ended job owes the outside is done, at once by whoever ended it, else by the sweep.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::callback::sign_link;
use crate::clients::Clients;
use crate::envelope::{Manifest, OpenMarker};
use crate::job::{JobError, JobId, JobStatus};
use crate::keyring::now;
use crate::lookup::{self, Unreachable};
use crate::metrics::{self, Embedded};
use crate::models::{ModelError, Outgoing, Report, ReportKind};
use crate::provenance::Provenance;
use crate::queue::{Debt, Settled, millis};
use crate::stage::Stage;
use crate::view::{Known, audio_path};
use crate::webhook;

/// How often a service that must be told of the end may fail to listen.
const TELL_TRIES: u32 = 20;
/// How long it may rest between two tries; the script doubles it with each.
const TELL_AGAIN: Duration = Duration::from_secs(5);
/// Jobs settled, or told of, at the same time.
const AT_ONCE: usize = 32;
/// The longest that settling one job may take its caller.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);
/// How long the link in a report to the API works.
const LINK_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Pays what a transition left to do: tells of the news, settles, then rings. Never fails its caller: the sweep does what is left undone.
pub async fn pay(clients: &Clients, mut debt: Debt, job: Option<JobId>) {
    let news = std::mem::take(&mut debt.notices);
    tokio::join!(tell_of(clients, news), settle_and_ring(clients, debt, job));
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

async fn settle_and_ring(clients: &Clients, debt: Debt, job: Option<JobId>) {
    settle_all(clients, debt.ended).await;
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

/// Settles these jobs, some at the same time. Returns how many are left to the sweep.
pub async fn settle_all(clients: &Clients, jobs: Vec<JobId>) -> u32 {
    let settles = stream::iter(jobs).map(|id| async move {
        let left = match tokio::time::timeout(SETTLE_WITHIN, settle(clients, id)).await {
            Ok(Ok(())) => return 0,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no end within {SETTLE_WITHIN:?}"),
        };
        tracing::warn!(job_id = %id, error = left, "settling is left to the sweep");
        1
    });
    let left = settles.buffer_unordered(AT_ONCE);
    left.fold(0, async |all, left| all + left).await
}

/// Writes the manifest, notes which webhooks are to be told, removes the marker, tells the model and the API, and lets Redis forget. May be repeated.
pub async fn settle(clients: &Clients, id: JobId) -> Result<(), Unreachable> {
    let Some(snapshot) = clients.queue.read(id).await? else {
        return Ok(());
    };
    if !snapshot.job.status.is_terminal() {
        return Ok(());
    }
    let generation = snapshot.job.generation;
    let (known, marker) = tokio::join!(
        lookup::unsettled(clients, snapshot),
        clients.store.open_marker::<OpenMarker>(id)
    );
    let Some(known) = known? else {
        // A bucket or a folder that is away has no envelope either.
        clients.store.ready().await?;
        // Deleted meanwhile: nothing is left to tell of.
        clients.queue.settle(id, generation).await?;
        return Ok(());
    };
    let marker = marker?;
    let manifest = record(clients, known).await?;
    webhook::owe(clients, &manifest).await?;
    if !marker.is_some_and(|m| manifest.is_superseded_by(&m)) {
        clients.store.remove_open(id).await?;
    }
    let known = Known::from(manifest);
    let generation = known.job.generation;
    if let Err(error) = tell(clients, &known).await {
        let settled = clients
            .queue
            .settle_later(id, generation, TELL_AGAIN)
            .await?;
        tracing::warn!(job_id = %id, request_id = known.job.request_id, error = %error, "a service was not told of the job's end");
        if !matches!(settled, Settled::Ok { tries, .. } if tries >= TELL_TRIES) {
            return Ok(());
        }
    }
    let settled = clients.queue.settle(id, generation).await?;
    if matches!(settled, Settled::Ok { first: true, .. }) {
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

/// Writes the manifest of the job's end. One that is there already and tells of another end stays: Redis was rolled back behind it,
/// and is told.
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
    let first: Option<Manifest> = clients.store.manifest(id).await?;
    if let Some(first) = first.filter(|first| first.outranks(&manifest)) {
        // It holds no slot, so it owes no bell; and it is being settled.
        drop(lookup::adopt(clients, &first).await?);
        return Ok(first);
    }
    clients.store.put_manifest(id, &manifest).await?;
    Ok(manifest)
}

async fn tell(clients: &Clients, known: &Known) -> Result<(), ModelError> {
    let job = &known.job;
    let out = Outgoing::of_job(job, &known.request, job.stage);
    // A model that was silent to the end may still be rendering.
    let silent = |error: &JobError| error.code == "model_silent";
    let given_up = match job.status {
        JobStatus::Cancelled | JobStatus::Expired => job.started_at.is_some(),
        JobStatus::Failed => known.error.as_ref().is_some_and(silent),
        _ => false,
    };
    if let (true, Stage::Audio, Some(generator)) = (given_up, job.stage, &clients.generator) {
        generator
            .cancel(job.render_key(Stage::Audio).as_str(), &out)
            .await?;
    }
    let Some(api) = &clients.api else {
        return Ok(());
    };
    let report = |kind| Report {
        job: job.id,
        user: &known.request.user_id,
        kind,
    };
    match (&known.track, &known.error) {
        (Some(track), _) => {
            let plan = known.plan.as_ref().map(|planned| &planned.song);
            let result = serde_json::json!({"plan": plan, "track": track});
            let artifact_url = artifact_url(clients, job.id);
            api.post(
                &report(ReportKind::Completed {
                    artifact_url: &artifact_url,
                    result: &result,
                }),
                &out,
            )
            .await
        }
        (None, Some(error)) if job.status == JobStatus::Failed => {
            let error = format!("{}: {}", error.code, error.message);
            api.post(&report(ReportKind::Failed { error: &error }), &out)
                .await
        }
        _ => {
            api.post(
                &report(ReportKind::Failed {
                    error: job.status.as_str(),
                }),
                &out,
            )
            .await
        }
    }
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
