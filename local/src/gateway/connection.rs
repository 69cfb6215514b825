//! The life of one socket: `$connect` before all, its messages one after the other, `$disconnect` last.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::WebSocket;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::event::Handshake;
use super::registry::{Entry, Outgoing};
use super::socket::{End, Socket};
use super::{Shared, Unanswered};

/// Messages to a client that wait for it to read.
pub(super) const OUTBOX: usize = 64;
/// Messages of a client that wait for the function; then nothing more is read of it.
const INBOX: usize = 16;
/// How long an accepted handshake may take to become a socket.
const UPGRADE: Duration = Duration::from_secs(10);

/// Whether the socket may open, else the status that refuses it.
type Verdict = Result<(), StatusCode>;

/// Asks the function, in a task of its own: what the function was told of must be told to have ended, also when the client is
/// gone before the answer. The socket is handed over once it is open.
pub(super) fn open(
    shared: &Arc<Shared>,
    handshake: Handshake,
) -> (oneshot::Receiver<Verdict>, oneshot::Sender<WebSocket>) {
    let (verdict, answer) = oneshot::channel();
    let (hand_over, socket) = oneshot::channel();
    shared.spawn(live(shared.clone(), handshake, verdict, socket));
    (answer, hand_over)
}

async fn live(
    shared: Arc<Shared>,
    handshake: Handshake,
    verdict: oneshot::Sender<Verdict>,
    socket: oneshot::Receiver<WebSocket>,
) {
    if let Err(status) = ask(&shared, &handshake).await {
        let _ = verdict.send(Err(status));
        return;
    }
    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    let entry = Arc::new(Entry::new(handshake, outbox));
    // Before the client hears of it: whatever it makes others send finds it.
    shared.registry.insert(&entry);
    let upgraded = match verdict.send(Ok(())) {
        Ok(()) => timeout(UPGRADE, socket)
            .await
            .ok()
            .and_then(std::result::Result::ok),
        Err(_) => None,
    };
    let end = match upgraded {
        Some(socket) => converse(&shared, &entry, socket, outgoing).await,
        None => End::lost(),
    };
    shared.registry.remove(&entry.handshake.connection_id);
    let event = entry.handshake.disconnect(end.code, &end.reason);
    if let Err(error) = shared.invoke(&event).await {
        failed(&shared, &event, &error);
    }
}

async fn ask(shared: &Shared, handshake: &Handshake) -> Verdict {
    let event = handshake.connect();
    match shared.invoke(&event).await {
        Ok(answer) => judged(&answer),
        Err(error) => {
            failed(shared, &event, &error);
            Err(match error {
                Unanswered::Late => StatusCode::GATEWAY_TIMEOUT,
                Unanswered::Failed(_) => StatusCode::BAD_GATEWAY,
            })
        }
    }
}

/// An answer without a status is no answer of a proxy integration.
fn judged(answer: &Value) -> Verdict {
    let code = answer["statusCode"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok());
    match code {
        Some(200..=299) => Ok(()),
        Some(code @ 300..=599) => {
            Err(StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY))
        }
        Some(_) | None => Err(StatusCode::BAD_GATEWAY),
    }
}

/// Returns when the socket is closed and the function has had all that was heard.
async fn converse(
    shared: &Shared,
    entry: &Entry,
    socket: WebSocket,
    outgoing: mpsc::Receiver<Outgoing>,
) -> End {
    let (inbox, messages) = mpsc::channel(INBOX);
    let mut socket = Socket::new(socket);
    let talk = async {
        let end = socket.talk(shared, entry, inbox, outgoing).await;
        shared.registry.remove(&entry.handshake.connection_id);
        socket.farewell(&end).await;
        end
    };
    let (end, ()) = tokio::join!(talk, answer_all(shared, entry, messages));
    end
}

async fn answer_all(shared: &Shared, entry: &Entry, mut messages: mpsc::Receiver<String>) {
    while let Some(message) = messages.recv().await {
        let event = entry.handshake.message(&message);
        let Err(error) = shared.invoke(&event).await else {
            continue;
        };
        failed(shared, &event, &error);
        let context = &event["requestContext"];
        let said = json!({
            "message": "Internal server error",
            "connectionId": context["connectionId"],
            "requestId": context["requestId"],
        });
        // A client that does not read will be cut; it need not be told this.
        let _ = entry
            .outbox
            .try_send(Outgoing::Message(Bytes::from(said.to_string())));
    }
}

fn failed(shared: &Shared, event: &Value, error: &Unanswered) {
    let context = &event["requestContext"];
    let fields = json!({
        "route": context["routeKey"],
        "connection": context["connectionId"],
        "error": error.to_string(),
    });
    shared
        .log
        .line("WARN", "a socket's event was not handled", fields);
}
