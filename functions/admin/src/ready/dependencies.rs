//! What the functions need, or would miss.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::clients::Clients;
use shared::doorbell::{Doorbell, RingError};
use shared::models::Outgoing;
use shared::queue::{Eviction, QueueError, millis};
use shared::reason::Reason;
use uuid::Uuid;

use super::Line;

/// A dependency that takes longer is down.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of a Redis whose `maxmemory-policy` is another than `noeviction`.
const EVICTS: &str = "evicts keys";

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dependency {
    up: bool,
    /// Without it no job can be accepted.
    needed: bool,
    latency_ms: u64,
    /// Why it is down, in a few fixed words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[a-z]+( [a-z0-9]+)*$")]
    reason: Option<Reason>,
    /// What is wrong with it though it is up, in a few fixed words: `evicts keys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z]+( [a-z0-9]+)*$")]
    warning: Option<&'static str>,
    /// When whoever answers last saw it up, if it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_up_at: Option<DateTime<Utc>>,
}

impl Dependency {
    /// Down and needed.
    pub(super) fn is_missed(&self) -> bool {
        self.needed && !self.up
    }
}

impl Line for Dependency {
    fn is_up(&self) -> bool {
        self.up
    }

    fn was_up(&mut self, at: Option<DateTime<Utc>>) {
        self.last_up_at = at;
    }
}

type Named = (&'static str, Dependency);

/// On the heap, one by one: all of them together are more than a thread's stack takes in a build for debugging.
pub(super) async fn check(clients: &Clients) -> BTreeMap<&'static str, Dependency> {
    let id = Uuid::now_v7().to_string();
    let out = &Outgoing {
        request_id: id,
        traceparent: None,
        idempotency_key: None,
    };
    let jen1 = async {
        let jen1 = clients.jen1.as_ref()?;
        Some(timed("jen1", false, Box::pin(jen1.health(out))).await)
    };
    let ollama = async {
        let ollama = clients.ollama.as_ref()?;
        Some(timed("ollama", false, Box::pin(ollama.health(out))).await)
    };
    let muscgen = async {
        let generator = clients.generator.as_ref()?;
        Some(timed("muscgen", false, Box::pin(generator.health(out))).await)
    };
    let config = &clients.config;
    let queue = bells("queue", config.queue_url.is_some(), &clients.doorbell);
    let notices = config.notify_queue_url.is_some();
    let notices = bells("notices", notices, &clients.notices);
    let messages = config.deliver_queue_url.is_some();
    let messages = bells("messages", messages, &clients.messages);
    let redis = async { Some(redis(clients).await) };
    let store = async { Some(timed("store", true, Box::pin(clients.store.ready())).await) };
    let looks = tokio::join!(
        redis, store, queue, notices, messages, jen1, ollama, muscgen
    );
    let (redis, store, queue, notices, messages, jen1, ollama, muscgen) = looks;
    [
        redis, store, queue, notices, messages, jen1, ollama, muscgen,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Asked to do what new work needs: a Redis that is full or takes no writes is missed though it answers.
async fn redis(clients: &Clients) -> Named {
    let mut evicts = false;
    let probe = async {
        evicts = Box::pin(clients.queue.probe()).await? == Eviction::WhenFull;
        Ok::<_, QueueError>(())
    };
    let (name, redis) = timed("redis", true, probe).await;
    let warning = evicts.then_some(EVICTS);
    (name, Dependency { warning, ..redis })
}

/// A queue that is down wakes nobody, and the sweep rings again when it is back: jobs are accepted all the same. A stream of Redis
/// is no dependency of its own.
async fn bells(name: &'static str, is_queue: bool, doorbell: &Doorbell) -> Option<Named> {
    if !is_queue {
        return None;
    }
    let look = async {
        Box::pin(doorbell.depth()).await?;
        Ok::<_, RingError>(())
    };
    Some(timed(name, false, look).await)
}

async fn timed<E: Error>(
    name: &'static str,
    needed: bool,
    call: impl Future<Output = Result<(), E>>,
) -> Named
where
    Reason: for<'e> From<&'e E>,
{
    let from = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, call).await;
    let reason = match &answer {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::warn!(dependency = name, error = %error, "a dependency is down");
            Some(Reason::from(error))
        }
        Err(_) => Some(Reason::Timeout),
    };
    let dependency = Dependency {
        up: reason.is_none(),
        needed,
        latency_ms: millis(from.elapsed()),
        reason,
        warning: None,
        last_up_at: None,
    };
    (name, dependency)
}
