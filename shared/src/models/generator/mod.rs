//! Song plan to audio.

mod answer;
mod cog;
mod muscgen;

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::call::Outgoing;
use super::error::{Fault, ModelError, Service};
use super::{Callback, Upload};
use crate::job::JobId;
use crate::plan::Plan;

pub use answer::RenderAnswer;
pub use cog::{Cog, NamedInputs, Outcome, Prediction};
pub use muscgen::Muscgen;

/// Whatever interface it has, its errors are those of the generator.
const SERVICE: Service = Service::Muscgen;

const CANCEL: Duration = Duration::from_secs(5);

/// The service that renders, by the interface that it has.
#[derive(Clone)]
pub enum Generator {
    Muscgen(Muscgen),
    Cog(Cog),
}

/// What audio is made from; the body of muscgen's `POST /generate`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderRequest<'a> {
    #[serde(rename = "jobId")]
    pub job: JobId,
    pub request_id: &'a str,
    /// One English line made from the plan.
    pub prompt: &'a str,
    pub plan: &'a Plan,
    /// Seconds.
    pub duration: u32,
    pub seed: u32,
    /// The name that the caller chose.
    pub model: &'a str,
    pub options: &'a Map<String, Value>,
    /// Offered if the service may answer later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

impl Generator {
    /// Asks for audio; all of it within `budget`. `out` must carry the render key.
    pub async fn generate(
        &self,
        ask: &RenderRequest<'_>,
        out: &Outgoing,
        budget: Duration,
    ) -> Result<RenderAnswer, ModelError> {
        match self {
            Self::Muscgen(muscgen) => muscgen.generate(ask, out, budget).await,
            Self::Cog(cog) => cog.generate(ask, out, budget).await,
        }
    }

    /// Tells the service that nobody wants the render of this key any more; one that it does not know is fine.
    pub async fn cancel(&self, render: &str, out: &Outgoing) -> Result<(), ModelError> {
        match self {
            Self::Muscgen(muscgen) => muscgen.cancel(render, out).await,
            Self::Cog(cog) => cog.cancel(render, out).await,
        }
    }

    /// Whether it says within 2 s that it works.
    pub async fn health(&self, out: &Outgoing) -> Result<(), ModelError> {
        match self {
            Self::Muscgen(muscgen) => muscgen.health(out).await,
            Self::Cog(cog) => cog.health(out).await,
        }
    }
}

/// A render that nobody knows needs no cancelling.
fn unknown_is_cancelled<T>(told: Result<T, ModelError>) -> Result<(), ModelError> {
    match told {
        Err(ModelError {
            fault: Fault::Refused { status, .. },
            ..
        }) if status == 404 || status == 410 => Ok(()),
        other => other.map(drop),
    }
}
