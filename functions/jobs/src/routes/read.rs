//! `GET /jobs/{id}` and its events.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::event::EventPage;
use shared::http::{JobPath, Query, RequestId, matches};
use shared::job::JobId;
use shared::lookup::Unreachable;
use shared::problem::Problem;
use shared::view;
use shared::wait::{self, Until};

use super::{look, owned};

/// When to look at a live job again without long-polling, in seconds: half of the time that it will probably wait, within these.
const LOOK_AGAIN: (f64, f64) = (2.0, 30.0);

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Follow {
    /// Seconds to wait for a change; more than 25 count as 25.
    wait: Option<u32>,
    /// The newest event that the caller knows: `seq` of its last read.
    after: Option<u64>,
}

/// The job; with `wait`, as soon as it has an event after `after` (default: any new one). 304 if it has not changed.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    operation_id = "readJob",
    tag = "jobs",
    security(("bearer" = [])),
    params(
        ("id" = JobId, Path),
        Follow,
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of the last read: 304 if nothing changed")
    ),
    responses(
        (
            status = 200,
            description = "The job",
            body = view::JobView,
            headers(
                ("ETag" = String, description = "Weak; blind to the signed link and to `eta`"),
                ("Retry-After" = u32, description = "While the job is live: seconds, 2 to 30"),
            )
        ),
        (
            status = 304,
            description = "Nothing changed",
            headers(
                ("ETag" = String, description = "As sent"),
                ("Retry-After" = u32, description = "While the job is live: seconds, 2 to 30"),
            )
        ),
    ),
    extensions(("x-problems" = json!(["unknown_job", "rate_limited"]))),
)]
pub(crate) async fn job(
    State(clients): State<Clients>,
    caller: Caller,
    request: RequestId,
    JobPath(id): JobPath,
    Query(follow): Query<Follow>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut known = owned(&clients, &caller, id).await?;
    if let Some(seconds) = follow.wait.filter(|seconds| *seconds > 0) {
        let until = Until::After(follow.after.unwrap_or(known.job.seq));
        let length = Duration::from_secs(seconds.into());
        wait::wait(&clients, id, &caller.tenant, until, length)
            .await
            .map_err(Unreachable::from)?;
        known = owned(&clients, &caller, id).await?;
    }
    look(&clients, (&caller, request), &known, "job.read").await?;
    let live = !known.job.status.is_terminal();
    let job = view::shown(&clients, known);
    let etag = job.etag();
    let wait = job.eta.map_or(0.0, |eta| eta.p50 / 2.0);
    let look_again = wait.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1).round().to_string();
    let mut response = if matches(&headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(job).into_response()
    };
    let mut set = |name, value: &str| {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    };
    set(ETAG, &etag);
    set(CACHE_CONTROL, "private, no-cache");
    if live {
        set(RETRY_AFTER, &look_again);
    }
    Ok(response)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// Only events with a greater `seq`.
    after: Option<u64>,
}

/// The numbered log after `after`. Of a job that Redis no longer keeps, only the newest number is known.
#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    operation_id = "readEvents",
    tag = "jobs",
    security(("bearer" = [])),
    params(("id" = JobId, Path), After),
    responses((
        status = 200,
        description = "The events, oldest first",
        body = EventPage,
        links(("after" = (
            operation_id = "readEvents",
            parameters(("path.id" = "$request.path.id"), ("query.after" = "$response.body#/seq"))
        )))
    )),
    extensions(("x-problems" = json!(["unknown_job", "rate_limited"]))),
)]
pub(crate) async fn events(
    State(clients): State<Clients>,
    caller: Caller,
    JobPath(id): JobPath,
    Query(After { after }): Query<After>,
) -> Result<Json<EventPage>, Problem> {
    let known = owned(&clients, &caller, id).await?;
    let after = after.unwrap_or(0);
    let page = clients
        .queue
        .events(id, after)
        .await
        .map_err(Unreachable::from)?;
    let forgotten = || EventPage {
        events: Vec::new(),
        gap: after < known.job.seq,
        seq: known.job.seq,
    };
    Ok(Json(page.unwrap_or_else(forgotten)))
}
