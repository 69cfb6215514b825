//! One file for each thing that a caller does with jobs.

mod audio;
mod change;
mod deliveries;
mod list;
mod read;
mod submit;

use axum::Router;
use axum::routing::{get, post};
use shared::audit::{Act, Effect, Operator};
use shared::caller::Caller;
use shared::clients::Clients;
use shared::http::RequestId;
use shared::job::{JobId, JobRecord};
use shared::lookup;
use shared::problem::Problem;
use shared::view::Known;
use utoipa::OpenApi;

/// What this function answers, for the API's document.
#[derive(OpenApi)]
#[openapi(paths(
    submit::submit,
    list::list,
    read::job,
    read::events,
    audio::audio,
    change::cancel,
    change::retry,
    change::delete,
    deliveries::list,
    deliveries::redeliver,
))]
pub struct Document;

/// Every route of this function.
pub fn router(clients: Clients) -> Router {
    Router::new()
        .route("/jobs", post(submit::submit).get(list::list))
        .route("/jobs/{id}", get(read::job).delete(change::delete))
        .route("/jobs/{id}/events", get(read::events))
        .route("/jobs/{id}/audio", get(audio::audio).fallback(audio::other))
        .route("/jobs/{id}/deliveries", get(deliveries::list))
        .route(
            "/jobs/{id}/deliveries/redeliver",
            post(deliveries::redeliver),
        )
        .route("/jobs/{id}/cancel", post(change::cancel))
        .route("/jobs/{id}/retry", post(change::retry))
        .with_state(clients)
}

/// The caller's own job; anybody else's is as unknown as one that never was.
async fn owned(clients: &Clients, caller: &Caller, id: JobId) -> Result<Known, Problem> {
    let known = lookup::find_for(clients, id, &caller.tenant).await?;
    known
        .filter(|known| caller.may_see(&known.job.user))
        .ok_or_else(lookup::unknown_job)
}

/// Changes a job. What an admin does to another's is on record.
async fn act<T>(
    clients: &Clients,
    (caller, request): (&Caller, RequestId),
    job: &JobRecord,
    act: Act,
    change: impl Future<Output = Result<Effect<T>, Problem>>,
) -> Result<T, Problem> {
    if caller.user == job.user {
        return change.await.map(Effect::into_inner);
    }
    let operator = Operator::new(caller, request);
    operator.act(clients, act, change).await
}

/// Puts on record that an admin is shown another's job.
async fn look(
    clients: &Clients,
    (caller, request): (&Caller, RequestId),
    known: &Known,
    action: &'static str,
) -> Result<(), Problem> {
    if caller.user == known.job.user {
        return Ok(());
    }
    let operator = Operator::new(caller, request);
    operator
        .look(clients, action, &known.job.id.to_string())
        .await
}
