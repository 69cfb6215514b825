//! What the contract suites share: the service under test, and Tutti's side of its reports.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{post, put};
use axum::{Json, Router};
use bytes::Bytes;
use reqwest::Url;
use serde_json::{Value, json};
use shared::job::JobId;
use shared::models::{Callback, Fault, MAX_AUDIO, ModelError, Outgoing, Upload};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The longest silence of a service that works: the default of `RENDER_DEADLINE`.
const SILENCE: Duration = Duration::from_secs(600);

/// The service that an author wants to try.
#[allow(
    clippy::disallowed_methods,
    reason = "a setting of the suite, not of Tutti"
)]
pub(crate) fn setting(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}

/// Its address.
pub(crate) fn address(variable: &str) -> Option<Url> {
    let text = setting(variable)?;
    let url = text
        .parse()
        .unwrap_or_else(|why| panic!("{variable}: {why}"));
    Some(url)
}

/// Serves a router on this machine until the test ends.
pub(crate) async fn serve(router: impl FnOnce(SocketAddr) -> Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router(address)).into_future());
    format!("http://{address}/").parse().unwrap()
}

/// Sets switches of a stand-in.
pub(crate) async fn switch(base: &Url, switches: Value) {
    let url = base.join("faults").unwrap();
    let put = reqwest::Client::new().put(url).json(&switches);
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
}

/// A route of the service, below a base that may have a path.
pub(crate) fn route(base: &Url, path: &str) -> Url {
    let base = base.as_str().trim_end_matches('/');
    format!("{base}/{path}").parse().unwrap()
}

/// The headers of a call under this key.
pub(crate) fn out(key: &str) -> Outgoing {
    Outgoing {
        request_id: "contract-suite".to_owned(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        idempotency_key: Some(key.to_owned()),
    }
}

/// Asks until the service has room, for as long as a service may be silent.
pub(crate) async fn when_free<T>(
    ask: impl AsyncFn() -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    let end = Instant::now() + SILENCE;
    loop {
        match ask().await {
            Err(ModelError {
                fault: Fault::Busy { retry_after },
                ..
            }) if Instant::now() + retry_after < end => tokio::time::sleep(retry_after).await,
            other => return other,
        }
    }
}

/// Where the service reports and uploads; a service on another machine does not reach it.
pub(crate) struct Receiver {
    pub(crate) job: JobId,
    base: Url,
    tokens: Arc<Mutex<Vec<String>>>,
    arrivals: mpsc::Receiver<Arrival>,
}

enum Arrival {
    Upload(Bytes),
    Report(Value),
    Stranger(&'static str),
}

/// The completed report, and what was uploaded before it.
pub(crate) struct Ended {
    pub(crate) payload: Value,
    pub(crate) upload: Option<Bytes>,
}

type Shared = (mpsc::Sender<Arrival>, Arc<Mutex<Vec<String>>>);

impl Receiver {
    pub(crate) async fn open() -> Self {
        let (sender, arrivals) = mpsc::channel(1_024);
        let tokens = Arc::default();
        let router = Router::new()
            .route("/jobs/report", post(report))
            .route("/jobs/{id}/audio", put(upload))
            .layer(DefaultBodyLimit::max(MAX_AUDIO))
            .with_state((sender, Arc::clone(&tokens)));
        Self {
            job: JobId::mint(),
            base: serve(|_| router).await,
            tokens,
            arrivals,
        }
    }

    /// An offer with a token of its own; those of earlier offers still work.
    pub(crate) fn callback(&self) -> Callback {
        let token = format!("contract.{}.suite", uuid::Uuid::new_v4().simple());
        self.tokens.lock().unwrap().push(token.clone());
        Callback {
            url: route(&self.base, "jobs/report").into(),
            webhook: route(&self.base, &format!("hooks/cog/{token}")).into(),
            token,
            expires_at: chrono::Utc::now() + chrono::TimeDelta::hours(24),
            every_seconds: 5,
        }
    }

    pub(crate) fn upload(&self, callback: &Callback) -> Upload {
        let authorization = format!("Bearer {}", callback.token);
        Upload {
            url: route(&self.base, &format!("jobs/{}/audio", self.job)).into(),
            method: "PUT".to_owned(),
            headers: [
                ("Authorization", authorization),
                ("Content-Type", "application/octet-stream".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        }
    }

    /// The end of the work that was accepted.
    pub(crate) async fn ended(&mut self) -> Ended {
        let mut upload = None;
        loop {
            let arrival = tokio::time::timeout(SILENCE, self.arrivals.recv()).await;
            let arrival = arrival.unwrap_or_else(|_| {
                panic!("The service answered 202 and was silent for {SILENCE:?}: report at least once in that time.")
            });
            let report = match arrival.unwrap() {
                Arrival::Upload(bytes) => {
                    upload = Some(bytes);
                    continue;
                }
                Arrival::Stranger(path) => panic!(
                    "A request to {path} had no \"Authorization: Bearer <callback.token>\": send the token, and upload.headers as they are."
                ),
                Arrival::Report(report) => report,
            };
            let payload = report["payload"].clone();
            assert_eq!(
                report["jobId"],
                json!(self.job),
                "A report carries the jobId of its request."
            );
            match report["type"].as_str() {
                Some("status" | "progress") => {}
                Some("completed") => return Ended { payload, upload },
                Some("failed") => panic!("The service reported that it failed: {payload}"),
                _ => panic!("A report's type is status, progress, completed or failed: {report}"),
            }
        }
    }
}

/// Notes what came, and answers as Tutti does.
async fn take(
    (sender, tokens): Shared,
    headers: HeaderMap,
    arrival: Arrival,
    path: &'static str,
) -> (StatusCode, Json<Value>) {
    let given = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer "));
    let known =
        given.is_some_and(|given| tokens.lock().unwrap().iter().any(|token| token == given));
    // Nobody listens any more when the test has ended.
    let _ = sender.try_send(if known {
        arrival
    } else {
        Arrival::Stranger(path)
    });
    match known {
        true => (StatusCode::OK, Json(json!({"ok": true}))),
        false => (
            StatusCode::UNAUTHORIZED,
            Json(json!({"code": "unauthenticated"})),
        ),
    }
}

async fn report(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let report = serde_json::from_slice(&body).unwrap_or_default();
    take(shared, headers, Arrival::Report(report), "callback.url").await
}

async fn upload(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    take(shared, headers, Arrival::Upload(body), "upload.url").await
}

/// Whether the service runs on this machine, so that it reaches a receiver here.
pub(crate) fn is_here(base: &Url) -> bool {
    matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}
