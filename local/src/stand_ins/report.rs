//! Callbacks: reports and uploads, retried while the other side is away.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::exchange::Callback;

/// How long a report is tried again before it is given up: outages pass sooner, and a token's `expiresAt` is a day away.
const PATIENCE: Duration = Duration::from_secs(3600);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where finished audio goes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Upload {
    pub url: String,
    #[serde(default = "put")]
    pub method: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A report or an upload did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    #[error("no answer: {0}")]
    NoAnswer(#[from] reqwest::Error),
    #[error("answered {0}")]
    Refused(StatusCode),
    #[error("no success within {PATIENCE:?}")]
    TimedOut,
    #[error("{0:?} is no HTTP method")]
    Method(String),
}

/// Sends reports and uploads.
#[derive(Clone)]
pub struct Reporter {
    http: Client,
}

impl Reporter {
    pub fn new() -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http })
    }

    /// Tells progress: once, for the next one comes soon.
    pub async fn progress(
        &self,
        to: &Callback,
        request_id: &str,
        body: &Value,
    ) -> Result<(), Undelivered> {
        let request = self.report(to, request_id, body);
        send(request.timeout(Duration::from_secs(2))).await
    }

    /// Tells an ending, again and again for an hour.
    pub async fn ending(
        &self,
        to: &Callback,
        request_id: &str,
        body: &Value,
    ) -> Result<(), Undelivered> {
        patiently(|| send(self.report(to, request_id, body))).await
    }

    /// Delivers the audio with the offered headers and no others, again and again for an hour.
    pub async fn upload(&self, to: &Upload, audio: &Bytes) -> Result<(), Undelivered> {
        let method = Method::from_bytes(to.method.as_bytes())
            .map_err(|_| Undelivered::Method(to.method.clone()))?;
        patiently(|| {
            let request = self.http.request(method.clone(), &to.url);
            let request = (to.headers.iter()).fold(request, |request, (name, value)| {
                request.header(name, value)
            });
            send(request.body(audio.clone()))
        })
        .await
    }

    fn report(&self, to: &Callback, request_id: &str, body: &Value) -> RequestBuilder {
        let request = self
            .http
            .post(&to.url)
            .bearer_auth(&to.token)
            .header("x-request-id", request_id)
            .json(body);
        let traceparent = to.traceparent.iter();
        traceparent.fold(request, |request, value| {
            request.header("traceparent", value)
        })
    }
}

fn put() -> String {
    "PUT".to_owned()
}

async fn send(request: RequestBuilder) -> Result<(), Undelivered> {
    let status = request.send().await?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(Undelivered::Refused(status))
    }
}

/// Retries what may pass by itself: no answer, 429 and 5xx.
async fn patiently<F, A>(attempt: F) -> Result<(), Undelivered>
where
    F: FnMut() -> A,
    A: Future<Output = Result<(), Undelivered>>,
{
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times();
    let attempts = attempt.retry(pauses).when(|error| match error {
        Undelivered::NoAnswer(error) => !error.is_builder(),
        Undelivered::Refused(status) => {
            status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
        }
        Undelivered::TimedOut | Undelivered::Method(_) => false,
    });
    tokio::time::timeout(PATIENCE, attempts)
        .await
        .unwrap_or(Err(Undelivered::TimedOut))
}
