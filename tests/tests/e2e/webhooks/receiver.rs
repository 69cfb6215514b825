//! A receiver in Python: what arrives is checked with the published `standardwebhooks`.

use std::process::Stdio;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::app::PATIENCE;

/// Ends with the test.
pub(super) struct Receiver {
    pub(super) base: String,
    http: Client,
    _process: Child,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let script = local::root().join("tests/tests/e2e/webhooks/receiver.py");
        let mut process = Command::new(local::tool("python").unwrap())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let port = port.unwrap().unwrap().expect("the receiver says its port");
        Self {
            base: format!("http://127.0.0.1:{port}"),
            http: Client::builder().no_proxy().build().unwrap(),
            _process: process,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}?token=hunter2", self.base)
    }

    async fn tell(&self, value: Value) {
        let put = self.http.put(&self.base).json(&value).send().await.unwrap();
        assert_eq!(put.status(), 200);
    }

    /// What messages to this path may be signed with.
    pub(super) async fn trust(&self, path: &str, secrets: &[&str]) {
        self.tell(json!({"path": path, "secrets": secrets})).await;
    }

    /// What messages to this path are answered, one after the other; the last answer stays.
    pub(super) async fn answer(&self, path: &str, answers: Value) {
        self.tell(json!({"path": path, "answers": answers})).await;
    }

    /// What came to this path so far.
    pub(super) async fn calls(&self, path: &str) -> Vec<Value> {
        let calls = self.http.get(&self.base).send().await.unwrap();
        let calls: Vec<Value> = calls.json().await.unwrap();
        let here = |call: &Value| call["path"].as_str().unwrap().split('?').next() == Some(path);
        calls.into_iter().filter(here).collect()
    }

    /// The same, as soon as there are so many.
    pub(super) async fn until(&self, path: &str, count: usize) -> Vec<Value> {
        let enough = async || {
            let calls = self.calls(path).await;
            (calls.len() >= count).then_some(calls)
        };
        let calls = local::until(PATIENCE, enough).await;
        calls.unwrap_or_else(|| panic!("{count} calls of {path} do not come"))
    }
}
