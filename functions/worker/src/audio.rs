//! Stage `audio`: the generator plays the plan. Whatever it delivers is stored before anything else happens.

use shared::models::{RenderAnswer, RenderRequest, Service};
use shared::queue::Next;
use shared::source::Source;
use shared::stage::Stage;

use crate::ask::ask;
use crate::offer;
use crate::run::{Work, budget};
use crate::step::{Step, Stepped};

/// A delivery under this render key that is stored already is used: no GPU second is spent twice.
pub(crate) async fn step(work: &mut Work<'_>) -> Stepped {
    let (clients, id) = (work.clients, work.job.id);
    let render = work.job.render_key(Stage::Audio);
    if clients.store.source::<Source>(id, &render).await?.is_some() {
        return Ok(Step::Done);
    }
    let Some(generator) = &clients.generator else {
        return Ok(Step::failed(
            Stage::Audio,
            "muscgen_not_configured",
            "No generator is configured.",
            false,
        ));
    };
    let planned = match work.planned.take() {
        None => clients.store.plan(id).await?,
        stored => stored,
    };
    let Some(planned) = planned else {
        let step = Step::failed(
            Stage::Audio,
            "plan_lost",
            "The song plan is no longer stored.",
            true,
        );
        let Step::Failed { error, cause, .. } = step else {
            return Ok(step);
        };
        return Ok(Step::Failed {
            error,
            cause,
            change: Next {
                stage: Some(Stage::Plan),
                seed: None,
            },
        });
    };
    let (out, callback) = (
        work.outgoing(Stage::Audio),
        offer::callback(work, Stage::Audio),
    );
    let upload = match &callback {
        Some(callback) => offer::upload(work, callback).await,
        None => None,
    };
    let (submission, plan) = (&work.request.submission, &planned.song);
    let prompt = plan.prompt(submission.narrative.as_str());
    let request = RenderRequest {
        job: id,
        request_id: &work.job.request_id,
        prompt: &prompt,
        plan,
        duration: submission.duration,
        seed: work.job.seed,
        model: &submission.model,
        options: &submission.options,
        callback,
        upload,
    };
    tracing::info!(seed = work.job.seed, "asking muscgen for audio");
    let call = generator.generate(&request, &out, budget(Stage::Audio));
    let source = match ask(&mut work.asking, Service::Muscgen, call).await {
        Ok(RenderAnswer::Audio { bytes, notes }) => {
            clients.store.put_upload(id, &render, bytes).await?;
            notes
        }
        Ok(RenderAnswer::Url { url, notes }) => Source {
            audio_url: Some(url),
            ..notes
        },
        Ok(RenderAnswer::Accepted { .. }) => return Ok(Step::Parked),
        Err(error) => return Ok(Step::of_fault(Stage::Audio, &error)),
    };
    clients.store.put_source(id, &render, &source).await?;
    Ok(Step::Done)
}
