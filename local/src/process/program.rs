//! What is run, and what it is given.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::error::{HarnessError, Result};
use crate::log::Log;
use crate::place::{root, variable};

/// What of the caller's own environment every child sees.
const INHERITED: [&str; 10] = [
    "PATH",
    "HOME",
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
    "RUSTUP_HOME",
    "RUSTFLAGS",
    "TMPDIR",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What to run; the same again after each death.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// Tells copies of one program apart.
    pub(crate) index: usize,
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    /// The longest pause before it is started again.
    pub(crate) comeback: Duration,
    /// It prints `listening on <address>` on its standard output when it is ready.
    pub(crate) announces: bool,
}

impl Program {
    pub(crate) fn new(name: &str, path: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            index: 0,
            path,
            args: Vec::new(),
            env: Vec::new(),
            folder: root().to_owned(),
            comeback: Duration::from_secs(5),
            announces: false,
        }
    }

    pub(crate) fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    pub(super) fn spawn(&self, log: &Log) -> Result<Child> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.args)
            .current_dir(&self.folder)
            .env_clear()
            .envs(
                INHERITED
                    .iter()
                    .filter_map(|&name| Some((name, variable(name)?))),
            )
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(log.stdio()?)
            .stdout(if self.announces {
                Stdio::piped()
            } else {
                log.stdio()?
            })
            // A group of its own: Ctrl-C reaches only the harness, which then stops all in order.
            .process_group(0)
            .kill_on_drop(true);
        command
            .spawn()
            .map_err(HarnessError::io(format!("start {}", self.path.display())))
    }
}
