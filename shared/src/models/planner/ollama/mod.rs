//! Ollama: a general language model that is asked for a plan in our own shape. Reading order: the calls here, `ask` (what
//! the model is told), `answer` (what it says).

mod answer;
mod ask;
mod installed;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use url::Url;

use super::PlanRequest;
use crate::lenient;
use crate::models::call::{Outgoing, PROBE, endpoint, read, send, within};
use crate::models::{Fault, ModelError, Service};
use crate::plan::Planned;
use crate::provenance::Origin;
use answer::{Answer, read_answer};
use ask::Chat;
use installed::Installed;

const SERVICE: Service = Service::Ollama;

/// How long the list of installed models is believed.
const FRESH: Duration = Duration::from_secs(300);
const MAX_LIST: usize = 1 << 20;
/// Models that are asked for one plan before it is given up.
const MOST_MODELS: usize = 5;

/// An Ollama host.
#[derive(Clone)]
pub struct Ollama {
    client: Client,
    base: Url,
    model: Option<String>,
    /// The installed models that may chat, and when they were read; clones share them.
    installed: Arc<Mutex<Option<Read>>>,
}

/// The installed models, and when they were read.
type Read = (Instant, Vec<Installed>);

impl Ollama {
    /// Below `base`, which may have a path. Without a `model` the first installed one that can chat
    /// is taken.
    pub fn new(client: Client, base: Url, model: Option<String>) -> Self {
        Self {
            client,
            base,
            model,
            installed: Arc::default(),
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
        let mut asked = 1;
        loop {
            let model = self.model(out).await?;
            match self.ask_model(&model, ask, out).await {
                Err(error)
                    if cannot_chat(&error) && asked < MOST_MODELS && self.pass_over(&model) =>
                {
                    tracing::warn!(model = model.name, "the model cannot chat; asking the next");
                    asked += 1;
                }
                answered => return answered,
            }
        }
    }

    async fn ask_model(
        &self,
        model: &Installed,
        ask: &PlanRequest<'_>,
        out: &Outgoing,
    ) -> Result<Planned, ModelError> {
        let mut chat = Chat::new(&model.name, ask);
        let mut answer = self.chat(&mut chat, out).await?;
        let song = match answer.plan() {
            Ok(song) => song,
            Err(why) => {
                tracing::warn!(
                    model = model.name,
                    why,
                    "the answer is no plan; asking again"
                );
                chat.mend(&answer.content, &why);
                answer = self.chat(&mut chat, out).await?;
                answer.plan().map_err(|why| SERVICE.malformed(why))?
            }
        };
        let named = answer.model.as_deref().unwrap_or(&model.name);
        let by = Origin::new(SERVICE.as_str(), Some(named), model.digest.as_deref());
        Ok(Planned { song, by })
    }

    async fn chat(&self, chat: &mut Chat<'_>, out: &Outgoing) -> Result<Answer, ModelError> {
        let url = endpoint(SERVICE, &self.base, &["api", "chat"])?;
        loop {
            match send(SERVICE, self.client.post(url.clone()).json(chat), out).await {
                Ok(mut response) => return read_answer(&mut response).await,
                Err(error) if refuses_think(&error) && chat.without_think() => {
                    tracing::info!(model = chat.model, "asking without `think`");
                }
                Err(error) => {
                    if matches!(error.fault, Fault::Refused { status: 404, .. }) {
                        tracing::error!(model = chat.model, "the model is not installed");
                        *self.remembered() = None;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The model of the configuration, of which no digest is known, or the first installed one that
    /// may chat.
    async fn model(&self, out: &Outgoing) -> Result<Installed, ModelError> {
        if let Some(name) = self.model.clone() {
            return Ok(Installed { name, digest: None });
        }
        let known = self.remembered().clone();
        let fresh = known.filter(|(at, _)| at.elapsed() < FRESH);
        let models = match fresh {
            Some((_, models)) => models,
            None => {
                let url = endpoint(SERVICE, &self.base, &["api", "tags"])?;
                let mut response = send(SERVICE, self.client.get(url), out).await?;
                let body = read(SERVICE, &mut response, MAX_LIST).await?;
                let list = lenient::read(&body).map_err(|e| SERVICE.malformed(e.to_string()))?;
                let models = installed::that_may_chat(&list);
                if !models.is_empty() {
                    *self.remembered() = Some((Instant::now(), models.clone()));
                }
                models
            }
        };
        let first = models.into_iter().next();
        first.ok_or_else(|| SERVICE.unavailable("no model that can chat is installed"))
    }

    /// Takes a model off the list until that is read again; false if there is no other.
    fn pass_over(&self, model: &Installed) -> bool {
        let mut remembered = self.remembered();
        let Some((_, models)) = remembered.as_mut() else {
            return false;
        };
        models.retain(|other| other.name != model.name);
        let others = !models.is_empty();
        if !others {
            *remembered = None;
        }
        others
    }

    fn remembered(&self) -> MutexGuard<'_, Option<(Instant, Vec<Installed>)>> {
        self.installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the host refuses the model for this kind of call.
fn cannot_chat(error: &ModelError) -> bool {
    matches!(&error.fault, Fault::Refused { status: 400, message }
        if message.contains("does not support") && !message.contains("think"))
}

/// Whether the host may refuse the call for `think`, which it names, if it says anything.
fn refuses_think(error: &ModelError) -> bool {
    matches!(&error.fault, Fault::Refused { status: 400 | 422, message }
        if message.contains("think") || message.is_empty())
}
