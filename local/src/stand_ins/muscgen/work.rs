//! One render's life: the pretended GPU, its progress, the audio, and what is told to the caller.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::order::{Ending, Product};
use super::renders::{Outcome, Render};
use super::{NAME, Service, VERSION};
use crate::stand_ins::bulk;

/// A render tells its progress at least so often.
const FEWEST_REPORTS: u32 = 4;
const MOST_REPORTS: u32 = 3_600;
const USUAL_PERIOD: f64 = 5.0;

/// Renders, with a GPU held meanwhile, and tells the ending if `reports`.
pub(crate) async fn run(
    service: Arc<Service>,
    render: Arc<Render>,
    gpu: OwnedSemaphorePermit,
    reports: bool,
) {
    let ending = render.order.ending;
    let started = Instant::now();
    let until = started + render.order.render_time();
    let work = async {
        let audio = audio(&service, &render).await;
        tokio::time::sleep_until(until).await;
        audio
    };
    let outcome = if reports && ending != Ending::NeverReported {
        tokio::join!(work, progress(&service, &render, started)).0
    } else {
        work.await
    };
    drop(gpu);
    let failed = matches!(outcome, Outcome::Failed(_));
    render.end(outcome);
    match ending {
        _ if !reports => {}
        Ending::NeverReported => {
            tracing::info!(
                request_id = render.request_id(),
                job_id = render.request.job_id,
                "told to keep silent"
            );
        }
        Ending::ReportedFailed => {
            tell_failed(&service, &render, "gpu_lost", "The GPU was told to fail.").await
        }
        Ending::Completed if failed => {
            tell_failed(
                &service,
                &render,
                "render_failed",
                "The music could not be rendered.",
            )
            .await;
        }
        Ending::Completed => tell_completed(&service, &render).await,
    }
    render.mark_told();
}

/// Uploads and reports once more, for a caller who asks again after the end.
pub(crate) async fn tell_again(service: Arc<Service>, render: Arc<Render>) {
    tell_completed(&service, &render).await;
    render.mark_told();
}

async fn audio(service: &Service, render: &Arc<Render>) -> Outcome {
    let request = &render.request;
    let made_of = format!(
        "{:?} {} {} {} {}",
        render.order.product, request.plan, request.prompt, request.duration, request.seed
    );
    let latest = || {
        service
            .latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some((_, audio)) = latest().as_ref().filter(|(of, _)| *of == made_of) {
        return Outcome::Finished(audio.clone());
    }
    let outcome = made(service, render).await;
    if let Outcome::Finished(audio) = &outcome {
        *latest() = Some((made_of, audio.clone()));
    }
    outcome
}

async fn made(service: &Service, render: &Arc<Render>) -> Outcome {
    let (font, work) = (service.font.clone(), render.clone());
    let rendered = tokio::task::spawn_blocking(move || {
        let request = &work.request;
        let seconds = request.duration;
        match work.order.product {
            Product::Music => {
                music::render(&font, &request.plan, &request.prompt, seconds, request.seed)
            }
            Product::Short => music::render(
                &font,
                &request.plan,
                &request.prompt,
                seconds / 3.0,
                request.seed,
            ),
            Product::Huge => {
                music::render(&font, &request.plan, &request.prompt, seconds, request.seed)
                    .map(bulk::padded)
            }
            Product::Silence => music::silence(seconds),
            // It is answered before anything is rendered.
            Product::Endless => Ok(Vec::new()),
            Product::Garbage => Ok(b"these bytes were never audio\n".repeat(1_024)),
        }
    })
    .await;
    match rendered {
        Ok(Ok(audio)) => Outcome::Finished(Bytes::from(audio)),
        Ok(Err(error)) => failure(render, error.to_string()),
        Err(error) => failure(render, error.to_string()),
    }
}

fn failure(render: &Render, why: String) -> Outcome {
    tracing::error!(
        request_id = render.request_id(),
        job_id = render.request.job_id,
        why,
        "no audio"
    );
    Outcome::Failed(why)
}

/// Tells progress at even steps through the pretended time.
async fn progress(service: &Service, render: &Render, started: Instant) {
    let (whole, own) = (
        render.order.render_time(),
        render.order.faults.render_seconds,
    );
    let callback = render.request.callback.as_ref();
    let period = callback
        .and_then(|c| c.every_seconds)
        .unwrap_or(USUAL_PERIOD);
    let wanted = (f64::from(own) / period.max(0.05)).ceil() as u32;
    let steps = wanted.clamp(FEWEST_REPORTS, MOST_REPORTS);
    for step in 1..=steps {
        let due = started + whole * step / (steps + 1);
        if step > FEWEST_REPORTS && Instant::now() > due + Duration::from_secs(1) {
            // The caller answers slowly: what is late already is left out.
            continue;
        }
        tokio::time::sleep_until(due).await;
        tell_progress(service, render, step, steps + 1).await;
    }
}

async fn tell_progress(service: &Service, render: &Render, step: u32, steps: u32) {
    let target = render.target();
    let Some(callback) = &target.callback else {
        return;
    };
    let total = render.request.duration.ceil() as u32;
    let current = total * step / steps;
    let body = json!({"jobId": target.job_id, "type": "progress", "progress": {
        "current": current, "total": total, "percentage": 100 * step / steps,
        "message": format!("rendered {current} of {total} s")}});
    let (request_id, job_id) = (&target.request_id, &target.job_id);
    match service.reporter.progress(callback, request_id, &body).await {
        Ok(()) => tracing::info!(request_id, job_id, current, total, "reported progress"),
        Err(error) => tracing::warn!(request_id, job_id, %error, "progress did not arrive"),
    }
}

async fn tell_completed(service: &Service, render: &Render) {
    let Some(audio) = render.audio() else { return };
    let target = render.target();
    let (request_id, job_id) = (&target.request_id, &target.job_id);
    let sha256 = shared::job::sha256_hex(&audio);
    let calls = &service.controls.calls;
    calls.deliver(render.key.as_deref(), &sha256);
    let mut payload =
        json!({"seed": render.request.seed, "model": NAME, "version": VERSION, "sha256": sha256});
    match &target.upload {
        Some(upload) => {
            if let Err(error) = service.reporter.upload(upload, &audio).await {
                tracing::warn!(request_id, job_id, %error, "the upload did not arrive");
                tell_failed(
                    service,
                    render,
                    "upload_failed",
                    "The audio could not be uploaded.",
                )
                .await;
                return;
            }
            payload["uploaded"] = true.into();
        }
        None => {
            payload["audioUrl"] =
                format!("http://{}/files/{}.wav", service.address, render.id).into()
        }
    }
    let common = &render.order.faults.common;
    tokio::time::sleep(common.report_delay_seconds.duration()).await;
    for _ in 0..if common.report_twice { 2 } else { 1 } {
        tell(service, render, "completed", &payload).await;
    }
}

async fn tell_failed(service: &Service, render: &Render, code: &str, message: &str) {
    let payload = json!({"code": code, "message": message, "retryable": true});
    tell(service, render, "failed", &payload).await;
}

async fn tell(service: &Service, render: &Render, kind: &str, payload: &Value) {
    let target = render.target();
    let Some(callback) = &target.callback else {
        return;
    };
    let body = json!({"jobId": target.job_id, "type": kind, "payload": payload});
    let (request_id, job_id) = (&target.request_id, &target.job_id);
    match service.reporter.ending(callback, request_id, &body).await {
        Ok(()) => tracing::info!(request_id, job_id, "reported {kind}"),
        Err(error) => tracing::warn!(request_id, job_id, %error, "the report did not arrive"),
    }
}
