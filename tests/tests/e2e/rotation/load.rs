//! Callers who come with whatever they were given, as long as it may be used.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::app::PATIENCE;

/// Callers at a time.
const CALLERS: usize = 8;

/// Of the track: that it is given, not how long it takes.
const FEW_BYTES: &str = "bytes=0-9";

/// What somebody was given while one key signed.
#[derive(Clone)]
pub(super) struct Given {
    /// The name of that key.
    pub(super) kid: &'static str,
    /// Of an access token.
    pub(super) token: String,
    /// A signed link, with its query.
    pub(super) link: String,
    pub(super) cursor: String,
    /// A job that a model holds, and its callback token.
    pub(super) held: (String, String),
}

#[derive(Clone)]
pub(super) struct Load {
    url: String,
    http: Client,
    /// Whom every request is about.
    job: String,
    /// Read by each caller as long as it uses something of it.
    given: Arc<RwLock<Vec<Given>>>,
    stopped: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    refusals: Arc<Mutex<Vec<String>>>,
    /// Answers that the emulator lost.
    lost: Arc<AtomicUsize>,
}

impl Load {
    pub(super) fn new(url: &str, job: &str) -> Self {
        Self {
            url: url.to_owned(),
            http: Client::new(),
            job: job.to_owned(),
            given: Arc::default(),
            stopped: Arc::default(),
            done: Arc::default(),
            refusals: Arc::default(),
            lost: Arc::default(),
        }
    }

    pub(super) async fn give(&self, given: Given) {
        self.given.write().await.push(given);
    }

    /// Whatever other keys signed has come to the end of its life: nobody uses it when this returns.
    pub(super) async fn forget_all_but(&self, kids: &[&str]) {
        let mut given = self.given.write().await;
        given.retain(|given| kids.contains(&given.kid));
    }

    pub(super) fn start(&self) -> JoinSet<()> {
        let mut callers = JoinSet::new();
        for first in 0..CALLERS {
            let load = self.clone();
            callers.spawn(async move { load.call(first).await });
        }
        callers
    }

    /// Returns when so many more requests are answered.
    pub(super) async fn goes_on(&self, requests: usize) {
        let enough = self.done.load(SeqCst) + requests;
        let done = async || (self.done.load(SeqCst) >= enough).then_some(());
        local::until(PATIENCE, done).await.expect("callers call");
    }

    /// Requests answered, and every refusal among them. Few answers may be lost.
    pub(super) async fn stop(&self, callers: JoinSet<()>) -> (usize, Vec<String>) {
        self.stopped.store(true, SeqCst);
        callers.join_all().await;
        let lost = self.lost.load(SeqCst);
        assert!(lost * 100 <= self.done.load(SeqCst), "{lost} answers lost");
        (
            self.done.load(SeqCst),
            self.refusals.lock().unwrap().clone(),
        )
    }

    async fn call(&self, first: usize) {
        let mut turn = first;
        while !self.stopped.load(SeqCst) {
            let all = self.given.read().await;
            let given = &all[turn % all.len()];
            turn += 1;
            for (name, request) in self.requests(given) {
                self.send(&format!("{name} of {}", given.kid), request)
                    .await;
            }
            self.follow_a_new_link(given).await;
        }
    }

    fn requests(&self, given: &Given) -> [(&'static str, RequestBuilder); 6] {
        let to = |method, path: &str| self.http.request(method, format!("{}{path}", self.url));
        let (held, callback) = &given.held;
        let alive = json!({"jobId": held, "type": "status"});
        let running = json!({"id": "p", "status": "processing"});
        let list = format!("/jobs?limit=1&cursor={}", given.cursor);
        [
            (
                "token",
                to(Method::GET, &format!("/jobs/{}/events", self.job)).bearer_auth(&given.token),
            ),
            ("cursor", to(Method::GET, &list).bearer_auth(&given.token)),
            (
                "link",
                to(Method::GET, &given.link).header("range", FEW_BYTES),
            ),
            (
                "callback token",
                to(Method::POST, "/jobs/report")
                    .bearer_auth(callback)
                    .json(&alive),
            ),
            (
                "hook",
                to(Method::POST, &format!("/hooks/cog/{callback}")).json(&running),
            ),
            (
                "submission",
                to(Method::POST, "/jobs")
                    .bearer_auth(&given.token)
                    .header("idempotency-key", super::ORDER)
                    .json(&super::submission()),
            ),
        ]
    }

    /// A link that one replica signs is used at the next one.
    async fn follow_a_new_link(&self, given: &Given) {
        let job = self.http.get(format!("{}/jobs/{}", self.url, self.job));
        let answer = self.send("read", job.bearer_auth(&given.token)).await;
        let job: Value = serde_json::from_str(&answer).unwrap_or_default();
        if let Some(link) = job["track"]["url"].as_str() {
            let request = self.http.get(format!("{}{link}", self.url));
            self.send("new link", request.header("range", FEW_BYTES))
                .await;
        }
    }

    async fn send(&self, name: &str, request: RequestBuilder) -> String {
        let answer = match request.send().await {
            Ok(answer) => {
                let status = answer.status();
                (
                    status.is_success(),
                    format!("{status}"),
                    answer.text().await,
                )
            }
            Err(error) => (false, error.to_string(), Ok(String::new())),
        };
        self.done.fetch_add(1, SeqCst);
        let (went_well, status, text) = answer;
        let text = text.unwrap_or_default();
        // The emulator's own: it lost an answer of ours, which says nothing of the keys.
        if text.contains("https://httpstatuses.com/500") {
            self.lost.fetch_add(1, SeqCst);
        } else if !went_well {
            let refusal = format!("{name}: {status} {text}");
            self.refusals.lock().unwrap().push(refusal);
        }
        text
    }
}
