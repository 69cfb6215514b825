//! A plain WebSocket client, for tests and figures: JSON in, JSON out, every wait bounded.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::error::{HarnessError, Result};

/// How long an opening or a sending may take.
const LIMIT: Duration = Duration::from_secs(30);

/// One open socket; it is cut when this is dropped.
#[derive(Debug)]
pub struct SocketClient(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>);

/// What came of an opening.
#[derive(Debug)]
pub enum Opening {
    Open(SocketClient),
    /// The handshake was answered with this status.
    Refused(u16),
}

/// What came over a socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Message(Value),
    /// It was closed with this code (1005: with none).
    Closed(u16),
    /// The connection ended without a closing frame.
    Broken,
}

impl SocketClient {
    /// Opens a socket at `ws://…`.
    pub async fn open(address: &str) -> Result<Opening> {
        let opening = connect_async_with_config(address, None, true);
        match timeout(LIMIT, opening).await {
            Ok(Ok((stream, _))) => Ok(Opening::Open(Self(Box::new(stream)))),
            Ok(Err(Error::Http(response))) => Ok(Opening::Refused(response.status().as_u16())),
            Ok(Err(error)) => Err(trouble("the socket did not open", error)),
            Err(late) => Err(trouble("the socket did not open", late)),
        }
    }

    /// Sends a text message in one frame.
    pub async fn say(&mut self, text: String) -> Result<()> {
        self.send(Message::text(text)).await
    }

    /// Sends a binary message in one frame.
    pub async fn say_bytes(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.send(Message::binary(bytes)).await
    }

    async fn send(&mut self, message: Message) -> Result<()> {
        let sent = timeout(LIMIT, self.0.send(message)).await;
        sent.map_err(|late| trouble("the socket takes nothing", late))?
            .map_err(|error| trouble("the socket takes nothing", error))
    }

    /// What comes next, if it comes within `limit`; pings are answered meanwhile.
    pub async fn next(&mut self, limit: Duration) -> Option<Heard> {
        timeout(limit, self.hear()).await.ok()
    }

    async fn hear(&mut self) -> Heard {
        while let Some(Ok(message)) = self.0.next().await {
            match message {
                Message::Text(text) => {
                    let value = serde_json::from_str(&text);
                    return Heard::Message(value.unwrap_or_else(|_| text.as_str().into()));
                }
                Message::Close(frame) => {
                    return Heard::Closed(frame.map_or(1005, |frame| frame.code.into()));
                }
                _ => {}
            }
        }
        Heard::Broken
    }
}

fn trouble(what: &str, error: impl std::fmt::Display) -> HarnessError {
    HarnessError::Socket(format!("{what}: {error}"))
}
