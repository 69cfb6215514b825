//! For the tests of both services: serving on a free port, and an inbox that plays the orchestrator's part.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// No event of a test takes longer.
const BOUND: Duration = Duration::from_secs(20);

/// Serves until the test ends; the answer is the base URL.
pub(super) async fn serve(router: impl FnOnce(SocketAddr) -> Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum::serve(listener, router(address)).into_future();
    tokio::spawn(server);
    format!("http://{address}")
}

/// Where reports and uploads arrive.
pub(super) struct Inbox {
    pub(super) url: String,
    arrivals: mpsc::Receiver<Arrival>,
}

/// One report or upload.
pub(super) struct Arrival {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

type Shared = (mpsc::Sender<Arrival>, Arc<AtomicUsize>);

impl Inbox {
    /// Answers 503 to the first few arrivals, and does not keep them.
    pub(super) async fn open(refusals: usize) -> Self {
        let (sender, arrivals) = mpsc::channel(1_024);
        let shared = (sender, Arc::new(AtomicUsize::new(refusals)));
        let url = serve(|_| Router::new().fallback(receive).with_state(shared)).await;
        Self { url, arrivals }
    }

    pub(super) async fn next(&mut self) -> Arrival {
        let next = tokio::time::timeout(BOUND, self.arrivals.recv()).await;
        next.expect("something arrives in time").unwrap()
    }

    /// What is there already, without waiting.
    pub(super) fn waiting(&mut self) -> Vec<Arrival> {
        std::iter::from_fn(|| self.arrivals.try_recv().ok()).collect()
    }

    /// Everything up to the first report that is no progress, that report last.
    pub(super) async fn until_the_end(&mut self) -> Vec<Arrival> {
        let mut all = Vec::new();
        loop {
            let arrival = self.next().await;
            let ends = matches!(arrival.kind().as_str(), "completed" | "failed");
            all.push(arrival);
            if ends {
                return all;
            }
        }
    }

    /// A callback to here.
    pub(super) fn callback(&self) -> Value {
        json!({"url": format!("{}/report", self.url), "token": "secret", "everySeconds": 5})
    }
}

impl Arrival {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The report's type; an upload's is "upload".
    pub(super) fn kind(&self) -> String {
        if self.path == "/upload" {
            return "upload".to_owned();
        }
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

async fn receive(State((sender, refusals)): State<Shared>, request: Request) -> StatusCode {
    let refuse = refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    if refuse.is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let arrival = Arrival {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
    };
    sender.try_send(arrival).unwrap();
    StatusCode::OK
}
