//! What the owner of a job sees of its messages, and sending them again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::owe::{from_now, ring};
use crate::clients::Clients;
use crate::endpoint::{Ending, Target};
use crate::envelope::{Due, DueName, DueTarget};
use crate::job::JobId;
use crate::lookup::Unreachable;
use crate::problem::Problem;
use crate::queue::{Attempt, Delivery, DeliveryState, Redelivered};
use crate::view::Known;
use crate::webhook;

/// The messages about the last end of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeliveryPage {
    pub items: Vec<DeliveryView>,
    /// Redis has forgotten the job, and with it what came of its messages.
    pub gap: bool,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// Its `webhook-id`, the same at every try.
    pub id: String,
    /// `job`: the webhook of the submission; else the id of the tenant's endpoint.
    pub target: String,
    /// Where it went last, without the query.
    pub url: String,
    pub event: Ending,
    pub state: DeliveryState,
    /// When it is tried next, or again if nobody comes back from the try that is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<DateTime<Utc>>,
    /// The oldest first, at most 20.
    pub attempts: Vec<AttemptView>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeliveryAttempt)]
pub struct AttemptView {
    pub at: DateTime<Utc>,
    /// Of the answer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was no success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub duration_ms: u64,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at,
            status: attempt.status,
            reason: attempt.reason,
            duration_ms: attempt.ms,
        }
    }
}

/// What Redis knows of the messages to webhooks of a job.
pub async fn page(clients: &Clients, id: JobId) -> Result<DeliveryPage, Unreachable> {
    let (log, known) = clients.queue.deliveries(id).await?;
    let items = log.map_or(Vec::new(), |log| {
        let (generation, event) = (log.generation, log.event);
        let shown = |delivery: Delivery| {
            let Target::Webhook(hook) = delivery.target else {
                return None;
            };
            Some(DeliveryView {
                id: webhook::message_id(id, generation, hook),
                target: hook.to_string(),
                url: delivery.url,
                event,
                state: delivery.state,
                next_at: delivery.next_at,
                attempts: delivery
                    .attempts
                    .into_iter()
                    .map(AttemptView::from)
                    .collect(),
            })
        };
        log.deliveries.into_iter().filter_map(shown).collect()
    });
    Ok(DeliveryPage { items, gap: !known })
}

/// Makes one message of an ended job due at once, or all that are over; `id` is its `webhook-id`. Too often: 429.
pub async fn redeliver(clients: &Clients, known: &Known, id: Option<&str>) -> Result<(), Problem> {
    let (job, generation) = (known.job.id, known.job.generation);
    let (log, _) = clients
        .queue
        .deliveries(job)
        .await
        .map_err(Unreachable::from)?;
    // Of an earlier end nobody can say any more what the message was.
    let log = log.filter(|log| log.generation == generation);
    let wanted = |delivery: &Delivery| match (delivery.target, id) {
        (Target::Webhook(hook), Some(id)) => webhook::message_id(job, generation, hook) == id,
        (Target::Webhook(_), None) => delivery.state != DeliveryState::Pending,
        (Target::Api | Target::Model, _) => false,
    };
    let due = log.map(|log| Due {
        generation,
        event: log.event,
        targets: log
            .deliveries
            .into_iter()
            .filter(wanted)
            .map(owed)
            .collect(),
    });
    let Some(due) = due.filter(|due| !due.targets.is_empty()) else {
        return id.map_or(Ok(()), |_| Err(unknown()));
    };
    // Durable first, under a name of its own: a sender that comes to the end of what was owed before removes what noted that.
    let name = DueName::again(generation);
    let put = clients.store.put_due(job, &name, &due).await;
    put.map_err(Unreachable::from)?;
    let answer = clients.queue.redeliver(job, &due, &name).await;
    let refused = match answer.map_err(Unreachable::from)? {
        Redelivered::Ok => {
            ring(clients, Duration::ZERO).await;
            return Ok(());
        }
        Redelivered::Limited { retry_ms } => too_often(retry_ms),
        Redelivered::Unknown => unknown(),
    };
    let removed = clients.store.remove_due(job, &name).await;
    removed.map_err(Unreachable::from)?;
    Err(refused)
}

fn owed(delivery: Delivery) -> DueTarget {
    DueTarget {
        target: delivery.target,
        url: delivery.url,
        line: delivery.line,
        until: from_now(),
    }
}

fn unknown() -> Problem {
    Problem::not_found("unknown_delivery", "the job has no such delivery")
}

fn too_often(retry_ms: u64) -> Problem {
    let detail = "the message was sent again lately, or too many of the tenant or to the host were";
    Problem::too_many("rate_limited", detail, Duration::from_millis(retry_ms))
}
