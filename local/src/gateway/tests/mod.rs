//! The gateway between real sockets and a stand-in for the functions: each rule once.

mod handshake;
mod limits;
mod management;
mod messages;

use super::*;
use crate::place::{Scratch, free_port};
use crate::wait::until;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Heard<T> = std::result::Result<T, Error>;

/// What the function does with an event.
#[derive(Debug, Clone)]
enum Does {
    Answer(Value),
    Error,
    /// Until the gate is opened.
    Wait,
}

#[derive(Clone)]
struct Function {
    seen: mpsc::UnboundedSender<Value>,
    does: watch::Receiver<Does>,
    running: watch::Sender<usize>,
}

async fn live(
    State(function): State<Function>,
    Json(event): Json<Value>,
) -> (StatusCode, Json<Value>) {
    function.running.send_modify(|count| *count += 1);
    function.seen.send(event).unwrap();
    let mut does = function.does.clone();
    let does = does
        .wait_for(|does| !matches!(does, Does::Wait))
        .await
        .unwrap()
        .clone();
    function.running.send_modify(|count| *count -= 1);
    match does {
        Does::Answer(answer) => (StatusCode::OK, Json(answer)),
        Does::Error | Does::Wait => {
            let error = json!({"errorMessage": "no"});
            (StatusCode::INTERNAL_SERVER_ERROR, Json(error))
        }
    }
}

struct Bench {
    gateway: Gateway,
    does: watch::Sender<Does>,
    seen: mpsc::UnboundedReceiver<Value>,
    running: watch::Receiver<usize>,
    http: reqwest::Client,
    _tasks: JoinSet<()>,
    _scratch: Scratch,
}

impl Bench {
    async fn start() -> Self {
        Self::with(SocketLimits::default()).await
    }

    async fn with(limits: SocketLimits) -> Self {
        let does = watch::Sender::new(Does::Answer(json!({"statusCode": 200})));
        let (seen_by, seen) = mpsc::unbounded_channel();
        let running = watch::Sender::new(0);
        let function = Function {
            seen: seen_by,
            does: does.subscribe(),
            running: running.clone(),
        };
        let router = Router::new()
            .route("/2015-03-31/functions/live/invocations", post(live))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(function);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let scratch = Scratch::new().unwrap();
        let log = Arc::new(Log::create(&scratch.path().join("gateway.log")).unwrap());
        let listen = ([127, 0, 0, 1], free_port().unwrap()).into();
        let mut tasks = JoinSet::new();
        let gateway = Gateway::start(listen, &api, limits, log, &mut tasks).await;
        Self {
            gateway: gateway.unwrap(),
            does,
            seen,
            running: running.subscribe(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _tasks: tasks,
            _scratch: scratch,
        }
    }

    fn function(&self, does: Does) {
        self.does.send_replace(does);
    }

    fn socket_url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.gateway.port())
    }

    async fn try_connect(&self, path: &str) -> Heard<Client> {
        let opened = tokio::time::timeout(SOON, connect_async(self.socket_url(path)));
        opened.await.unwrap().map(|(client, _)| client)
    }

    /// A socket and its connection's id.
    async fn connect(&mut self) -> (Client, String) {
        let client = self.try_connect("/").await.unwrap();
        let event = self.next("$connect").await;
        let id = event["requestContext"]["connectionId"].as_str().unwrap();
        (client, id.to_owned())
    }

    /// The function's next event, which is of this route.
    async fn next(&mut self, route: &str) -> Value {
        let event = tokio::time::timeout(SOON, self.seen.recv()).await;
        let event = event.expect("an event comes").unwrap();
        assert_eq!(event["requestContext"]["routeKey"], route, "{event:#}");
        event
    }

    /// A call of the management API.
    fn call(&self, method: reqwest::Method, id: &str) -> reqwest::RequestBuilder {
        let id = id.replace('=', "%3D");
        let port = self.gateway.port();
        self.http
            .request(method, format!("http://127.0.0.1:{port}/@connections/{id}"))
    }

    async fn push(&self, id: &str, message: impl Into<reqwest::Body>) -> u16 {
        let sent = self.call(reqwest::Method::POST, id).body(message).send();
        sent.await.unwrap().status().as_u16()
    }
}

async fn hear(client: &mut Client) -> Heard<Message> {
    let heard = tokio::time::timeout(SOON, client.next()).await;
    heard
        .expect("something is heard")
        .unwrap_or(Err(Error::ConnectionClosed))
}

async fn text(client: &mut Client) -> String {
    hear(client).await.unwrap().into_text().unwrap().to_string()
}

/// The closing frame, which comes next.
async fn closed(client: &mut Client) -> CloseFrame {
    match hear(client).await {
        Ok(Message::Close(Some(frame))) => frame,
        other => panic!("no closing frame but {other:?}"),
    }
}
