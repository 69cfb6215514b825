//! What the owner of a job sees of its messages, and sending them again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::message;
use super::owe::ring;
use crate::clients::Clients;
use crate::endpoint::Ending;
use crate::envelope::{Due, DueTarget};
use crate::job::JobId;
use crate::lookup::Unreachable;
use crate::problem::Problem;
use crate::queue::{Attempt, Delivery, DeliveryState, Log};
use crate::view::Known;

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

/// What Redis knows of the messages of a job.
pub async fn page(clients: &Clients, id: JobId) -> Result<DeliveryPage, Unreachable> {
    let (log, known) = clients.queue.deliveries(id).await?;
    let items = log.map_or(Vec::new(), |log| {
        let (generation, event) = (log.generation, log.event);
        let shown = |delivery: Delivery| DeliveryView {
            id: message::id(id, generation, delivery.target),
            target: delivery.target.to_string(),
            url: delivery.url,
            event,
            state: delivery.state,
            next_at: delivery.next_at,
            attempts: delivery
                .attempts
                .into_iter()
                .map(AttemptView::from)
                .collect(),
        };
        log.deliveries.into_iter().map(shown).collect()
    });
    Ok(DeliveryPage { items, gap: !known })
}

/// Makes one message of an ended job due at once, or all that are over; `id` is its `webhook-id`.
pub async fn redeliver(clients: &Clients, known: &Known, id: Option<&str>) -> Result<(), Problem> {
    let job = known.job.id;
    let (log, _) = clients
        .queue
        .deliveries(job)
        .await
        .map_err(Unreachable::from)?;
    // Of an earlier end nobody can say any more what the message was.
    let log = log.filter(|log| log.generation == known.job.generation);
    let wanted = |delivery: &Delivery| match id {
        Some(id) => message::id(job, known.job.generation, delivery.target) == id,
        None => delivery.state != DeliveryState::Pending,
    };
    let chosen: Vec<_> = log
        .iter()
        .flat_map(|log| &log.deliveries)
        .filter(|delivery| wanted(delivery))
        .map(|delivery| delivery.target)
        .collect();
    let Some(log) = log.filter(|_| !chosen.is_empty()) else {
        let detail = "the job has no such delivery";
        let unknown = Problem::not_found("unknown_delivery", detail);
        return id.map_or(Ok(()), |_| Err(unknown));
    };
    let store = clients.store.put_due(job, &owed(&log)).await;
    store.map_err(Unreachable::from)?;
    let again = clients.queue.redeliver(job, &chosen).await;
    again.map_err(Unreachable::from)?;
    ring(clients, job, Duration::ZERO).await;
    Ok(())
}

/// Durable first: all of them, since one that arrived meanwhile is dropped by its receiver.
fn owed(log: &Log) -> Due {
    let targets = log.deliveries.iter().map(|delivery| DueTarget {
        target: delivery.target,
        url: delivery.url.clone(),
    });
    Due {
        generation: log.generation,
        event: log.event,
        targets: targets.collect(),
    }
}
