//! A wire between the functions and Redis that can be spoiled: it can swallow what is sent, or be cut.
//!
//! A connection that lost a byte never passes another one: what TCP lost is never followed by what came later. So after
//! [`Proxy::mend`] the old connections stay silent until their owner replaces them, as it is with one that slept in a frozen
//! Lambda, and new ones work.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{HarnessError, Result};
use crate::place::free_port;

/// Every connection, also those still to come.
const ALL: u64 = u64::MAX;

/// Connections are numbered from 1; each limit tells up to which number a connection suffers.
#[derive(Debug, Clone, Copy, Default)]
struct Wire {
    opened: u64,
    requests_lost: u64,
    replies_lost: u64,
    cut: u64,
}

/// Which way a pipe of a connection goes.
#[derive(Debug, Clone, Copy)]
enum Way {
    Requests,
    Replies,
}

/// Listens on the loopback address until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wire: watch::Sender<Wire>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Passes everything to `target`, a port of the loopback address.
    pub async fn start(target: u16) -> Result<Self> {
        let port = free_port()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(HarnessError::io("listen for the proxy"))?;
        let wire = watch::Sender::new(Wire::default());
        let task = tokio::spawn(accept(listener, target, wire.clone()));
        Ok(Self { port, wire, task })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Nothing comes through in either direction, also over new connections, until [`Self::mend`].
    pub fn swallow(&self) {
        self.wire.send_modify(|wire| {
            wire.requests_lost = ALL;
            wire.replies_lost = ALL;
        });
    }

    /// The server hears everything and is not heard, until [`Self::mend`].
    pub fn swallow_replies(&self) {
        self.wire.send_modify(|wire| wire.replies_lost = ALL);
    }

    /// New connections work; those that were there while bytes were swallowed stay silent.
    pub fn mend(&self) {
        self.wire.send_modify(|wire| {
            for limit in [&mut wire.requests_lost, &mut wire.replies_lost] {
                if *limit == ALL {
                    *limit = wire.opened;
                }
            }
        });
    }

    /// Closes the connections of now.
    pub fn cut(&self) {
        self.wire.send_modify(|wire| wire.cut = wire.opened);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: u16, wire: watch::Sender<Wire>) {
    // Aborted with this task.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let mut number = 0;
        wire.send_modify(|wire| {
            wire.opened += 1;
            number = wire.opened;
        });
        connections.spawn(serve(client, target, number, wire.subscribe()));
    }
}

/// One connection, until either end closes it. A server that is away closes it at once.
async fn serve(client: TcpStream, target: u16, number: u64, wire: watch::Receiver<Wire>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let mut cut = wire.clone();
    tokio::select! {
        () = pipe(from_client, to_server, Way::Requests, number, wire.clone()) => {}
        () = pipe(from_server, to_client, Way::Replies, number, wire) => {}
        _ = cut.wait_for(|wire| number <= wire.cut) => {}
    }
}

async fn pipe(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    number: u64,
    wire: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let lost = {
            let wire = wire.borrow();
            match way {
                Way::Requests => wire.requests_lost,
                Way::Replies => wire.replies_lost,
            }
        };
        if number > lost && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
