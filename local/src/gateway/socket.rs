//! The frames of one socket, and the rules by which it is closed.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use chrono::Utc;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Error as FrameError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use super::Shared;
use super::registry::{Entry, Outgoing};

/// How long a closed socket waits for the client's half of the closing.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) code: u16,
    pub(super) reason: String,
    who: Who,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Client,
    Gateway,
    /// Nobody closed it: the connection is gone, or is to be gone at once.
    Nobody,
}

impl End {
    fn ours(code: u16, reason: &str) -> Self {
        let reason = reason.to_owned();
        Self {
            code,
            reason,
            who: Who::Gateway,
        }
    }

    fn going_away() -> Self {
        Self::ours(1001, "Going away")
    }

    /// The connection broke, or was cut.
    pub(super) fn lost() -> Self {
        Self {
            who: Who::Nobody,
            ..Self::ours(1006, "Connection closed abnormally")
        }
    }

    fn theirs(frame: Option<CloseFrame>) -> Self {
        let (code, reason) = match frame {
            Some(frame) => (frame.code, frame.reason.to_string()),
            None => (1005, "Client-side close frame status not set".to_owned()),
        };
        Self {
            code,
            reason,
            who: Who::Client,
        }
    }

    /// What is wrong with the client's frames.
    fn of(error: axum::Error) -> Self {
        let error = error.into_inner();
        match error.downcast_ref::<FrameError>() {
            Some(FrameError::Capacity(_)) => Self::ours(1009, "Message too long"),
            Some(FrameError::Utf8(_)) => Self::ours(1007, "Invalid UTF-8"),
            Some(FrameError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::lost(),
            Some(FrameError::Protocol(_)) => Self::ours(1002, "Protocol error"),
            _ => Self::lost(),
        }
    }
}

/// One open socket.
pub(super) struct Socket {
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
}

impl Socket {
    pub(super) fn new(socket: WebSocket) -> Self {
        let (sink, stream) = socket.split();
        Self { sink, stream }
    }

    /// Passes messages both ways until something ends it. A full `inbox` stops the reading.
    pub(super) async fn talk(
        &mut self,
        shared: &Shared,
        entry: &Entry,
        inbox: mpsc::Sender<String>,
        outgoing: mpsc::Receiver<Outgoing>,
    ) -> End {
        let limits = &shared.limits;
        let mut cuts = shared.cuts.subscribe();
        tokio::select! {
            end = hear(&mut self.stream, entry, inbox) => end,
            end = speak(&mut self.sink, entry, outgoing, limits.stalled) => end,
            () = idle(entry, limits.idle) => End::going_away(),
            () = sleep(limits.life) => End::going_away(),
            _ = cuts.changed() => End::lost(),
        }
    }

    /// Closes the socket, and waits for the client to do the same: closed over what is still unread, a connection is reset, and
    /// its client may never see why.
    pub(super) async fn farewell(&mut self, end: &End) {
        let close = async {
            if end.who == Who::Gateway {
                let frame = CloseFrame {
                    code: end.code,
                    reason: end.reason.as_str().into(),
                };
                self.sink.send(Message::Close(Some(frame))).await.ok()?;
            }
            while self.stream.next().await.transpose().ok()?.is_some() {}
            Some(())
        };
        let unreadable = async {
            if close.await.is_none() {
                std::future::pending::<()>().await;
            }
        };
        if end.who != Who::Nobody {
            let _ = timeout(FAREWELL, unreadable).await;
        }
    }
}

async fn hear(
    stream: &mut SplitStream<WebSocket>,
    entry: &Entry,
    inbox: mpsc::Sender<String>,
) -> End {
    while let Some(message) = stream.next().await {
        entry.touch();
        match message {
            Ok(Message::Text(text)) => {
                if inbox.send(text.to_string()).await.is_err() {
                    return End::lost();
                }
            }
            Ok(Message::Binary(_)) => return End::ours(1003, "Binary is not supported"),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(frame)) => return End::theirs(frame),
            Err(error) => return End::of(error),
        }
    }
    End::lost()
}

/// A client that does not take a message within `stalled` is cut.
async fn speak(
    sink: &mut SplitSink<WebSocket, Message>,
    entry: &Entry,
    mut outgoing: mpsc::Receiver<Outgoing>,
    stalled: Duration,
) -> End {
    while let Some(next) = outgoing.recv().await {
        let message = match next {
            Outgoing::Close => break,
            Outgoing::Message(bytes) => match bytes.clone().try_into() {
                Ok(text) => Message::Text(text),
                Err(_) => Message::Binary(bytes),
            },
        };
        match timeout(stalled, sink.send(message)).await {
            Ok(Ok(())) => entry.touch(),
            Ok(Err(_)) | Err(_) => return End::lost(),
        }
    }
    End::ours(1000, "Connection Closed Normally")
}

async fn idle(entry: &Entry, limit: Duration) {
    loop {
        let silent = (Utc::now() - entry.last_active())
            .to_std()
            .unwrap_or_default();
        match limit.checked_sub(silent) {
            Some(left) if !left.is_zero() => sleep(left).await,
            _ => return,
        }
    }
}
