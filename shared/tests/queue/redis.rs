//! A redis-server of one test: on its own port, without files, gone with the value.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// On a port that was free a moment ago; somebody may be quicker, so it tries again.
    pub(crate) fn with(more: &[&str]) -> Self {
        let start = |_| Self::on(free_port(), more);
        (0..5).find_map(start).expect("redis-server does not start")
    }

    pub(crate) fn on(port: u16, more: &[&str]) -> Option<Self> {
        let port_text = port.to_string();
        let mut child = Command::new("redis-server")
            .args(["--port", &port_text, "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "no"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is not installed");
        let log = child.stdout.take();
        let server = Self { port, child };
        let log = BufReader::new(log?);
        let (told, ready) = mpsc::channel();
        // Reads on to the end: a full pipe would stop the server.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if line.contains("Ready to accept connections") {
                    told.send(()).ok();
                }
            }
        });
        ready
            .recv_timeout(Duration::from_secs(10))
            .is_ok()
            .then_some(server)
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Nobody listens there just now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
