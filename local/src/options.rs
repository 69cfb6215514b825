//! What a stack may be made of.

use std::path::PathBuf;
use std::time::Duration;

use crate::redis::RedisKind;

/// Everything has a default that suits a test: free ports, own Redis, stand-in models, files in a folder of the run.
#[derive(Debug, Clone)]
pub struct StackOptions {
    pub bells: Bells,
    pub artifacts: Artifacts,
    pub redis: RedisChoice,
    /// Service addresses; `None` starts the stand-in.
    pub jen1_url: Option<String>,
    pub muscgen_url: Option<String>,
    pub ollama: OllamaChoice,
    /// `PUBLIC_URL` is set, so models may answer later.
    pub callbacks: bool,
    /// Worker processes, and invocations of the worker at a time.
    pub workers: usize,
    /// What happens to bells on their way to a worker.
    pub bell_faults: BellFaults,
    /// The functions reach the stack's own Redis only through a [`crate::Proxy`].
    pub proxy: bool,
    /// The longest pause before a process that died is started again.
    pub comeback: Duration,
    /// Tracks that muscgen's stand-in renders at a time.
    pub gpus: usize,
    /// An invocation that takes longer is given up, and its bell comes again; Lambda's own limit is 900 s.
    pub invocation: Duration,
    /// The cloud sweeps every minute.
    pub sweep_every: Duration,
    pub partition: String,
    /// At least 32 bytes; `None` makes one for this run.
    pub secret: Option<String>,
    pub ports: Ports,
    pub sockets: SocketLimits,
    /// `cargo lambda watch` builds and reloads the functions itself.
    pub watch: bool,
    /// Where log, artifacts and Redis files go; `None` is a folder that is removed at the end.
    pub folder: Option<PathBuf>,
    /// Added to the functions' environment; wins over everything above.
    pub env: Vec<(String, String)>,
}

/// The spans of time by which the socket gateway lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketLimits {
    /// A socket over which nothing came or went is closed.
    pub idle: Duration,
    /// Every socket is closed at this age.
    pub life: Duration,
    /// How long the function may take for one event.
    pub integration: Duration,
    /// A client that does not read what was sent is cut.
    pub stalled: Duration,
}

/// API Gateway's, but for `stalled`, of which it does not tell.
impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10 * 60),
            life: Duration::from_secs(2 * 3600),
            integration: Duration::from_secs(29),
            stalled: Duration::from_secs(10),
        }
    }
}

/// Who carries bells.
#[derive(Debug, Clone)]
pub enum Bells {
    /// A stream of the stack's Redis.
    Stream,
    Sqs {
        endpoint: String,
        queue_url: String,
        /// Bells of `notify`.
        notify_queue_url: String,
        /// Bells of `deliver`.
        deliver_queue_url: String,
        /// Seconds after which a message that was not deleted is delivered again; `None`: as the queue says.
        visibility: Option<u16>,
    },
}

/// How often a bell is lost or delivered twice: shares from 0 to 1, drawn from a seed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BellFaults {
    pub seed: u64,
    /// Deleted, and no worker hears of it.
    pub drop: f64,
    /// Two workers hear of it.
    pub duplicate: f64,
}

/// Where artifacts are kept.
#[derive(Debug, Clone)]
pub enum Artifacts {
    /// Files in the stack's own folder.
    Own,
    Folder(PathBuf),
    S3 {
        endpoint: String,
        bucket: String,
        prefix: String,
    },
}

/// Who is at `OLLAMA_URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OllamaChoice {
    /// It is not set: there is no model `ollama`.
    Nobody,
    StandIn,
    Url(String),
}

/// Which Redis.
#[derive(Debug, Clone)]
pub enum RedisChoice {
    /// Its own process; `durable` keeps the line over a restart of the stack.
    Own {
        durable: bool,
    },
    /// Its own process, of this kind.
    Kind(RedisKind),
    Url(String),
}

/// Fixed ports of the loopback address; `None` is a free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    pub api: Option<u16>,
    pub redis: Option<u16>,
    pub jen1: Option<u16>,
    pub muscgen: Option<u16>,
    pub ollama: Option<u16>,
    pub sockets: Option<u16>,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            bells: Bells::Stream,
            artifacts: Artifacts::Own,
            redis: RedisChoice::Own { durable: false },
            jen1_url: None,
            muscgen_url: None,
            ollama: OllamaChoice::Nobody,
            callbacks: true,
            workers: 4,
            bell_faults: BellFaults::default(),
            proxy: false,
            comeback: Duration::from_secs(5),
            gpus: 4,
            invocation: Duration::from_secs(900),
            sweep_every: Duration::from_secs(10),
            partition: "tutti".to_owned(),
            secret: None,
            ports: Ports::default(),
            sockets: SocketLimits::default(),
            watch: false,
            folder: None,
            env: Vec::new(),
        }
    }
}
