//! The WebSocket side of API Gateway on this machine: handshakes, messages and ends of sockets become invocations of
//! `live`, and `POST`, `GET` and `DELETE /@connections/{id}` reach the sockets, as the AWS documentation of WebSocket APIs says.
//!
//! `routes` is what is asked over HTTP, `connection` the life of one socket, `socket` its frames, `event` what the function sees.

mod connection;
mod event;
mod registry;
mod routes;
mod socket;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::serve::ListenerExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::{HarnessError, Result};
use crate::invoke::Invoker;
use crate::log::Log;
use crate::options::SocketLimits;
use registry::Registry;

/// The function that has the events of all sockets.
const FUNCTION: &str = "live";

/// Invocations on their way; further ones wait. `cargo lambda` loses some of many hundreds at once.
const INVOCATIONS: usize = 32;

/// Bytes of one message, in either direction.
const MESSAGE_MAX: usize = 128 * 1024;
/// Bytes of one frame of a client.
const FRAME_MAX: usize = 32 * 1024;

#[derive(Debug)]
struct Shared {
    invoker: Invoker,
    log: Arc<Log>,
    limits: SocketLimits,
    registry: Registry,
    /// Counts the cuts; who sees it change ends.
    cuts: watch::Sender<u64>,
    lives: Mutex<JoinSet<()>>,
    room: Semaphore,
}

/// Why the function did not answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("no answer in time")]
    Late,
    #[error("{0}")]
    Failed(#[from] HarnessError),
}

impl Shared {
    /// The function's answer to one event, within its time, the wait for its turn included.
    async fn invoke(&self, event: &Value) -> std::result::Result<Value, Unanswered> {
        let invoke = async {
            // Never closed.
            let _turn = self.room.acquire().await;
            self.invoker.invoke(FUNCTION, event).await
        };
        let answer = timeout(self.limits.integration, invoke).await;
        Ok(answer.map_err(|_| Unanswered::Late)??)
    }

    /// Runs the life of one connection until it ends or the gateway does.
    fn spawn(&self, life: impl Future<Output = ()> + Send + 'static) {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        while lives.try_join_next().is_some() {}
        lives.spawn(life);
    }
}

/// Its sockets end when it is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    port: u16,
    shared: Arc<Shared>,
}

impl Gateway {
    /// Listens at `listen`, among `tasks`, for ever; events go to the functions behind the Invoke API at `api`.
    pub(crate) async fn start(
        listen: SocketAddr,
        api: &str,
        limits: SocketLimits,
        log: Arc<Log>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self> {
        crate::process::raise_open_files();
        let listener = TcpListener::bind(listen)
            .await
            .map_err(HarnessError::io(format!("listen for sockets on {listen}")))?
            .tap_io(|stream| {
                // A push must not wait for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
            });
        let shared = Arc::new(Shared {
            // Its own limit never comes first.
            invoker: Invoker::new(api, limits.integration * 2)?,
            log,
            limits,
            registry: Registry::default(),
            cuts: watch::Sender::new(0),
            lives: Mutex::default(),
            room: Semaphore::new(INVOCATIONS),
        });
        let service =
            routes::router(shared.clone()).into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn(async move {
            // Never ends by itself.
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self {
            port: listen.port(),
            shared,
        })
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes the TCP connection of every socket of now, without a closing frame.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let mut lives = self
            .shared
            .lives
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lives.abort_all();
    }
}

#[cfg(test)]
mod tests;
