//! Makes the planned faults, each at its time, and writes down those that were really made.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use local::{Signal, Stack};
use tokio::time::{Instant, sleep, sleep_until};

use super::api::Api;
use super::history::{Injected, Kind, now};
use super::schedule::{Fault, Planned};

/// How long FLUSHALL is tried.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does what is planned to one stack.
pub(crate) struct Injector<'a> {
    stack: &'a Stack,
    api: &'a Api,
    begin: Instant,
    pub(super) made: Arc<Mutex<Vec<Injected>>>,
}

impl<'a> Injector<'a> {
    /// From now on.
    pub(crate) fn new(stack: &'a Stack, api: &'a Api) -> Self {
        Self {
            stack,
            api,
            begin: Instant::now(),
            made: Arc::default(),
        }
    }

    /// Returns when the fault is over.
    pub(super) async fn make(&self, planned: Planned) {
        sleep_until(self.begin + planned.at).await;
        let at = now();
        let Some((kind, worker)) = self.apply(planned.fault).await else {
            return;
        };
        let fault = Injected {
            at,
            until: now(),
            kind,
            worker,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(fault);
    }

    /// Makes one now, and returns when it is over; `None`: it could not be made.
    pub(crate) async fn apply(&self, fault: Fault) -> Option<(Kind, Option<usize>)> {
        match fault {
            Fault::Kill { worker } => {
                self.signal(worker, Signal::SIGKILL)?;
                Some((Kind::Kill, Some(worker)))
            }
            Fault::Freeze { worker, lasts } => {
                // A worker that was killed just now is not there to be frozen; its successor soon is.
                let stopped = local::until(PATIENCE, async || self.signal(worker, Signal::SIGSTOP));
                stopped.await?;
                sleep(lasts).await;
                self.signal(worker, Signal::SIGCONT)?;
                Some((Kind::Freeze, Some(worker)))
            }
            Fault::Restart { down } => {
                let redis = self.stack.redis()?;
                redis.stop().await;
                sleep(down).await;
                redis.restart().await.ok()?;
                Some((Kind::Restart, None))
            }
            Fault::Flush => {
                let url = self.stack.redis()?.url();
                let emptied = local::until(PATIENCE, async || flush(url).await.ok());
                emptied.await?;
                Some((Kind::Flush, None))
            }
            Fault::Hole { lasts } => {
                self.stack.proxy()?.swallow();
                sleep(lasts).await;
                self.stack.proxy()?.mend();
                Some((Kind::Hole, None))
            }
            Fault::Deaf { lasts } => {
                self.stack.proxy()?.swallow_replies();
                sleep(lasts).await;
                self.stack.proxy()?.mend();
                Some((Kind::Deaf, None))
            }
            Fault::Cut => {
                self.stack.proxy()?.cut();
                Some((Kind::Cut, None))
            }
            Fault::Full { lasts } => {
                let url = self.stack.redis()?.url();
                let bound = async |bytes| {
                    local::until(PATIENCE, async || limit_memory(url, bytes).await.ok()).await
                };
                bound("1").await?;
                sleep(lasts).await;
                bound("0").await?;
                Some((Kind::Full, None))
            }
            Fault::ApiHangs { lasts } => {
                self.api.hang(true);
                sleep(lasts).await;
                self.api.hang(false);
                Some((Kind::ApiHangs, None))
            }
            Fault::StoreAway { lasts } => {
                let store = self.stack.folder().join("artifacts");
                let aside = self.stack.folder().join("artifacts-away");
                std::fs::rename(&store, &aside).ok()?;
                // A file where the folder was: so nothing can be written meanwhile either.
                std::fs::write(&store, "").ok()?;
                sleep(lasts).await;
                std::fs::remove_file(&store).ok()?;
                std::fs::rename(&aside, &store).ok()?;
                Some((Kind::StoreAway, None))
            }
        }
    }

    fn signal(&self, worker: usize, signal: Signal) -> Option<()> {
        self.stack.kill("worker", worker, signal).ok()
    }
}

async fn flush(url: &str) -> redis::RedisResult<()> {
    order(url, &redis::cmd("FLUSHALL")).await
}

async fn limit_memory(url: &str, bytes: &str) -> redis::RedisResult<()> {
    let mut limit = redis::cmd("CONFIG");
    order(url, limit.arg("SET").arg("maxmemory").arg(bytes)).await
}

async fn order(url: &str, command: &redis::Cmd) -> redis::RedisResult<()> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    command.exec_async(&mut connection).await
}
