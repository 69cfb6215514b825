//! Whether everything that is needed answers, and how fast.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::clients::Clients;
use shared::models::Outgoing;
use shared::queue::millis;
use tokio::sync::Mutex;
use uuid::Uuid;

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(5);
/// A dependency that takes longer is down.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Ready {
    #[schema(pattern = "^(ready|unavailable)$")]
    pub(crate) status: &'static str,
    /// For admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dependencies: Option<BTreeMap<&'static str, Dependency>>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dependency {
    up: bool,
    /// Without it no job can be accepted.
    needed: bool,
    latency_ms: u64,
}

/// The last look; one runs at a time.
#[derive(Clone, Default)]
pub(crate) struct Checked(Arc<Mutex<Option<(Instant, Ready)>>>);

impl Ready {
    pub(crate) fn is_ready(&self) -> bool {
        self.status == "ready"
    }

    fn of(dependencies: BTreeMap<&'static str, Dependency>) -> Self {
        let down = dependencies.values().any(|d| d.needed && !d.up);
        Self {
            status: if down { "unavailable" } else { "ready" },
            dependencies: Some(dependencies),
        }
    }
}

impl Checked {
    pub(crate) async fn look(&self, clients: &Clients) -> Ready {
        let mut last = self.0.lock().await;
        if let Some((_, ready)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return ready.clone();
        }
        let ready = Ready::of(check(clients).await);
        *last = Some((Instant::now(), ready.clone()));
        ready
    }
}

async fn check(clients: &Clients) -> BTreeMap<&'static str, Dependency> {
    let id = Uuid::now_v7().to_string();
    let out = &Outgoing {
        request_id: id,
        traceparent: None,
        idempotency_key: None,
    };
    let jen1 = async {
        let jen1 = clients.jen1.as_ref()?;
        Some(timed("jen1", false, jen1.health(out)).await)
    };
    let ollama = async {
        let ollama = clients.ollama.as_ref()?;
        Some(timed("ollama", false, ollama.health(out)).await)
    };
    let muscgen = async {
        let generator = clients.generator.as_ref()?;
        Some(timed("muscgen", false, generator.health(out)).await)
    };
    let redis = timed("redis", true, clients.queue.ping());
    let store = timed("store", true, clients.store.ready());
    let (redis, store, jen1, ollama, muscgen) = tokio::join!(redis, store, jen1, ollama, muscgen);
    [Some(redis), Some(store), jen1, ollama, muscgen]
        .into_iter()
        .flatten()
        .collect()
}

async fn timed<E: Error>(
    name: &'static str,
    needed: bool,
    call: impl Future<Output = Result<(), E>>,
) -> (&'static str, Dependency) {
    let from = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, call).await;
    if let Ok(Err(error)) = &answer {
        tracing::warn!(dependency = name, error = %error, "a dependency is down");
    }
    let up = matches!(answer, Ok(Ok(())));
    (
        name,
        Dependency {
            up,
            needed,
            latency_ms: millis(from.elapsed()),
        },
    )
}
