//! `GET /jobs/{id}` and its events.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::event::EventPage;
use shared::http::{JobPath, Query};
use shared::lookup::Unreachable;
use shared::problem::Problem;
use shared::view;
use shared::wait::{self, Until};

use super::owned;

/// When to look at a live job again without long-polling, in seconds: half of the time that it will probably wait, within these.
const LOOK_AGAIN: (f64, f64) = (2.0, 30.0);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Follow {
    /// Seconds to wait for a change, at most 25.
    wait: Option<u32>,
    /// The newest event that the caller knows.
    after: Option<u64>,
}

/// The job; with `wait`, as soon as it has an event after `after` (default: any new one). 304 if it has not changed.
pub(crate) async fn job(
    State(clients): State<Clients>,
    caller: Caller,
    JobPath(id): JobPath,
    Query(follow): Query<Follow>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut known = owned(&clients, &caller, id).await?;
    if let Some(seconds) = follow.wait.filter(|seconds| *seconds > 0) {
        let until = Until::After(follow.after.unwrap_or(known.job.seq));
        let length = Duration::from_secs(seconds.into());
        wait::wait(&clients, id, until, length)
            .await
            .map_err(Unreachable::from)?;
        known = owned(&clients, &caller, id).await?;
    }
    let live = !known.job.status.is_terminal();
    let job = view::shown(&clients, known);
    let etag = job.etag();
    let wait = job.eta.map_or(0.0, |eta| eta.p50 / 2.0);
    let look_again = wait.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1).round().to_string();
    let mut response = if is_known(&headers, &etag) {
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

/// Whether `If-None-Match` names this state of the job; weak and strong tags are alike (RFC 9110 §13.1.2).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    fn opaque(tag: &str) -> &str {
        tag.trim().trim_start_matches("W/")
    }
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    after: Option<u64>,
}

/// The numbered log after `after`. Of a job that Redis no longer keeps, only the newest number is known.
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
