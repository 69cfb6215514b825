//! A wire that can be cut without either end noticing, as it happens to a connection that slept in a frozen Lambda.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use local::redis::RedisKind;

use crate::redis::{KIND, order};

/// Connections are numbered from 1; those up to a limit lose what goes that way.
#[derive(Default)]
struct Wire {
    opened: AtomicU64,
    requests_lost: AtomicU64,
    replies_lost: AtomicU64,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    wire: Arc<Wire>,
}

impl Proxy {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().port();
        send_clients_here(port, here);
        let wire = Arc::new(Wire::default());
        let shared = wire.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let number = shared.opened.fetch_add(1, SeqCst) + 1;
                let twins = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let wire = shared.clone();
                std::thread::spawn(move || {
                    forward(client, server, || number > wire.requests_lost.load(SeqCst));
                });
                let wire = shared.clone();
                std::thread::spawn(move || {
                    forward(twins.1, twins.0, || number > wire.replies_lost.load(SeqCst));
                });
            }
        });
        Self { port: here, wire }
    }

    pub(crate) fn address(&self) -> String {
        KIND.url(self.port).unwrap()
    }

    pub(crate) fn opened(&self) -> u64 {
        self.wire.opened.load(SeqCst)
    }

    /// Nothing comes through the connections of now; new ones work.
    pub(crate) fn swallow_present(&self) {
        self.wire.requests_lost.store(self.opened(), SeqCst);
    }

    /// Nothing comes through any connection until `mend`.
    pub(crate) fn swallow_all(&self) {
        self.wire.requests_lost.store(u64::MAX, SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.swallow_present();
    }

    /// The server hears the connections of now and is not heard; new ones work.
    pub(crate) fn swallow_present_replies(&self) {
        self.wire.replies_lost.store(self.opened(), SeqCst);
    }
}

/// A node of a cluster tells its clients where it is: they would go round the proxy.
fn send_clients_here(server: u16, here: u16) {
    let announced = match *KIND {
        RedisKind::Plain | RedisKind::Tls => return,
        RedisKind::Cluster => "cluster-announce-port",
        RedisKind::TlsCluster => "cluster-announce-tls-port",
    };
    let mut announce = redis::cmd("CONFIG");
    announce.arg("SET").arg(announced).arg(here);
    order(&KIND.url(server).unwrap(), &announce);
}

fn forward(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if passes() && to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}
