//! Making the calls that are due, whosever they are.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tracing::{Instrument, Span};

use super::call::{self, Called};
use super::owe::{forget, ring};
use super::schedule;
use crate::clients::Clients;
use crate::doorbell::MAX_DELAY;
use crate::endpoint::{Hook, SigningSecret, Target};
use crate::envelope::Manifest;
use crate::http::note_trace;
use crate::lookup::Unreachable;
use crate::metrics::{self, Embedded};
use crate::queue::{Delivered, DeliveryState, LeasedMessage, Outcome, Over, Turn, millis};
use crate::webhook::{self, Verdict};

/// Messages that one sender has on their way at the same time.
const AT_ONCE: usize = 16;
/// A sender with room looks so often for more while it waits: its bell may be rung where all senders are busy.
const LOOK: Duration = Duration::from_secs(1);

/// Makes the calls that are due until there are none, and begins none after `end`. Returns how many messages it took.
pub async fn deliver(clients: &Clients, end: Instant) -> Result<usize, Unreachable> {
    let mut on_their_way = FuturesUnordered::new();
    let (mut taken, mut broken) = (0, None);
    loop {
        let mut goes_on = false;
        let room = AT_ONCE - on_their_way.len();
        let looks = room > 0 && broken.is_none() && Instant::now() < end;
        if looks {
            match clients.queue.dispatch(room).await {
                Ok(turn) => {
                    taken += turn.messages.len();
                    goes_on = !turn.late.is_empty();
                    let messages = turn.messages.clone().into_iter();
                    on_their_way.extend(messages.map(|message| make(clients, message)));
                    mind_late(clients, &turn).await;
                }
                // What is on its way is brought to its end first.
                Err(error) => broken = Some(error),
            }
        }
        if goes_on {
            continue;
        }
        if on_their_way.is_empty() {
            break;
        }
        tokio::select! {
            _ = on_their_way.next() => {}
            () = tokio::time::sleep(LOOK), if looks => {}
        }
    }
    if let Some(error) = broken {
        return Err(error.into());
    }
    if Instant::now() >= end {
        ring(clients, Duration::ZERO).await;
    }
    Ok(taken)
}

/// Says what was given up unsent, and removes what noted it.
async fn mind_late(clients: &Clients, turn: &Turn) {
    for late in &turn.late {
        tracing::warn!(job_id = %late.id, target = %late.target, "a message did not arrive in time and is given up");
        count_given_up(late.target);
    }
    for over in &turn.over {
        remove(clients, over).await;
    }
}

/// What noted a message that is over is removed; left behind, it is sent again after a loss of Redis.
async fn remove(clients: &Clients, over: &Over) {
    if let Err(error) = forget(clients, over).await {
        tracing::warn!(job_id = %over.id, error = %error, "a note of what is owed was not removed");
    }
}

pub(super) fn count_given_up(target: Target) {
    Embedded::default()
        .put(&metrics::MESSAGES_GIVEN_UP, 1.0, Some(target.kind()))
        .send();
}

async fn make(clients: &Clients, message: LeasedMessage) {
    let span = tracing::info_span!("message", job_id = %message.id, target = %message.target, trace_id = tracing::field::Empty);
    async {
        let errand = Errand::look_up(clients, message).await;
        let outcome = match &errand {
            Ok(Some(errand)) => errand.run(clients).await,
            Ok(None) => uncalled(DeliveryState::GivenUp, "the job is gone"),
            Err(error) => {
                tracing::warn!(error = %error, "a message is given back: our own store failed");
                Outcome::Returned(schedule::own_fault())
            }
        };
        let failing = note(clients, message, &outcome).await;
        if let Ok(Some(errand)) = &errand {
            errand.mind_endpoint(clients, &outcome, failing).await;
        }
    }
    .instrument(span)
    .await;
}

/// A message with what it takes to send it.
struct Errand {
    message: LeasedMessage,
    manifest: Manifest,
    hooks: webhook::Hooks,
    /// What signs it.
    secrets: Vec<SigningSecret>,
}

impl Errand {
    /// None where the job was deleted: nobody can say any more what the message was.
    async fn look_up(
        clients: &Clients,
        message: LeasedMessage,
    ) -> Result<Option<Self>, Unreachable> {
        let manifest = clients.store.manifest(message.id, message.generation);
        let Some(manifest) = manifest.await? else {
            return Ok(None);
        };
        let manifest: Manifest = manifest;
        note_trace(&Span::current(), &manifest.request.traceparent);
        let (hooks, secrets) = match message.target {
            Target::Webhook(hook) => webhook::hooks_and_secrets(clients, hook, &manifest).await?,
            Target::Api | Target::Model => (webhook::Hooks::default(), Vec::new()),
        };
        Ok(Some(Self {
            message,
            manifest,
            hooks,
            secrets,
        }))
    }

    async fn run(&self, clients: &Clients) -> Outcome {
        let (manifest, target) = (&self.manifest, self.message.target);
        let from = Instant::now();
        let (called, to) = match target {
            Target::Webhook(hook) => {
                let to = match webhook::address(hook, manifest, &self.hooks, self.secrets.clone()) {
                    Ok(to) => to,
                    Err(nowhere) => {
                        let (state, reason) = call::going_nowhere(nowhere);
                        return uncalled(state, reason);
                    }
                };
                let event = self.message.event;
                let called = call::webhook(clients, manifest, event, hook, &to).await;
                (called, Some(to))
            }
            Target::Api => (call::api(clients, manifest).await, None),
            Target::Model => (call::cancel(clients, manifest).await, None),
        };
        let (host, status, tries) = (called.host(), called.status, self.message.tries + 1);
        let (state, again, reason) = decided(called, target, tries);
        tracing::info!(
            request_id = manifest.job.request_id, event = self.message.event.as_str(), tries,
            host = to.as_ref().map(|to| to.url.host()), status, state = ?state, reason,
            duration_ms = millis(from.elapsed()), "a message was sent"
        );
        Outcome::Tried {
            state,
            again,
            url: to.as_ref().map(|to| to.url.shown()),
            failing: to.and_then(|to| to.failing),
            took: from.elapsed(),
            status,
            reason,
            host: Some(host),
        }
    }

    /// An endpoint that is gone, or that failed for too long, is told of nothing more.
    async fn mind_endpoint(&self, clients: &Clients, outcome: &Outcome, failing: Option<Duration>) {
        let Target::Webhook(Hook::Tenant(id)) = self.message.target else {
            return;
        };
        let reason = if outcome.is_gone() {
            "it answered 410 Gone"
        } else if failing.is_some_and(schedule::is_worn_out) {
            "it has failed for five days"
        } else {
            return;
        };
        let tenant = &self.manifest.job.tenant;
        if let Err(problem) = webhook::disable(clients, tenant, id, reason).await {
            // The next message is refused like this one.
            tracing::warn!(%tenant, endpoint = %id, error = problem.detail(), cause = problem.cause(), "an endpoint was not disabled");
        }
    }
}

/// What follows from this many tries.
fn decided(
    called: Called,
    target: Target,
    tries: u32,
) -> (DeliveryState, Duration, Option<String>) {
    let never = Duration::ZERO;
    match called.verdict {
        Verdict::Delivered => (DeliveryState::Delivered, never, None),
        Verdict::Gone => {
            let state = match target {
                Target::Webhook(Hook::Tenant(_)) => DeliveryState::Disabled,
                _ => DeliveryState::GivenUp,
            };
            (state, never, Some("410 Gone".to_owned()))
        }
        Verdict::Forbidden(reason) => (DeliveryState::GivenUp, never, Some(reason)),
        Verdict::Failed { reason, after } => match schedule::pause(target, tries, after) {
            Some(pause) => (DeliveryState::Pending, pause, Some(reason)),
            None => (DeliveryState::GivenUp, never, Some(reason)),
        },
    }
}

/// Nobody was called.
fn uncalled(state: DeliveryState, reason: &str) -> Outcome {
    Outcome::Tried {
        state,
        again: Duration::ZERO,
        url: None,
        failing: None,
        took: Duration::ZERO,
        status: None,
        reason: Some(reason.to_owned()),
        host: None,
    }
}

/// Writes down what became of a message, and wakes a sender for when something of its line is due. What cannot be written down is found
/// by its lease. Returns how long the endpoint has failed.
async fn note(clients: &Clients, message: LeasedMessage, outcome: &Outcome) -> Option<Duration> {
    let noted = clients.queue.delivered(&message, outcome).await;
    let noted = noted
        .inspect_err(|error| tracing::warn!(%error, "what became of a message was not noted"))
        .ok()?;
    let Delivered::Ok {
        over: names,
        failing_ms,
        rest_ms,
    } = noted
    else {
        return None;
    };
    if let Outcome::Tried {
        state: DeliveryState::GivenUp,
        reason,
        ..
    } = outcome
    {
        tracing::warn!(reason, "a message is given up");
        count_given_up(message.target);
    }
    let rest = rest_ms.map(Duration::from_millis);
    for delay in outcome.again().into_iter().chain(rest) {
        if delay <= MAX_DELAY {
            ring(clients, delay).await;
        }
    }
    let id = message.id;
    remove(clients, &Over { id, names }).await;
    failing_ms.map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
