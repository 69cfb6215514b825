//! `POST /jobs/report`: progress, delivery, failure. What is delivered is stored before Redis hears of it.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use shared::caller::Reporter;
use shared::clients::Clients;
use shared::http;
use shared::job::{JobError, JobStatus, Progress};
use shared::lookup::Unreachable;
use shared::models::MAX_AUDIO;
use shared::plan::Planned;
use shared::problem::Problem;
use shared::queue::{Failed, Heartbeat, Next, Reported, backoff};
use shared::settle;
use shared::source::Source;
use shared::stage::Stage;

use crate::body::{Body, Report, Says};
use crate::document::{self, Taken};
use crate::speaker::Speaker;

/// What a model service says of its work.
///
/// `{ok: true}`; a repeat too. 409 tells a model that nobody waits for it any more.
#[utoipa::path(
    post,
    path = "/jobs/report",
    operation_id = "reportJob",
    tag = "report",
    security(("callbackToken" = []), ("bearer" = [])),
    request_body(content = document::Report, examples(
        ("progress" = (summary = "So far", value = json!({
            "jobId": "01a20428-f7d9-735f-b27d-e74c71c63de9", "type": "progress", "progress": {"current": 3, "total": 8}
        }))),
        ("uploaded" = (summary = "The audio was put to `/jobs/{id}/audio`", value = json!({
            "jobId": "01a20428-f7d9-735f-b27d-e74c71c63de9", "type": "completed", "payload": {"uploaded": true, "seed": 7}
        }))),
        ("plan" = (summary = "The plan is made", value = json!({
            "jobId": "01a20428-f7d9-735f-b27d-e74c71c63de9", "type": "completed", "payload": {"plan": {"title": "Rain"}}
        }))),
        ("failed" = (summary = "It gives up", value = json!({
            "jobId": "01a20428-f7d9-735f-b27d-e74c71c63de9", "type": "failed",
            "payload": {"code": "out_of_memory", "message": "The card is full.", "retryable": true}
        }))),
    )),
    responses((status = 200, description = "It was taken", body = document::Taken)),
    extensions(("x-problems" = json!([
        "forbidden", "unknown_job", "job_ended", "stale_fence", "wrong_render", "not_parked", "not_planning",
        "not_rendering", "not_uploaded"
    ]))),
)]
pub(crate) async fn report(
    State(clients): State<Clients>,
    reporter: Reporter,
    http::LenientBody(body): http::LenientBody<Body>,
) -> Result<Json<Taken>, Problem> {
    let Report { job, says } = body.try_into()?;
    let speaker = Speaker::new(&clients, reporter, job).await?;
    let request_id = &speaker.job.request_id;
    tracing::info!(job_id = %job, job_request_id = request_id, stage = %speaker.stage, "a model reports");
    match says {
        Says::Alive(progress) => alive(&clients, &speaker, progress).await?,
        Says::Audio(source) => {
            // A muscgen that names no seed took the one that it was given.
            let source = source.seeded(Some(speaker.job.seed));
            audio(&clients, &speaker, &source, None).await?
        }
        Says::Plan(plan) => planned(&clients, &speaker, &plan).await?,
        Says::Failed {
            code,
            message,
            retryable,
        } => {
            let error = JobError {
                code,
                message,
                stage: speaker.stage,
                retryable,
            };
            failed(&clients, &speaker, &error).await?;
        }
    }
    Ok(Json(Taken { ok: true }))
}

pub(crate) async fn alive(
    clients: &Clients,
    speaker: &Speaker,
    progress: Option<Progress>,
) -> Result<(), Problem> {
    let (id, fence) = (speaker.job.id, speaker.fence.as_ref());
    let deadline = clients.config.render_deadline;
    let answer = clients
        .queue
        .progress(id, fence, progress.as_ref(), deadline, speaker.spent())
        .await
        .map_err(Unreachable::from)?;
    settle::pay(clients, answer.debt, None).await;
    match answer.outcome {
        Heartbeat::Ok => Ok(()),
        Heartbeat::Stale | Heartbeat::Unknown => Err(stale()),
        Heartbeat::Ended => Err(ended()),
    }
}

/// Asked before anything is stored: what a refused report left behind, the job's next run would use. False: a repeat.
fn is_awaited(speaker: &Speaker) -> Result<bool, Problem> {
    let job = &speaker.job;
    match speaker.claimed() {
        _ if job.status == JobStatus::Completed => Ok(false),
        _ if job.status.is_terminal() => Err(ended()),
        Some(render) if *render != job.render_key(speaker.stage) => Err(wrong_render()),
        _ if job.stage > speaker.stage => Ok(false),
        None if !job.parked => Err(not_parked()),
        _ => Ok(true),
    }
}

async fn planned(clients: &Clients, speaker: &Speaker, plan: &Planned) -> Result<(), Problem> {
    if speaker.stage != Stage::Plan {
        return Err(Problem::conflict("not_planning", "the job has its plan"));
    }
    if !is_awaited(speaker)? {
        return Ok(());
    }
    clients
        .store
        .put_plan_if_absent(speaker.job.id, plan)
        .await
        .map_err(Unreachable::from)?;
    delivered(clients, speaker).await
}

/// `brought` came with the report; else it was uploaded before, or lies at the source's address.
pub(crate) async fn audio(
    clients: &Clients,
    speaker: &Speaker,
    source: &Source,
    brought: Option<Bytes>,
) -> Result<(), Problem> {
    if speaker.stage != Stage::Audio {
        return Err(Problem::conflict(
            "not_rendering",
            "the job waits for a plan, not for audio",
        ));
    }
    if !is_awaited(speaker)? {
        return Ok(());
    }
    let (id, store) = (speaker.job.id, &clients.store);
    if let Some(bytes) = brought {
        store
            .put_upload(id, &speaker.render, bytes)
            .await
            .map_err(Unreachable::from)?;
    } else if source.audio_url.is_none() {
        let uploaded = store
            .upload_size(id, &speaker.render)
            .await
            .map_err(Unreachable::from)?;
        let size = uploaded.ok_or_else(|| {
            Problem::conflict("not_uploaded", "no audio was uploaded under this token")
        })?;
        if size > MAX_AUDIO as u64 {
            return Err(Problem::too_large(
                "the uploaded audio has more than 64 MiB",
            ));
        }
    }
    store
        .put_source(id, &speaker.render, source)
        .await
        .map_err(Unreachable::from)?;
    delivered(clients, speaker).await
}

async fn delivered(clients: &Clients, speaker: &Speaker) -> Result<(), Problem> {
    let (id, stage) = (speaker.job.id, speaker.stage);
    let (queue, claimed) = (&clients.queue, speaker.claimed());
    let mut answer = queue
        .report(id, stage, claimed, speaker.spent())
        .await
        .map_err(Unreachable::from)?;
    if answer.outcome == Reported::Unknown && speaker.restored(clients).await? {
        answer = queue
            .report(id, stage, claimed, speaker.spent())
            .await
            .map_err(Unreachable::from)?;
    }
    settle::pay(clients, answer.debt, Some(id)).await;
    match answer.outcome {
        Reported::Ok | Reported::Repeat => Ok(()),
        Reported::WrongRender => Err(wrong_render()),
        Reported::NotParked => Err(not_parked()),
        Reported::Ended | Reported::Unknown => Err(ended()),
    }
}

pub(crate) async fn failed(
    clients: &Clients,
    speaker: &Speaker,
    error: &JobError,
) -> Result<(), Problem> {
    let id = speaker.job.id;
    let delay: Duration = backoff(speaker.job.attempt);
    let (fence, change, spent) = (speaker.fence.as_ref(), Next::default(), speaker.spent());
    let answer = clients
        .queue
        .fail(id, fence, error, delay, change, spent)
        .await
        .map_err(Unreachable::from)?;
    settle::pay(clients, answer.debt, Some(id)).await;
    match answer.outcome {
        Failed::Queued | Failed::Failed => Ok(()),
        Failed::Stale | Failed::Unknown => Err(stale()),
        Failed::Ended => Err(ended()),
    }
}

fn stale() -> Problem {
    Problem::conflict("stale_fence", "this run of the job is over")
}

fn wrong_render() -> Problem {
    Problem::conflict("wrong_render", "the job asks for another render now")
}

fn not_parked() -> Problem {
    Problem::conflict("not_parked", "no model holds the job")
}

fn ended() -> Problem {
    Problem::conflict("job_ended", "the job has ended")
}
