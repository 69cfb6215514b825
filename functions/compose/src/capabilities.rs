//! `GET /compose`: models, limits, defaults, and whether the services answered lately.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::clients::Clients;
use shared::models::{ModelError, Outgoing};
use shared::submission::{DURATION_DEFAULT, DURATION_MAX, NARRATIVE_MAX, OPTIONS_MAX, TAGS_MAX};
use tokio::sync::Mutex;
use uuid::Uuid;

/// How long an answer about the services is good for: asking is not probing.
const FRESH: Duration = Duration::from_secs(30);

type Services = BTreeMap<&'static str, Service>;

/// What the services answered last. One probe runs at a time; the others wait for it.
#[derive(Clone, Default)]
pub(crate) struct Probed(Arc<Mutex<Option<(Instant, Services)>>>);

#[derive(Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service {
    configured: bool,
    /// It answered its last probe.
    available: bool,
    checked_at: DateTime<Utc>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Model {
    max_seconds: u32,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Defaults {
    model: String,
    /// Seconds.
    duration: u32,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Capabilities {
    models: BTreeMap<String, Model>,
    limits: BTreeMap<&'static str, usize>,
    defaults: Defaults,
    #[schema(value_type = BTreeMap<String, Service>)]
    services: Services,
}

impl Capabilities {
    pub(crate) async fn of(clients: &Clients, probed: &Probed) -> Self {
        let models = &clients.config.models;
        let offered = models.iter().map(|(name, model)| {
            let max_seconds = model.max_seconds;
            (name.to_owned(), Model { max_seconds })
        });
        Self {
            models: offered.collect(),
            limits: BTreeMap::from([
                ("narrativeCharacters", NARRATIVE_MAX),
                ("durationSeconds", DURATION_MAX as usize),
                ("optionsBytes", OPTIONS_MAX),
                ("tags", TAGS_MAX),
            ]),
            defaults: Defaults {
                model: models.default_name().to_owned(),
                duration: DURATION_DEFAULT,
            },
            services: probed.services(clients).await,
        }
    }
}

impl Probed {
    async fn services(&self, clients: &Clients) -> Services {
        let mut last = self.0.lock().await;
        if let Some((at, services)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            tracing::debug!(
                age_ms = shared::queue::millis(at.elapsed()),
                "the last probe is good enough"
            );
            return services.clone();
        }
        let services = probe(clients).await;
        *last = Some((Instant::now(), services.clone()));
        services
    }
}

async fn probe(clients: &Clients) -> Services {
    let id = Uuid::now_v7().to_string();
    let out = Outgoing {
        request_id: id,
        traceparent: None,
        idempotency_key: None,
    };
    let jen1 = async { Some(clients.jen1.as_ref()?.health(&out).await) };
    let muscgen = async { Some(clients.generator.as_ref()?.health(&out).await) };
    let ollama = async { Some(clients.ollama.as_ref()?.health(&out).await) };
    let (jen1, muscgen, ollama) = tokio::join!(jen1, muscgen, ollama);
    let service = |answer: Option<Result<(), ModelError>>| Service {
        configured: answer.is_some(),
        available: matches!(answer, Some(Ok(()))),
        checked_at: Utc::now(),
    };
    BTreeMap::from([
        ("jen1", service(jen1)),
        ("muscgen", service(muscgen)),
        ("ollama", service(ollama)),
    ])
}
