//! A caller of the HTTP API, as a program of its own would be.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::error::{HarnessError, Result};

/// Longer than the longest wait that the API grants.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a request that only reads is made again when the connection fails.
const TRIES: u32 = 3;

/// One caller.
#[derive(Debug, Clone)]
pub struct Api {
    http: Client,
    base: String,
    token: String,
}

impl Api {
    /// `base` is the API's address without a slash at its end.
    pub fn new(base: &str, token: &str) -> Result<Self> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            base: base.to_owned(),
            token: token.to_owned(),
        })
    }

    /// Submits and does not wait: the accepted job.
    pub async fn compose(&self, narrative: &str, duration: u32) -> Result<Value> {
        let request = self
            .http
            .post(format!("{}/compose", self.base))
            .header("prefer", "respond-async")
            .json(&json!({"narrative": narrative, "duration": duration}));
        Ok(self.sent("POST /compose", request).await?.json().await?)
    }

    /// The job, as soon as it has an event after number `seq`, or after at most 20 s.
    pub async fn job(&self, id: &str, seq: u64) -> Result<Value> {
        let url = format!("{}/jobs/{id}?wait=20&after={seq}", self.base);
        let answer = self.read("GET /jobs/{id}", &url).await?;
        Ok(answer.json().await?)
    }

    /// The finished track's bytes.
    pub async fn audio(&self, id: &str) -> Result<Vec<u8>> {
        let url = format!("{}/jobs/{id}/audio", self.base);
        let answer = self.read("GET /jobs/{id}/audio", &url).await?;
        Ok(answer.bytes().await?.to_vec())
    }

    async fn read(&self, what: &str, url: &str) -> Result<Response> {
        let mut backoff =
            crate::wait::Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
        for _ in 1..TRIES {
            match self.sent(what, self.http.get(url)).await {
                Err(HarnessError::Http(_)) => tokio::time::sleep(backoff.take()).await,
                answer => return answer,
            }
        }
        self.sent(what, self.http.get(url)).await
    }

    async fn sent(&self, what: &str, request: RequestBuilder) -> Result<Response> {
        let answer = request.bearer_auth(&self.token).send().await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap_or_default();
        Err(HarnessError::Answer {
            what: what.to_owned(),
            status,
            body: body.chars().take(500).collect(),
        })
    }
}
