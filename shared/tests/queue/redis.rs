//! A server of one test: on its own port, gone with the value. `QUEUE_REDIS` says of which kind (`RedisKind::chosen`), `REDIS_ENGINE`
//! which program it is.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use local::redis::{RedisKind, take_every_slot};
use local::{Scratch, free_port};
use shared::queue::Redis;

/// The kind of every server here that does not ask for another.
pub(crate) static KIND: LazyLock<RedisKind> = LazyLock::new(|| RedisKind::chosen().unwrap());

/// Longer than a node of a cluster waits before it serves, which is two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    pub(crate) port: u16,
    kind: RedisKind,
    child: Child,
    _folder: Scratch,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(more: &[&str]) -> Self {
        Self::somewhere(*KIND, more)
    }

    pub(crate) fn of(kind: RedisKind) -> Self {
        Self::somewhere(kind, &[])
    }

    /// On a port that was free a moment ago; somebody may be quicker, so it tries again.
    fn somewhere(kind: RedisKind, more: &[&str]) -> Self {
        let start = |_| Self::at(kind, free_port().unwrap(), more);
        (0..5).find_map(start).expect("the server does not start")
    }

    pub(crate) fn on(port: u16) -> Option<Self> {
        Self::at(*KIND, port, &[])
    }

    fn at(kind: RedisKind, port: u16, more: &[&str]) -> Option<Self> {
        let folder = Scratch::new().unwrap();
        let mut child = Command::new(kind.program().unwrap())
            .args(kind.arguments(port, folder.path()).unwrap())
            .args(["--save", "", "--appendonly", "no"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server cannot be run");
        let log = log_of(&mut child);
        let server = Self {
            port,
            kind,
            child,
            _folder: folder,
        };
        until_said(&log, "Ready to accept connections")?;
        if kind.is_cluster() {
            order(&server.address(), &take_every_slot());
            until_said(&log, "Cluster state changed: ok")?;
        }
        Some(server)
    }

    pub(crate) fn address(&self) -> String {
        self.kind.url(self.port).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What it writes, line by line. Read on to the end: a full pipe would stop the server.
fn log_of(child: &mut Child) -> Receiver<String> {
    let log = BufReader::new(child.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            tell.send(line).ok();
        }
    });
    told
}

/// `None` when the server ended, or waits in vain.
fn until_said(log: &Receiver<String>, words: &str) -> Option<()> {
    while !log.recv_timeout(PATIENCE).ok()?.contains(words) {}
    Some(())
}

/// Runs one command of the test's own, past the connection that is tested.
pub(crate) fn order(address: &str, command: &redis::Cmd) {
    command.exec(&mut connected(address)).unwrap();
}

/// The same, and what it is answered with.
pub(crate) fn asked(address: &str, command: &redis::Cmd) -> String {
    command.query(&mut connected(address)).unwrap()
}

fn connected(address: &str) -> redis::Connection {
    let client = Redis::client(address).unwrap();
    let connection = client.get_connection_with_timeout(PATIENCE).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}
