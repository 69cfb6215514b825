//! What stands before the replicas, as API Gateway does before Lambda: a request goes to one that is up, each in turn; one that leaves
//! gets no more and answers what it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use reqwest::redirect::Policy;
use tokio::net::TcpListener;
use tokio::sync::RwLock;

const MAX_BODY: usize = 8 << 20;

#[derive(Clone)]
pub(super) struct Gateway {
    pub(super) url: String,
    http: reqwest::Client,
    replicas: Arc<std::sync::RwLock<Vec<Replica>>>,
    turn: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Replica {
    url: String,
    /// Read by each request while it lasts.
    busy: Arc<RwLock<()>>,
    served: Arc<AtomicUsize>,
}

impl Gateway {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = reqwest::Client::builder().redirect(Policy::none());
        let gateway = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            http: http.build().unwrap(),
            replicas: Arc::default(),
            turn: Arc::default(),
        };
        let app = Router::new()
            .fallback(Self::forward)
            .with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        gateway
    }

    pub(super) fn join(&self, url: &str) {
        let replica = Replica {
            url: url.to_owned(),
            busy: Arc::default(),
            served: Arc::default(),
        };
        self.replicas.write().unwrap().push(replica);
    }

    /// Returns when the replica's last request is answered: how many it answered in all.
    pub(super) async fn leave(&self, url: &str) -> usize {
        let replica = {
            let mut replicas = self.replicas.write().unwrap();
            let at = replicas.iter().position(|replica| replica.url == url);
            replicas.remove(at.unwrap())
        };
        let _last = replica.busy.write().await;
        replica.served.load(SeqCst)
    }

    async fn forward(State(gateway): State<Self>, request: Request) -> Response {
        let (replica, _busy) = {
            let replicas = gateway.replicas.read().unwrap();
            let turn = gateway.turn.fetch_add(1, SeqCst);
            let replica = replicas[turn % replicas.len()].clone();
            let busy = replica.busy.clone().try_read_owned();
            (replica, busy.expect("one that leaves is not in the list"))
        };
        replica.served.fetch_add(1, SeqCst);
        let (parts, body) = request.into_parts();
        let url = format!("{}{}", replica.url, parts.uri);
        let mut headers = parts.headers;
        headers.remove("host");
        let body = to_bytes(body, MAX_BODY).await.unwrap();
        let forwarded = gateway.http.request(parts.method, url).headers(headers);
        let answer = forwarded.body(body).send().await.unwrap();
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if name != "transfer-encoding" {
                response = response.header(name, value);
            }
        }
        response
            .body(Body::from(answer.bytes().await.unwrap()))
            .unwrap()
    }
}
