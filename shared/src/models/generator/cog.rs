//! Cog: any container that the Cog tool has built (MusicGen, Stable Audio, …).

use std::time::Duration;

use reqwest::Client;
use url::Url;

use super::{RenderAnswer, RenderRequest, SERVICE};
use crate::models::ModelError;
use crate::models::call::Outgoing;

/// A Cog server.
#[derive(Clone)]
pub struct Cog {
    client: Client,
    base: Url,
}

impl Cog {
    /// Below `base`, which may have a path.
    pub fn new(client: Client, base: Url) -> Self {
        Self { client, base }
    }

    /// Asks for audio; all of it within `budget`.
    pub async fn generate(
        &self,
        ask: &RenderRequest<'_>,
        out: &Outgoing,
        budget: Duration,
    ) -> Result<RenderAnswer, ModelError> {
        let _ = (ask, out, budget, &self.client, &self.base);
        Err(SERVICE.unavailable("not built"))
    }

    /// Ends the render of this key.
    pub async fn cancel(&self, render: &str, out: &Outgoing) -> Result<(), ModelError> {
        let _ = (render, out);
        Err(SERVICE.unavailable("not built"))
    }

    /// Whether `GET /health-check` says that it is ready or busy.
    pub async fn health(&self, out: &Outgoing) -> Result<(), ModelError> {
        let _ = out;
        Err(SERVICE.unavailable("not built"))
    }
}
