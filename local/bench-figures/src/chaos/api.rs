//! An API with its own job table, which is told of every end and hangs now and then.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::routing::any;
use axum::{Json, Router};
use local::HarnessError;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Takes every report; ends when it is dropped.
pub(crate) struct Api {
    pub(crate) url: String,
    hangs: watch::Sender<bool>,
    told: Arc<Mutex<BTreeSet<String>>>,
    server: JoinHandle<()>,
}

impl Api {
    pub(crate) async fn start() -> Result<Self, HarnessError> {
        let bound = async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let url = format!("http://{}", listener.local_addr()?);
            Ok((listener, url))
        };
        let (listener, url) = bound.await.map_err(|source| HarnessError::Io {
            what: "the API of the run".to_owned(),
            source,
        })?;
        let (hangs, hung) = watch::channel(false);
        let told = Arc::<Mutex<BTreeSet<String>>>::default();
        let heard = told.clone();
        let hear = async move |Json(report): Json<Value>| {
            let mut hung = hung.clone();
            // Its sender is gone only when the run is over.
            let _ = hung.wait_for(|hangs| !hangs).await;
            let ended = ["completed", "failed"].contains(&report["type"].as_str().unwrap_or(""));
            if let (true, Some(job)) = (ended, report["jobId"].as_str()) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.insert(job.to_owned());
            }
            StatusCode::OK
        };
        let router = Router::new().fallback(any(hear));
        let server = tokio::spawn(async move {
            // Ends with the run.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            hangs,
            told,
            server,
        })
    }

    /// From now on it takes calls and says nothing, or answers again, also what it took meanwhile.
    pub(crate) fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    /// The jobs of whose end it heard.
    pub(crate) fn told(&self) -> BTreeSet<String> {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}
