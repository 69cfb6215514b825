//! Ollama: a general language model that is asked for a plan in our own shape. Reading order: the calls here, `ask` (what
//! the model is told), `answer` (what it says).

mod answer;
mod ask;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use url::Url;

use super::PlanRequest;
use crate::models::call::{Outgoing, PROBE, endpoint, read, send, within};
use crate::models::{Fault, ModelError, Service};
use crate::plan::Planned;
use crate::provenance::Origin;
use answer::{Answer, plan_in, read_answer};
use ask::Chat;

const SERVICE: Service = Service::Ollama;

/// How long the list of installed models is believed.
const FRESH: Duration = Duration::from_secs(300);
const MAX_LIST: usize = 1 << 20;

/// An Ollama host.
#[derive(Clone)]
pub struct Ollama {
    client: Client,
    base: Url,
    model: Option<String>,
    /// The first installed model, and when it was read; clones share it.
    first: Arc<Mutex<Option<(Instant, Installed)>>>,
}

/// A model as `GET /api/tags` lists it.
#[derive(Debug, Clone, Deserialize)]
struct Installed {
    name: String,
    digest: Option<String>,
}

#[derive(Deserialize)]
struct List {
    models: Vec<Installed>,
}

impl Ollama {
    /// Below `base`, which may have a path. Without a `model` the first installed one is taken.
    pub fn new(client: Client, base: Url, model: Option<String>) -> Self {
        Self {
            client,
            base,
            model,
            first: Arc::default(),
        }
    }

    /// Asks for a plan, and once more if the answer is none; all of it within `budget`.
    pub async fn plan(
        &self,
        ask: &PlanRequest<'_>,
        out: &Outgoing,
        budget: Duration,
    ) -> Result<Planned, ModelError> {
        within(SERVICE, budget, self.ask(ask, out)).await
    }

    /// Whether it answers `GET /api/tags` within 2 s.
    pub async fn health(&self, out: &Outgoing) -> Result<(), ModelError> {
        let url = endpoint(SERVICE, &self.base, &["api", "tags"])?;
        within(SERVICE, PROBE, send(SERVICE, self.client.get(url), out)).await?;
        Ok(())
    }

    async fn ask(&self, ask: &PlanRequest<'_>, out: &Outgoing) -> Result<Planned, ModelError> {
        let model = self.model(out).await?;
        let mut chat = Chat::new(&model.name, ask);
        let mut answer = self.chat(&chat, out).await?;
        let song = match plan_in(&answer.content) {
            Ok(song) => song,
            Err(why) => {
                tracing::warn!(
                    model = model.name,
                    why,
                    "the answer is no plan; asking again"
                );
                chat.mend(&answer.content, &why);
                answer = self.chat(&chat, out).await?;
                plan_in(&answer.content).map_err(|why| SERVICE.malformed(why))?
            }
        };
        let named = answer.model.unwrap_or(model.name);
        let by = Origin::new(SERVICE.as_str(), Some(&named), model.digest.as_deref());
        Ok(Planned { song, by })
    }

    async fn chat(&self, chat: &Chat<'_>, out: &Outgoing) -> Result<Answer, ModelError> {
        let url = endpoint(SERVICE, &self.base, &["api", "chat"])?;
        let sent = send(SERVICE, self.client.post(url).json(chat), out).await;
        let mut response = sent.inspect_err(|error| {
            if matches!(error.fault, Fault::Refused { status: 404, .. }) {
                tracing::error!(model = chat.model, "the model is not installed");
                *self.remembered() = None;
            }
        })?;
        read_answer(&mut response).await
    }

    /// The model of the configuration, of which no digest is known, or the first that is installed.
    async fn model(&self, out: &Outgoing) -> Result<Installed, ModelError> {
        if let Some(name) = self.model.clone() {
            return Ok(Installed { name, digest: None });
        }
        let known = self.remembered().clone();
        if let Some((_, model)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(model);
        }
        let url = endpoint(SERVICE, &self.base, &["api", "tags"])?;
        let mut response = send(SERVICE, self.client.get(url), out).await?;
        let body = read(SERVICE, &mut response, MAX_LIST).await?;
        let list: List =
            serde_json::from_slice(&body).map_err(|e| SERVICE.malformed(e.to_string()))?;
        let first = list.models.into_iter().next();
        let first = first.ok_or_else(|| SERVICE.unavailable("no model is installed"))?;
        *self.remembered() = Some((Instant::now(), first.clone()));
        Ok(first)
    }

    fn remembered(&self) -> MutexGuard<'_, Option<(Instant, Installed)>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
