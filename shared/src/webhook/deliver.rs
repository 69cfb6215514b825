//! Making the deliveries that are due.

use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tracing::Span;

use super::message;
use super::owe::{over, ring};
use super::register::{self, Hooks};
use super::schedule;
use super::send::{Message, Verdict};
use super::signing::Secrets;
use super::target::{Addressed, Nowhere, address};

use crate::clients::Clients;
use crate::doorbell::MAX_DELAY;
use crate::endpoint::{Ending, Target};
use crate::envelope::Manifest;
use crate::http::note_trace;
use crate::job::JobId;
use crate::lookup::Unreachable;
use crate::models::Outgoing;
use crate::queue::{Delivered, DeliveryState, Outcome, Taken, TakenAll};

/// Messages of one job that are on their way at the same time.
const AT_ONCE: usize = 4;
/// As often as that are taken in a row: all that a job can owe.
const ROUNDS: usize = 4;
/// Longer than a call takes.
const LEASE: Duration = Duration::from_secs(60);

/// Makes all deliveries of a job that are due; returns how many messages were tried.
pub async fn deliver(clients: &Clients, id: JobId) -> Result<usize, Unreachable> {
    let mut tried = 0;
    for _ in 0..ROUNDS {
        let Some(all) = clients.queue.dispatch(id, AT_ONCE, LEASE).await? else {
            break;
        };
        tried += all.taken.len();
        let pending = round(clients, id, &all).await?;
        if pending == Some(0) {
            over(clients, id, all.generation).await?;
            break;
        }
    }
    Ok(tried)
}

/// The same for some jobs with messages that nobody came for.
pub async fn due(clients: &Clients) -> Result<usize, Unreachable> {
    let (jobs, _) = clients.queue.due(0).await?;
    let mut tried = 0;
    for id in jobs {
        tried += deliver(clients, id).await?;
    }
    Ok(tried)
}

/// Tries the messages that were taken; returns how many of the job are not over, if anybody knows.
async fn round(clients: &Clients, id: JobId, all: &TakenAll) -> Result<Option<u32>, Unreachable> {
    let manifest = clients.store.manifest::<Manifest>(id).await?;
    let of_this_end = |manifest: &Manifest| manifest.job.generation == all.generation;
    let Some(manifest) = manifest.filter(of_this_end) else {
        // Deleted, or it was started again and ended another way: nobody can say any more what this message was.
        let mut pending = None;
        for taken in &all.taken {
            let outcome = given_up("the job is gone, or was started again");
            pending = note(clients, id, all.generation, *taken, &outcome).await?.0;
        }
        return Ok(pending);
    };
    note_trace(&Span::current(), &manifest.request.traceparent);
    let hooks = register::hooks(clients, &manifest.job.tenant).await?;
    let trip = Trip {
        secrets: Secrets::read(clients, &manifest, &hooks).await?,
        hooks,
        body: message::body(clients, &manifest, all.event),
        event: all.event,
        manifest,
        clients,
    };
    let trips = stream::iter(all.taken.clone()).map(|taken| trip.make(taken));
    let pending: Vec<_> = trips.buffer_unordered(AT_ONCE).try_collect().await?;
    // Each was true when it was said; the last word is the smallest number.
    Ok(pending.into_iter().flatten().min())
}

/// What the deliveries of one job have in common.
struct Trip<'a> {
    clients: &'a Clients,
    manifest: Manifest,
    hooks: Hooks,
    secrets: Secrets,
    event: Ending,
    body: String,
}

impl Trip<'_> {
    async fn make(&self, taken: Taken) -> Result<Option<u32>, Unreachable> {
        let job = &self.manifest.job;
        let addressed = address(taken.target, &self.manifest, &self.hooks, &self.secrets);
        let outcome = match &addressed {
            Ok(to) => self.call(to, taken).await,
            Err(nowhere) => going_nowhere(*nowhere),
        };
        tracing::info!(
            job_id = %job.id, request_id = job.request_id, event = self.event.as_str(), target = %taken.target, tries = taken.tries,
            host = addressed.as_ref().map(|to| to.url.host()).unwrap_or_default(), status = outcome.status, state = ?outcome.state,
            reason = outcome.reason, duration_ms = crate::queue::millis(outcome.took),
            "a webhook was called"
        );
        let noted = note(self.clients, job.id, job.generation, taken, &outcome).await?;
        self.mind_endpoint(taken.target, &outcome, noted.1).await;
        if outcome.state == DeliveryState::Pending && outcome.again <= MAX_DELAY {
            ring(self.clients, job.id, outcome.again).await;
        }
        Ok(noted.0)
    }

    async fn call(&self, to: &Addressed, taken: Taken) -> Outcome {
        let job = &self.manifest.job;
        let id = message::id(job.id, job.generation, taken.target);
        let timestamp = Utc::now().timestamp();
        let signatures = message::signatures(&to.secrets, &id, timestamp, &self.body);
        let out = Outgoing {
            request_id: job.request_id.clone(),
            traceparent: Some(self.manifest.request.traceparent.clone()),
            idempotency_key: None,
        };
        let message = Message {
            id: &id,
            timestamp,
            signatures: &signatures,
            body: self.body.clone(),
            out: &out,
        };
        let from = Instant::now();
        let (status, verdict) = self.clients.webhooks.send(to.url.url(), message).await;
        let (state, again, reason) = decided(verdict, taken);
        Outcome {
            state,
            again,
            url: Some(to.url.shown()),
            failing: to.failing.clone(),
            took: from.elapsed(),
            status,
            reason,
        }
    }

    /// An endpoint that is gone, or that failed for too long, is told of nothing more.
    async fn mind_endpoint(&self, target: Target, outcome: &Outcome, failing: Option<Duration>) {
        let Target::Tenant(id) = target else { return };
        let reason = if outcome.state == DeliveryState::Disabled && outcome.status.is_some() {
            "it answered 410 Gone"
        } else if failing.is_some_and(schedule::is_worn_out) {
            "it has failed for five days"
        } else {
            return;
        };
        let tenant = &self.manifest.job.tenant;
        if let Err(problem) = register::disable(self.clients, tenant, id, reason).await {
            // The next message is refused like this one.
            tracing::warn!(%tenant, endpoint = %id, error = problem.detail(), cause = problem.cause(), "an endpoint was not disabled");
        }
    }
}

fn decided(verdict: Verdict, taken: Taken) -> (DeliveryState, Duration, Option<String>) {
    let never = Duration::ZERO;
    match verdict {
        Verdict::Delivered => (DeliveryState::Delivered, never, None),
        Verdict::Gone => {
            let state = match taken.target {
                Target::Job => DeliveryState::GivenUp,
                Target::Tenant(_) => DeliveryState::Disabled,
            };
            (state, never, Some("410 Gone".to_owned()))
        }
        Verdict::Forbidden(reason) => (DeliveryState::GivenUp, never, Some(reason)),
        Verdict::Failed { reason, after } => match schedule::pause(taken.tries, after) {
            Some(pause) => (DeliveryState::Pending, pause, Some(reason)),
            None => (DeliveryState::GivenUp, never, Some(reason)),
        },
    }
}

fn going_nowhere(nowhere: Nowhere) -> Outcome {
    let state = match nowhere {
        Nowhere::Removed | Nowhere::Disabled => DeliveryState::Disabled,
        Nowhere::Unsigned => DeliveryState::GivenUp,
    };
    Outcome {
        state,
        ..given_up(nowhere.reason())
    }
}

/// Nobody was called.
fn given_up(reason: &str) -> Outcome {
    Outcome {
        state: DeliveryState::GivenUp,
        again: Duration::ZERO,
        url: None,
        failing: None,
        took: Duration::ZERO,
        status: None,
        reason: Some(reason.to_owned()),
    }
}

/// How many messages of the job are not over, and how long the endpoint has failed.
async fn note(
    clients: &Clients,
    id: JobId,
    generation: u32,
    taken: Taken,
    outcome: &Outcome,
) -> Result<(Option<u32>, Option<Duration>), Unreachable> {
    let noted = clients
        .queue
        .delivered(id, generation, taken, outcome)
        .await?;
    Ok(match noted {
        Delivered::Ok {
            pending,
            failing_ms,
        } => (Some(pending), failing_ms.map(Duration::from_millis)),
        Delivered::Stale => (None, None),
    })
}

#[cfg(test)]
mod tests;
