//! Ollama: a general language model that is asked for a plan in our own shape.

use std::time::Duration;

use reqwest::Client;
use url::Url;

use super::PlanRequest;
use crate::models::call::{Outgoing, PROBE, endpoint, send, within};
use crate::models::{ModelError, Service};
use crate::plan::Planned;

const SERVICE: Service = Service::Ollama;

/// An Ollama host.
#[derive(Clone)]
pub struct Ollama {
    client: Client,
    base: Url,
    model: Option<String>,
}

impl Ollama {
    /// Below `base`, which may have a path. Without a `model` the first installed one is taken.
    pub fn new(client: Client, base: Url, model: Option<String>) -> Self {
        Self {
            client,
            base,
            model,
        }
    }

    /// Asks for a plan; all of it within `budget`.
    pub async fn plan(
        &self,
        ask: &PlanRequest<'_>,
        out: &Outgoing,
        budget: Duration,
    ) -> Result<Planned, ModelError> {
        let _ = (ask, out, budget, &self.model);
        Err(SERVICE.unavailable("not built"))
    }

    /// Whether it answers `GET /api/tags` within 2 s.
    pub async fn health(&self, out: &Outgoing) -> Result<(), ModelError> {
        let url = endpoint(SERVICE, &self.base, &["api", "tags"])?;
        within(SERVICE, PROBE, send(SERVICE, self.client.get(url), out)).await?;
        Ok(())
    }
}
