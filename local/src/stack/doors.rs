//! What the owner of a stack may ask of it and do to it.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::Stack;
use crate::error::{HarnessError, Result};
use crate::models::Model;
use crate::process::Kept;
use crate::proxy::Proxy;
use crate::redis::Redis;
use crate::sweep;
use crate::token::mint;

impl Stack {
    /// Base address of the HTTP API.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Address of the sockets.
    pub fn sockets(&self) -> String {
        format!("ws://127.0.0.1:{}", self.beside.gateway().port())
    }

    /// Closes the TCP connection of every open socket, without a closing frame.
    pub fn cut_sockets(&self) {
        self.beside.gateway().cut();
    }

    /// What the functions have as `REDIS_URL`.
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Its own Redis, to stop and to start again; `None` when it was given one.
    pub fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    /// The wire between the functions and its own Redis, where the options asked for one.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// What the functions have as `PARTITION`.
    pub fn partition(&self) -> &str {
        &self.options.partition
    }

    /// Base address of the planner.
    pub fn jen1(&self) -> &str {
        self.jen1.url()
    }

    /// Base address of the generator.
    pub fn muscgen(&self) -> &str {
        self.muscgen.url()
    }

    /// Base address of the other planner, where there is one.
    pub fn ollama(&self) -> Option<&str> {
        self.ollama.as_ref().map(Model::url)
    }

    /// The secret that signs this stack's tokens.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The folder of this run: log, Redis files, `artifacts/` unless they are elsewhere.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A token for `sub`, good for an hour.
    pub fn token(&self, role: &str, sub: &str) -> Result<String> {
        mint(&self.secret, role, sub, Duration::from_secs(3600))
    }

    /// The one log file.
    pub fn logs(&self) -> &Path {
        self.house.log.path()
    }

    /// What the functions and the harness wrote so far, oldest first.
    pub fn log_lines(&self) -> Vec<Value> {
        self.house.log.json_lines()
    }

    /// Invokes a function with an event of your own, as the cloud would.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value> {
        self.invoker.invoke(function, event).await
    }

    /// One sweep now, beside those of the timer.
    pub async fn sweep(&self) -> Result<Value> {
        self.invoke("sweep", &sweep::scheduled_event()).await
    }

    /// The processes of a function or stand-in, by the number that [`Self::kill`] takes; `None`: about to be started again.
    pub fn pids(&self, name: &str) -> Vec<Option<u32>> {
        self.named(name).map(Kept::pid).collect()
    }

    /// Sends `signal` to one of its own processes, and to nothing else.
    pub fn kill(&self, name: &str, index: usize, signal: Signal) -> Result<()> {
        let missing = || HarnessError::NoSuchProcess {
            name: name.to_owned(),
            index,
        };
        self.named(name)
            .nth(index)
            .ok_or_else(missing)?
            .signal(signal)
    }

    /// Kills every process of a function or stand-in; they are started again after `span`, counted from now. Returns at once.
    pub fn hold_down(&self, name: &str, span: Duration) -> Result<()> {
        let missing = || HarnessError::NoSuchProcess {
            name: name.to_owned(),
            index: 0,
        };
        let mut all = self.named(name).peekable();
        all.peek().ok_or_else(missing)?;
        all.for_each(|kept| kept.hold_down(span));
        Ok(())
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Kept> {
        self.functions
            .iter()
            .chain(self.jen1.kept())
            .chain(self.muscgen.kept())
            .chain(self.ollama.as_ref().and_then(Model::kept))
            .filter(move |kept| kept.program.name == name)
    }
}
