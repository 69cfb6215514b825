//! What can go wrong here, each with its remedy.

use std::io;
use std::path::PathBuf;

/// Why the harness cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    #[error(
        "{0} is not installed here. Run ./local/install, or for tests ./local/install --tests: they fetch what is missing"
    )]
    Missing(String),
    #[error("the program `{0}` is not built. Run: cargo build --workspace --bin {0}")]
    NotBuilt(String),
    #[error(
        "port {port} for {name} is taken: stop what listens there, or choose another with {flag}"
    )]
    PortTaken {
        name: &'static str,
        port: u16,
        flag: &'static str,
    },
    #[error("{0} is not set; the README's table says what it is")]
    Unset(&'static str),
    #[error("no free port was found on 127.0.0.1")]
    NoPort,
    #[error(
        "{name} ended while the stack was starting ({status}). The log {log} ends with:\n{tail}"
    )]
    Ended {
        name: String,
        status: String,
        log: PathBuf,
        tail: String,
    },
    #[error("{name} did not answer within {seconds} s. The log {log} ends with:\n{tail}")]
    Silent {
        name: String,
        seconds: u64,
        log: PathBuf,
        tail: String,
    },
    #[error("{what}: {source}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("Redis: {0}")]
    Redis(#[from] ::redis::RedisError),
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("{what} answered {status}: {body}")]
    Answer {
        what: String,
        status: u16,
        body: String,
    },
    #[error("{0}")]
    Moto(String),
    #[error("{0}")]
    Socket(String),
    #[error(
        "no Chromium is installed here. Run ./local/install --tests, or say in CHROMIUM where one is"
    )]
    NoBrowser,
    #[error("there is no running `{name}` with number {index}")]
    NoSuchProcess { name: String, index: usize },
    #[error("QUEUE_REDIS is plain, tls, cluster or tls-cluster, not `{0}`")]
    UnknownRedis(String),
    #[error("REDIS_ENGINE is redis, valkey-8.1 or valkey-9.1, not `{0}`")]
    UnknownEngine(String),
    #[error(
        "the {0} of these tests has no TLS, which QUEUE_REDIS asks for: REDIS_ENGINE=redis has it"
    )]
    NoTls(&'static str),
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("a token could not be signed: {0}")]
    Token(String),
    #[error("{0}")]
    Password(String),
    #[error("{0}")]
    Job(String),
}

impl HarnessError {
    /// For `map_err`: an I/O error and what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// What everything here answers.
pub type Result<T> = std::result::Result<T, HarnessError>;
