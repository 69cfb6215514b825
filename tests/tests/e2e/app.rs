//! A running Tutti and what a caller, an operator and a fault can do to it.

use std::time::{Duration, Instant};

use local::{Stack, StackOptions};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::secrets::LogGuard;

/// The user of most tests.
pub(crate) const ALICE: &str = "alice";
/// Longer than any test's job may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A stack of this test's own; its processes end with it.
pub(crate) struct App {
    pub(crate) stack: Stack,
    _log: LogGuard,
    pub(crate) http: reqwest::Client,
}

/// Which stand-in.
#[derive(Clone, Copy)]
pub(crate) enum Model {
    Jen1,
    Muscgen,
    Ollama,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(StackOptions::default()).await
    }

    pub(crate) async fn with(options: StackOptions) -> Self {
        let stack = Stack::start(options).await.expect("the stack starts");
        Self {
            _log: LogGuard::of(&stack),
            stack,
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                // A function that died is never heard of again.
                .timeout(PATIENCE)
                .build()
                .unwrap(),
        }
    }

    /// A stack whose models lose a job after two seconds without a word, and whose sweep notices within one.
    pub(crate) async fn impatient() -> Self {
        Self::with(StackOptions {
            env: vec![("RENDER_DEADLINE".to_owned(), "2".to_owned())],
            sweep_every: Duration::from_secs(1),
            ..StackOptions::default()
        })
        .await
    }

    pub(crate) async fn stop(self) {
        self.stack.stop().await;
    }

    /// A request of `user`, still to be dressed and sent.
    pub(crate) fn request(&self, method: Method, path: &str, user: &str) -> RequestBuilder {
        let token = self.stack.token("user", user).unwrap();
        self.http
            .request(method, format!("{}{path}", self.stack.api()))
            .bearer_auth(token)
    }

    pub(crate) async fn get(&self, path: &str, user: &str) -> Response {
        self.request(Method::GET, path, user).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, user: &str, body: &Value) -> Response {
        self.request(Method::POST, path, user)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// Submits a job that must be made anew, whatever was made before, and returns its id.
    pub(crate) async fn submit(&self, body: Value) -> String {
        let request = self
            .request(Method::POST, "/jobs", ALICE)
            .header("cache-control", "no-cache");
        let response = request.json(&body).send().await.unwrap();
        assert_eq!(
            response.status(),
            StatusCode::ACCEPTED,
            "{}",
            response.text().await.unwrap()
        );
        let job: Value = response.json().await.unwrap();
        job["jobId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn job(&self, id: &str) -> Value {
        let response = self.get(&format!("/jobs/{id}"), ALICE).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    /// The job as soon as `done` holds of it, by long polls.
    pub(crate) async fn until(
        &self,
        id: &str,
        limit: Duration,
        done: impl Fn(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + limit;
        let mut job = self.job(id).await;
        while !done(&job) {
            assert!(
                Instant::now() < end,
                "not in {limit:?}: {job:#}\n{}",
                self.history(id).await
            );
            let path = format!("/jobs/{id}?wait=5&after={}", job["seq"]);
            let response = self.get(&path, ALICE).await;
            if response.status() == StatusCode::OK {
                job = response.json().await.unwrap();
            }
        }
        job
    }

    pub(crate) async fn until_ended(&self, id: &str) -> Value {
        self.until(id, PATIENCE, ended).await
    }

    /// A job of ten seconds, completed under these switches of the muscgen stand-in.
    pub(crate) async fn compose(&self, switches: Value) -> (String, Value) {
        self.faults(Model::Muscgen, switches).await;
        let id = self.submit(ten_seconds()).await;
        let job = self.until_completed(&id).await;
        (id, job)
    }

    pub(crate) async fn until_completed(&self, id: &str) -> Value {
        let job = self.until_ended(id).await;
        assert_eq!(
            job["status"],
            "completed",
            "{job:#}\n{}",
            self.history(id).await
        );
        job
    }

    /// The job's events, oldest first.
    pub(crate) async fn events(&self, id: &str) -> Vec<Value> {
        let response = self.get(&format!("/jobs/{id}/events"), ALICE).await;
        let page: Value = response.json().await.unwrap();
        page["events"].as_array().unwrap().clone()
    }

    /// What `GET /health/ready` says to an admin, also when it is not ready.
    pub(crate) async fn health_page(&self) -> Value {
        self.try_health_page().await.expect("a page")
    }

    /// The same where the function may be away; `None`: it does not answer.
    pub(crate) async fn try_health_page(&self) -> Option<Value> {
        let url = format!("{}/health/ready", self.stack.api());
        let admin = self.stack.token("admin", "admin").unwrap();
        // A look takes 3 s at most.
        let request = self.http.get(url).timeout(Duration::from_secs(5));
        let answer = request.bearer_auth(admin).send().await.ok()?;
        let page: Value = answer.json().await.ok()?;
        page["dependencies"].is_object().then_some(page)
    }

    /// The page as soon as `said` holds of it.
    pub(crate) async fn page_until(&self, mut said: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let seen = local::until(PATIENCE, async || {
            last = self.try_health_page().await?;
            said(&last).then_some(())
        });
        let seen = seen.await;
        assert!(seen.is_some(), "not in {PATIENCE:?}: {last:#}");
        last
    }

    async fn history(&self, id: &str) -> String {
        let lines = self.stack.log_lines();
        let of_job = |line: &&Value| line.to_string().contains(id);
        let lines: Vec<String> = lines.iter().filter(of_job).map(Value::to_string).collect();
        lines.join("\n")
    }

    /// Log lines of one program in which every given word stands.
    pub(crate) fn logged(&self, words: &[&str]) -> Vec<Value> {
        let has = |line: &Value| words.iter().all(|word| line.to_string().contains(word));
        self.stack.log_lines().into_iter().filter(has).collect()
    }

    fn address(&self, model: Model) -> &str {
        match model {
            Model::Jen1 => self.stack.jen1(),
            Model::Muscgen => self.stack.muscgen(),
            Model::Ollama => self.stack.ollama().expect("the stack has an Ollama"),
        }
    }

    /// Sets some fault switches of a stand-in.
    pub(crate) async fn faults(&self, model: Model, switches: Value) {
        let url = format!("{}/faults", self.address(model));
        let response = self.http.put(url).json(&switches).send().await.unwrap();
        assert_eq!(
            response.status(),
            StatusCode::OK,
            "{}",
            response.text().await.unwrap()
        );
    }

    /// All fault switches of a stand-in, as they stand.
    pub(crate) async fn switches(&self, model: Model) -> Value {
        let url = format!("{}/faults", self.address(model));
        let response = self.http.get(url).send().await.unwrap();
        response.json().await.unwrap()
    }

    /// The calls for work that a stand-in has had for a job.
    pub(crate) async fn calls(&self, model: Model, id: &str) -> Vec<Value> {
        let url = format!("{}/calls", self.address(model));
        let calls: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let calls = calls.as_array().expect("a list of calls").clone();
        let of_job = |call: &Value| {
            call["idempotencyKey"]
                .as_str()
                .is_some_and(|key| key.starts_with(id))
        };
        calls.into_iter().filter(of_job).collect()
    }

    /// The names of the objects that the file store has of a job.
    pub(crate) fn objects(&self, id: &str) -> Vec<String> {
        let folder = self.stack.folder().join("artifacts/jobs").join(id);
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What the file store says of a job that has ended, as soon as it is settled.
    pub(crate) async fn manifest(&self, id: &str) -> Value {
        let file = self.stack.folder().join("artifacts/jobs").join(id);
        let newest = || {
            (0..9)
                .rev()
                .map(|n| file.join(format!("manifest-{n}.json")))
        };
        let read = async || newest().find_map(|file| std::fs::read(file).ok());
        let text = local::until(PATIENCE, read).await;
        serde_json::from_slice(&text.expect("the job is settled")).unwrap()
    }

    /// Whether the store still holds the job for unfinished.
    pub(crate) fn is_open(&self, id: &str) -> bool {
        let markers = std::fs::read_dir(self.stack.folder().join("artifacts/open"));
        let names = markers
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name());
        names
            .into_iter()
            .any(|name| name.to_string_lossy().starts_with(id))
    }

    /// Runs one Redis command of the test's own.
    pub(crate) async fn redis<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = shared::queue::Redis::client(self.stack.redis_url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        cmd.query_async(&mut connection).await.unwrap()
    }
}

/// A job of ten seconds.
pub(crate) fn ten_seconds() -> Value {
    json!({"narrative": "a calm piano evening in the rain", "duration": 10})
}

/// The job will not move by itself any more.
pub(crate) fn ended(job: &Value) -> bool {
    ["completed", "failed", "cancelled", "expired"].contains(&job["status"].as_str().unwrap())
}

/// The job stands at this stage.
pub(crate) fn at(status: &'static str, stage: &'static str) -> impl Fn(&Value) -> bool {
    move |job| job["status"] == status && job["stage"] == stage
}
