//! The users: each submits at its time, insists where it may, and sometimes cancels, or deletes and submits anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::board::Board;
use super::history::{Answer, Reply, Submission, now};
use super::schedule::{AtLimit, Key, Order};

/// An answer later than this is no answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a caller with an `Idempotency-Key` insists.
const INSISTS: Duration = Duration::from_secs(60);
/// Of a `Retry-After` no more is honoured.
const HONOURED: Duration = Duration::from_secs(5);
/// How long a user wants a job deleted: longer than a lost worker's lease.
const DELETES: Duration = Duration::from_secs(90);
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
    /// Of all; who uses a key again submits under a number behind theirs.
    pub(super) orders: usize,
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

/// What a song is about; each number has a narrative of its own.
pub(super) fn narrative(song: usize) -> String {
    const SCENES: [&str; 5] = [
        "a calm piano evening in the rain",
        "a bright waltz of guitars at the harbour",
        "slow strings under falling snow",
        "a lonely saxophone in an empty station",
        "drums and bass on the night bus",
    ];
    format!("{}, take {song:05}", SCENES[song % SCENES.len()])
}

impl Caller {
    /// Submits at its time; cancels, or deletes and uses the key again, if it is planned. What was answered goes into `record`.
    pub(super) async fn act(self, record: Arc<Mutex<Vec<Submission>>>) {
        sleep_until(self.begin + self.order.at).await;
        let note = |submission| {
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            record.push(submission);
        };
        let mut submission = self.submission(self.number, self.order.song);
        let job = self.submit(&mut submission, self.order.seed).await;
        if let (Some(after), Some(job)) = (self.order.cancel, &job) {
            sleep(after).await;
            self.cancel(job, &mut submission).await;
        }
        let (Some(after), Some(job)) = (self.order.delete, &job) else {
            return note(submission);
        };
        sleep(after).await;
        self.delete(job, &mut submission).await;
        note(submission);
        if self.key.is_some() {
            let number = self.number + self.orders;
            let mut again = self.submission(number, number);
            self.submit(&mut again, None).await;
            note(again);
        }
    }

    fn submission(&self, number: usize, song: usize) -> Submission {
        Submission {
            number,
            tenant: self.order.tenant,
            key: self.key.clone(),
            twins: self.order.key == Key::Twins,
            narrative: narrative(song),
            ..Submission::default()
        }
    }

    /// The accepted job.
    async fn submit(&self, submission: &mut Submission, seed: Option<u32>) -> Option<String> {
        let mut body = json!({
            "narrative": submission.narrative,
            "duration": self.order.seconds,
            "tags": [tag(submission.number)],
        });
        if let Some(seed) = seed {
            body["seed"] = seed.into();
        }
        let mut answers = if submission.twins {
            let (mut one, other) = tokio::join!(self.insist(&body), self.insist(&body));
            one.extend(other);
            one
        } else {
            self.insist(&body).await
        };
        answers.sort_by_key(|answer| answer.at);
        submission.answers = answers;
        submission.accepted().next().map(str::to_owned)
    }

    /// Asks until it is accepted or refused, as long as there is patience.
    async fn insist(&self, body: &Value) -> Vec<Answer> {
        let end = Instant::now() + INSISTS;
        let mut pauses = Pauses::default();
        let mut answers = Vec::new();
        loop {
            let mut request = self.door.request(Method::POST, "/jobs", self.order.tenant);
            if let Some(key) = &self.key {
                request = request.header("idempotency-key", key);
            }
            let answer = answer(request.json(body)).await;
            let (reply, retry_after) = (answer.reply.clone(), answer.retry_after);
            answers.push(answer);
            if let Some(job) = reply.job() {
                self.board.add(job, self.order.tenant);
            }
            let full = reply.status() == Some(429) && self.order.at_limit == AtLimit::Insists;
            if self.key.is_none() || !(full || reply.invites_another()) || Instant::now() > end {
                return answers;
            }
            let wanted = Duration::from_secs(retry_after.filter(|_| full).unwrap_or_default());
            sleep(wanted.min(HONOURED) + pauses.next()).await;
        }
    }

    /// Asks until it is gone; a job that has not ended yet is waited for.
    async fn delete(&self, job: &str, submission: &mut Submission) {
        let path = format!("/jobs/{job}");
        let end = Instant::now() + DELETES;
        let mut pauses = Pauses::default();
        loop {
            let answer = answer(self.door.request(Method::DELETE, &path, self.order.tenant)).await;
            let again = answer.reply.invites_another() || answer.reply.status() == Some(409);
            submission.deletes.push(answer);
            if !again || Instant::now() > end {
                return;
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
    let (reply, retry_after) =
        reply.unwrap_or_else(|error| (Reply::Silence(trouble(&error)), None));
    let at = now();
    Answer {
        asked,
        at,
        reply,
        retry_after,
    }
}

async fn reply(request: RequestBuilder) -> reqwest::Result<(Reply, Option<u64>)> {
    let response = request.send().await?;
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let status = response.status().as_u16();
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
    let body = response.bytes().await?;
    let reply = Reply::read(status, content_type.unwrap_or_default(), &body);
    Ok((reply, retry_after))
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
