//! Callers who submit and wait for what they submitted, again and again, whatever answers they get meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::app::{ALICE, App, PATIENCE, ended, ten_seconds};

/// Each submits at another door.
const DOORS: [&str; 3] = ["/jobs", "/compose", "/jobs"];

/// Longer than any long poll.
const ANSWER: Duration = Duration::from_secs(8);

/// Between two tries.
const BETWEEN: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct Load {
    api: String,
    token: String,
    http: Client,
    stopped: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    accepted: Arc<Mutex<Vec<String>>>,
}

impl Load {
    pub(super) fn start(app: &App) -> (Self, JoinSet<()>) {
        let load = Self {
            api: app.stack.api().to_owned(),
            token: app.stack.token("user", ALICE).unwrap(),
            http: Client::builder().timeout(ANSWER).build().unwrap(),
            stopped: Arc::default(),
            done: Arc::default(),
            accepted: Arc::default(),
        };
        let mut callers = JoinSet::new();
        for door in DOORS {
            let load = load.clone();
            callers.spawn(async move { load.call(door).await });
        }
        (load, callers)
    }

    /// Returns when so many more jobs have ended.
    pub(super) async fn goes_on(&self, jobs: usize) {
        let enough = self.done.load(SeqCst) + jobs;
        let done = async || (self.done.load(SeqCst) >= enough).then_some(());
        local::until(PATIENCE, done).await.expect("jobs end");
    }

    /// Every job that was accepted, when the last of them has ended.
    pub(super) async fn stop(&self, callers: JoinSet<()>) -> Vec<String> {
        self.stopped.store(true, SeqCst);
        callers.join_all().await;
        self.accepted.lock().unwrap().clone()
    }

    async fn call(&self, door: &str) {
        while !self.stopped.load(SeqCst) {
            // The same key until it is known what became of it: it is one job, however often it is sent.
            let key = Uuid::now_v7().to_string();
            let accepted = patiently(|| self.submit(door, &key)).await;
            let id = accepted.expect("a job is accepted in the end");
            self.accepted.lock().unwrap().push(id.clone());
            let over = patiently(|| self.wait_for(&id)).await;
            over.unwrap_or_else(|| panic!("{id} does not end"));
            self.done.fetch_add(1, SeqCst);
        }
    }

    async fn submit(&self, door: &str, key: &str) -> Option<String> {
        let request = self.http.post(format!("{}{door}", self.api));
        let request = request
            .bearer_auth(&self.token)
            .header("idempotency-key", key)
            .header("cache-control", "no-cache")
            .header("prefer", "respond-async");
        let answer = request.json(&ten_seconds()).send().await.ok()?;
        let status = answer.status();
        let told: Value = answer.json().await.ok()?;
        match status {
            StatusCode::OK | StatusCode::ACCEPTED => told["jobId"].as_str().map(str::to_owned),
            status => {
                assert!(status.is_server_error(), "{status} {told}");
                None
            }
        }
    }

    async fn wait_for(&self, id: &str) -> Option<()> {
        let request = self.http.get(format!("{}/jobs/{id}?wait=5", self.api));
        let answer = request.bearer_auth(&self.token).send().await.ok()?;
        let status = answer.status();
        assert_ne!(status, StatusCode::NOT_FOUND, "{id} is lost");
        let job: Value = answer.json().await.ok()?;
        (status.is_success() && ended(&job)).then_some(())
    }
}

/// Asks until there is an answer; `local::until` cannot be spawned.
async fn patiently<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> Option<T> {
    let answered = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(BETWEEN).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.ok()
}
