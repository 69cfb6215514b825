//! Stage `plan`: the planner turns the narrative into a song plan, once for all attempts.

use shared::lookup::Unreachable;
use shared::models::{PlanAnswer, PlanRequest};
use shared::plan::Plan;
use shared::stage::Stage;

use crate::offer;
use crate::run::{Work, budget};
use crate::step::{Step, Stepped};

/// A plan that is stored already is used: the planner is asked once.
pub(crate) async fn step(work: &mut Work<'_>) -> Stepped {
    let clients = work.clients;
    if clients.store.plan(work.job.id).await?.is_some() {
        return Ok(Step::Done);
    }
    if let Some(plan) = cached(work).await? {
        clients.store.put_plan_if_absent(work.job.id, &plan).await?;
        tracing::info!("the plan of an earlier job is used");
        return Ok(Step::Done);
    }
    let Some(planner) = &clients.planner else {
        return Ok(Step::failed(
            Stage::Plan,
            "jen1_not_configured",
            "No planner is configured.",
            false,
        ));
    };
    let (out, callback) = (
        work.outgoing(Stage::Plan),
        offer::callback(work, Stage::Plan),
    );
    let Work {
        request,
        meter,
        job,
        ..
    } = work;
    let ask = PlanRequest {
        job: job.id,
        narrative: request.submission.narrative.as_str(),
        duration: request.submission.duration,
        options: &request.submission.options,
        callback,
    };
    tracing::info!("asking jen1 for a plan");
    match meter
        .wait(planner.plan(&ask, &out, budget(Stage::Plan)))
        .await
    {
        Ok(PlanAnswer::Plan(plan)) => {
            clients.store.put_plan_if_absent(job.id, &plan).await?;
            Ok(Step::Done)
        }
        Ok(PlanAnswer::Accepted) => Ok(Step::Parked),
        Err(error) => Ok(Step::of_fault(Stage::Plan, &error)),
    }
}

/// What the same request was answered before, for the same tenant.
async fn cached(work: &Work<'_>) -> Result<Option<Plan>, Unreachable> {
    let (clients, request) = (work.clients, &work.request);
    if request.no_cache {
        return Ok(None);
    }
    let digest = request.submission.plan_digest();
    match clients.queue.cached(&request.tenant, &digest).await? {
        Some(earlier) => Ok(clients.store.plan(earlier).await?),
        None => Ok(None),
    }
}
