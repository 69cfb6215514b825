//! Stage `plan`: the planner turns the narrative into a song plan, once for all attempts.

use shared::config::{Fallback, Planner};
use shared::envelope::Envelope;
use shared::job::JobRecord;
use shared::lookup::Unreachable;
use shared::models::{Callback, Fault, ModelError, PlanAnswer, PlanRequest, Service};
use shared::plan::Planned;
use shared::stage::Stage;

use crate::ask::ask;
use crate::offer;
use crate::run::{Work, budget};
use crate::step::{Step, Stepped};

/// A plan that is stored already is used: the planner is asked once.
pub(crate) async fn step(work: &mut Work<'_>) -> Stepped {
    let clients = work.clients;
    work.planned = clients.store.plan(work.job.id).await?;
    if work.planned.is_some() {
        return Ok(Step::Done);
    }
    if let Some(planned) = cached(work).await? {
        tracing::info!("the plan of an earlier job is used");
        return keep(work, &planned).await;
    }
    match planner(work) {
        Some(Planner::Jen1) => by_jen1(work).await,
        Some(Planner::Ollama) => by_ollama(work).await,
        None => Ok(Step::failed(
            Stage::Plan,
            "model_not_configured",
            "The model is no longer offered.",
            false,
        )),
    }
}

async fn by_jen1(work: &mut Work<'_>) -> Stepped {
    let Some(jen1) = &work.clients.jen1 else {
        return Ok(not_configured("jen1"));
    };
    let out = work.outgoing(Stage::Plan);
    let callback = offer::callback(work, Stage::Plan);
    let request = asked(&work.request, &work.job, callback);
    tracing::info!("asking jen1 for a plan");
    let call = jen1.plan(&request, &out, budget(Stage::Plan));
    match ask(&mut work.asking, Service::Jen1, call).await {
        Ok(PlanAnswer::Plan(planned)) => keep(work, &planned).await,
        Ok(PlanAnswer::Accepted) => Ok(Step::Parked),
        Err(error) if may_stand_in(work, &error) => {
            tracing::warn!(error = %error, "jen1 is down; Ollama stands in");
            by_ollama(work).await
        }
        Err(error) => Ok(Step::of_fault(Stage::Plan, &error)),
    }
}

fn may_stand_in(work: &Work<'_>, error: &ModelError) -> bool {
    let down = matches!(error.fault, Fault::Unavailable(..) | Fault::Down { .. });
    down && work.clients.config.planner_fallback == Fallback::Ollama
}

async fn by_ollama(work: &mut Work<'_>) -> Stepped {
    let Some(ollama) = &work.clients.ollama else {
        return Ok(not_configured("ollama"));
    };
    let out = work.outgoing(Stage::Plan);
    let request = asked(&work.request, &work.job, None);
    tracing::info!("asking Ollama for a plan");
    let call = ollama.plan(&request, &out, budget(Stage::Plan));
    match ask(&mut work.asking, Service::Ollama, call).await {
        Ok(planned) => keep(work, &planned).await,
        Err(error) => Ok(Step::of_fault(Stage::Plan, &error)),
    }
}

/// Of two plans for one job the first that was stored counts.
async fn keep(work: &mut Work<'_>, planned: &Planned) -> Stepped {
    let store = &work.clients.store;
    work.planned = Some(store.put_plan_if_absent(work.job.id, planned).await?);
    Ok(Step::Done)
}

fn asked<'a>(
    request: &'a Envelope,
    job: &JobRecord,
    callback: Option<Callback>,
) -> PlanRequest<'a> {
    let submission = &request.submission;
    PlanRequest {
        job: job.id,
        narrative: submission.narrative.as_str(),
        duration: submission.duration,
        options: &submission.options,
        // Who gave a bad answer would give the same again.
        seed: job.seed.wrapping_add(job.attempt - 1),
        callback,
    }
}

fn not_configured(service: &str) -> Step {
    let code = format!("{service}_not_configured");
    Step::failed(Stage::Plan, &code, "No planner is configured.", false)
}

/// What the same request was answered before, for the same tenant. Not by who only stood in: it is asked for once more.
async fn cached(work: &Work<'_>) -> Result<Option<Planned>, Unreachable> {
    let (clients, request) = (work.clients, &work.request);
    if request.no_cache {
        return Ok(None);
    }
    let digest = request.submission.plan_digest();
    let Some(earlier) = clients.queue.cached(&request.tenant, &digest).await? else {
        return Ok(None);
    };
    let planner = match planner(work) {
        Some(Planner::Jen1) => Service::Jen1,
        Some(Planner::Ollama) => Service::Ollama,
        None => return Ok(None),
    };
    let planned = clients.store.plan(earlier).await?;
    Ok(planned.filter(|planned| planned.by.service == planner.as_str()))
}

/// The planner of the job's model, if that is still offered.
fn planner(work: &Work<'_>) -> Option<Planner> {
    let models = &work.clients.config.models;
    Some(models.get(&work.request.submission.model)?.planner)
}
