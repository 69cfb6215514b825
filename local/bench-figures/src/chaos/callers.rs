//! The users: each submits at its time, insists where it may, and sometimes cancels.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::board::Board;
use super::history::{Answer, Reply, Submission, now};
use super::schedule::Order;

/// An answer later than this is no answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a caller with an `Idempotency-Key` insists.
const INSISTS: Duration = Duration::from_secs(60);
/// How often a cancel is tried.
const CANCEL_TRIES: u32 = 8;

/// The API as all users see it.
#[derive(Debug, Clone)]
pub(super) struct Door {
    http: Client,
    api: String,
    /// By tenant.
    tokens: Arc<[String]>,
}

impl Door {
    pub(super) fn new(api: &str, tokens: Vec<String>) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        let (api, tokens) = (api.to_owned(), tokens.into());
        Ok(Self { http, api, tokens })
    }

    /// A request of a tenant's user.
    pub(super) fn request(&self, method: Method, path: &str, tenant: usize) -> RequestBuilder {
        let url = format!("{}{path}", self.api);
        self.http
            .request(method, url)
            .bearer_auth(&self.tokens[tenant])
    }
}

/// One user with one submission.
pub(super) struct Caller {
    pub(super) door: Door,
    pub(super) board: Arc<Board>,
    pub(super) number: usize,
    pub(super) order: Order,
    pub(super) key: Option<String>,
    pub(super) begin: Instant,
}

/// The name of a tenant's user.
pub(super) fn user(tenant: usize) -> String {
    format!("tenant-{tenant:02}")
}

/// The tag by which a stored request is known to be this submission.
pub(super) fn tag(number: usize) -> String {
    format!("chaos-{number}")
}

impl Caller {
    /// Submits at its time, and cancels if it is planned; what was answered goes into `record`.
    pub(super) async fn act(self, record: Arc<Mutex<Vec<Submission>>>) {
        sleep_until(self.begin + self.order.at).await;
        let mut submission = Submission {
            number: self.number,
            tenant: self.order.tenant,
            key: self.key.clone(),
            ..Submission::default()
        };
        let job = self.submit(&mut submission).await;
        if let (Some(after), Some(job)) = (self.order.cancel, job) {
            sleep(after).await;
            self.cancel(&job, &mut submission).await;
        }
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        record.push(submission);
    }

    /// The accepted job.
    async fn submit(&self, submission: &mut Submission) -> Option<String> {
        let body = json!({
            "narrative": "a calm piano evening in the rain",
            "duration": self.order.seconds,
            "tags": [tag(self.number)],
        });
        let end = Instant::now() + INSISTS;
        let mut pauses = Pauses::default();
        loop {
            let mut request = self.door.request(Method::POST, "/jobs", self.order.tenant);
            if let Some(key) = &self.key {
                request = request.header("idempotency-key", key);
            }
            let answer = answer(request.json(&body)).await;
            let reply = answer.reply.clone();
            submission.answers.push(answer);
            if let Some(job) = reply.job() {
                self.board.add(job, self.order.tenant);
            }
            if reply.status() == Some(202) {
                return reply.job().map(str::to_owned);
            }
            let again = reply.invites_another();
            if self.key.is_none() || !again || Instant::now() > end {
                return None;
            }
            sleep(pauses.next()).await;
        }
    }

    async fn cancel(&self, job: &str, submission: &mut Submission) {
        let path = format!("/jobs/{job}/cancel");
        let mut pauses = Pauses::default();
        for _ in 0..CANCEL_TRIES {
            let answer = answer(self.door.request(Method::POST, &path, self.order.tenant)).await;
            let again = answer.reply.invites_another();
            submission.cancels.push(answer);
            if !again {
                return;
            }
            sleep(pauses.next()).await;
        }
    }
}

async fn answer(request: RequestBuilder) -> Answer {
    let asked = now();
    let reply = reply(request).await;
    let reply = reply.unwrap_or_else(|error| Reply::Silence(trouble(&error)));
    let at = now();
    Answer { asked, at, reply }
}

async fn reply(request: RequestBuilder) -> reqwest::Result<Reply> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
    let body = response.bytes().await?;
    Ok(Reply::read(status, content_type.unwrap_or_default(), &body))
}

fn trouble(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "a broken answer"
    }
}

/// Pauses that grow to two seconds and differ between callers.
struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(Duration::from_millis(300))
    }
}

impl Pauses {
    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Duration::from_secs(2));
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}
