//! Cog: any container that the Cog tool has built (MusicGen, Stable Audio, …). See <https://cog.run/http/>.

mod inputs;
mod prediction;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::answer::{self, RenderAnswer};
use super::{CANCEL, RenderRequest, SERVICE, unknown_is_cancelled};
use crate::job::sha256_hex;
use crate::lenient;
use crate::models::call::{Outgoing, PROBE, endpoint, exchange, read, send, within};
use crate::models::verdict::{self, BUSY_DEFAULT};
use crate::models::{Callback, Fault, MAX_AUDIO, ModelError};
use crate::reason::Reason;
use inputs::{Given, Inputs, Memory};

pub use inputs::NamedInputs;
pub use prediction::{Outcome, Prediction};

/// Base64 of the largest audio, and room for what the model printed.
const MAX_JSON: usize = MAX_AUDIO / 3 * 4 + (1 << 20);
const MAX_SCHEMA: usize = 1 << 20;
/// What the model printed at its start is in it.
const MAX_HEALTH: usize = 4 << 20;

/// Each costs a call of ours, so only the first and the last.
const EVENTS: [&str; 2] = ["start", "completed"];

/// How long a model that loads its weights is left alone.
const STARTING: Duration = Duration::from_secs(10);

/// A Cog server.
#[derive(Clone)]
pub struct Cog {
    client: Client,
    base: Url,
    named: NamedInputs,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Deserialize)]
struct Health {
    status: String,
}

impl Cog {
    /// Below `base`, which may have a path. The inputs that are not `named` are known by their
    /// usual names.
    pub fn new(client: Client, base: Url, named: NamedInputs) -> Self {
        Self {
            client,
            base,
            named,
            memory: Arc::default(),
        }
    }

    /// Asks for audio; all of it within `budget`. With a callback it answers at once and later calls the webhook.
    pub async fn generate(
        &self,
        ask: &RenderRequest<'_>,
        out: &Outgoing,
        budget: Duration,
    ) -> Result<RenderAnswer, ModelError> {
        within(SERVICE, budget, self.predict(ask, out)).await
    }

    async fn predict(
        &self,
        ask: &RenderRequest<'_>,
        out: &Outgoing,
    ) -> Result<RenderAnswer, ModelError> {
        let render = out.idempotency_key.as_deref();
        let id = prediction_id(render.ok_or_else(|| SERVICE.malformed("no render key"))?);
        let inputs = self.inputs(out).await?;
        let given = match &inputs {
            Some(inputs) => inputs.of(ask).map_err(|fault| SERVICE.failed(fault)),
            None => Inputs::plain(&self.named).of(ask).map_err(unread),
        };
        let Given { input, seed } = given?;
        let url = endpoint(SERVICE, &self.base, &["predictions", &id])?;
        let request = match &ask.callback {
            Some(callback) => {
                let webhook = webhook(callback, seed);
                self.client.put(url).header("prefer", "respond-async").json(
                    &json!({"input": input, "webhook": webhook, "webhook_events_filter": EVENTS}),
                )
            }
            None => self.client.put(url).json(&json!({"input": input})),
        };
        let response = exchange(SERVICE, request, out).await?;
        match self.judged(response, out).await {
            Ok(response) => {
                let answer = answered(response, id, ask.callback.is_some()).await?;
                Ok(answer.seeded(seed))
            }
            // It may have been asked in the wrong words, and then the next attempt does better.
            Err(error) if inputs.is_none() && is_about_inputs(&error.fault) => {
                Err(unread(error.fault))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes any status but success for a failure. A server that is not ready says why under another address.
    async fn judged(&self, response: Response, out: &Outgoing) -> Result<Response, ModelError> {
        let (status, headers) = (response.status(), response.headers());
        if status == StatusCode::SERVICE_UNAVAILABLE && !headers.contains_key(RETRY_AFTER) {
            return Err(match self.state(out).await?.as_str() {
                "STARTING" => SERVICE.busy(STARTING),
                "BUSY" => SERVICE.busy(BUSY_DEFAULT),
                other => SERVICE.unavailable(format!("{status}, and it is {other}")),
            });
        }
        if status.is_success() {
            return Ok(response);
        }
        Err(SERVICE.failed(verdict::of(SERVICE, response).await))
    }

    /// What the model is to be given, remembered for some minutes; `None` if that cannot be told now.
    async fn inputs(&self, out: &Outgoing) -> Result<Option<Inputs>, ModelError> {
        if let Some(inputs) = self.remembered(|memory| memory.fresh(SystemTime::now())) {
            return Ok(Some(inputs));
        }
        // While it starts it has no schema either; asked in this order, what it says of it is true.
        let state = self.state(out).await;
        let settled = match state.as_deref() {
            Ok("STARTING") => return Err(SERVICE.busy(STARTING)),
            Ok(state) => is_up(state),
            Err(_) => false,
        };
        let inputs = match self.schema(out).await {
            Ok(document) => Inputs::of_schema(&document, &self.named),
            Err(error) => {
                tracing::info!(error = %error, settled, "the model shows no schema of its inputs");
                None
            }
        };
        let inputs = match inputs {
            None if settled => Some(Inputs::plain(&self.named)),
            other => other,
        };
        Ok(self.remembered(|memory| match inputs {
            Some(inputs) => {
                memory.keep(inputs.clone(), SystemTime::now());
                Some(inputs)
            }
            None => memory.last(),
        }))
    }

    fn remembered<T>(&self, ask: impl FnOnce(&mut Memory) -> T) -> T {
        ask(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn schema(&self, out: &Outgoing) -> Result<Value, ModelError> {
        let document = self.get("openapi.json", MAX_SCHEMA, out).await?;
        lenient::read(&document).map_err(|error| SERVICE.malformed(error.to_string()))
    }

    /// `READY`, `BUSY`, `STARTING`, or what else it says of itself.
    async fn state(&self, out: &Outgoing) -> Result<String, ModelError> {
        let body = self.get("health-check", MAX_HEALTH, out).await?;
        let health: Health =
            lenient::read(&body).map_err(|error| SERVICE.malformed(error.to_string()))?;
        Ok(health.status.chars().take(20).collect())
    }

    async fn get(&self, path: &str, limit: usize, out: &Outgoing) -> Result<Bytes, ModelError> {
        let url = endpoint(SERVICE, &self.base, &[path])?;
        let call = async {
            let mut response = send(SERVICE, self.client.get(url), out).await?;
            read(SERVICE, &mut response, limit).await
        };
        within(SERVICE, PROBE, call).await
    }

    /// Ends the render of this key; one that it does not know is fine.
    pub async fn cancel(&self, render: &str, out: &Outgoing) -> Result<(), ModelError> {
        let parts = ["predictions", &prediction_id(render), "cancel"];
        let url = endpoint(SERVICE, &self.base, &parts)?;
        let told = within(SERVICE, CANCEL, send(SERVICE, self.client.post(url), out)).await;
        unknown_is_cancelled(told)
    }

    /// Whether `GET /health-check` says within 2 s that it is ready or busy.
    pub async fn health(&self, out: &Outgoing) -> Result<(), ModelError> {
        let state = self.state(out).await?;
        if is_up(&state) {
            return Ok(());
        }
        Err(SERVICE.unavailable_for(Reason::NotReady, format!("it is {state}")))
    }
}

/// Its name for a render: the same key is the same prediction.
fn prediction_id(render: &str) -> String {
    let mut id = sha256_hex(render.as_bytes());
    id.truncate(32);
    id
}

/// Where the server reports. It says of a prediction what came of it, and we what it was made from.
fn webhook(callback: &Callback, seed: Option<u32>) -> String {
    match seed {
        Some(seed) => format!("{}?seed={seed}", callback.webhook),
        None => callback.webhook.clone(),
    }
}

/// What cannot be said without its schema may be said another time.
fn unread(fault: Fault) -> ModelError {
    SERVICE.unavailable(format!("its inputs could not be read; {fault}"))
}

fn is_about_inputs(fault: &Fault) -> bool {
    matches!(fault, Fault::Refused { status: 422, .. })
}

fn is_up(state: &str) -> bool {
    matches!(state, "READY" | "BUSY")
}

/// 202 also answers for a prediction of this id that runs already; it may even say how that ended.
async fn answered(
    mut response: Response,
    id: String,
    reports: bool,
) -> Result<RenderAnswer, ModelError> {
    let accepted = response.status() == StatusCode::ACCEPTED;
    let said = match read(SERVICE, &mut response, MAX_JSON).await {
        Ok(body) => delivered(&body),
        Err(error) => Err(error),
    };
    match said {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) if reports => Ok(RenderAnswer::Accepted { id: Some(id) }),
        // Whoever asked for it without a webhook is gone, and it will tell nobody.
        Ok(None) => Err(SERVICE.busy(BUSY_DEFAULT)),
        Err(error) if accepted && reports && !matches!(error.fault, Fault::Failed(_)) => {
            tracing::warn!(error = %error, "the model took the work and said something odd");
            Ok(RenderAnswer::Accepted { id: Some(id) })
        }
        Err(error) => Err(error),
    }
}

/// `None` while it runs.
fn delivered(body: &[u8]) -> Result<Option<RenderAnswer>, ModelError> {
    let body = lenient::mended(body);
    let prediction: Prediction =
        serde_json::from_slice(&body).map_err(|error| SERVICE.malformed(error.to_string()))?;
    let notes = prediction.notes(None);
    match prediction.outcome() {
        Outcome::Running => Ok(None),
        Outcome::Audio(bytes) => answer::audio(bytes, notes).map(Some),
        Outcome::Url(url) => Ok(Some(RenderAnswer::Url { url, notes })),
        Outcome::TooLarge => Err(SERVICE.failed(Fault::TooLarge { limit: MAX_AUDIO })),
        Outcome::Nothing => Err(SERVICE.malformed("it succeeded without a file")),
        Outcome::Failed(why) => Err(SERVICE.failed(Fault::Failed(why))),
        Outcome::Cancelled => Err(SERVICE.failed(Fault::Failed("it was cancelled".to_owned()))),
    }
}

#[cfg(test)]
mod tests;
