//! A Redis server of one's own.

mod credentials;
mod engine;
mod kind;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use shared::queue::Redis as Client;
use tokio::sync::Mutex;

use crate::error::{HarnessError, Result};
use crate::log::Log;
use crate::place::{Scratch, free_port};
use crate::process::{Household, Kept, Program};
use crate::wait::until;

pub use kind::{RedisKind, take_every_slot};

/// A server on the loopback address that ends with its owner.
#[derive(Debug)]
pub struct Redis {
    kind: RedisKind,
    port: u16,
    url: String,
    program: Program,
    house: Household,
    kept: Mutex<Option<Kept>>,
    _scratch: Option<Scratch>,
}

impl Redis {
    /// An empty one on a free port that forgets everything when it stops.
    pub async fn start() -> Result<Self> {
        Self::of(RedisKind::Plain).await
    }

    /// The same, of this kind.
    pub async fn of(kind: RedisKind) -> Result<Self> {
        let scratch = Scratch::new()?;
        let log = Arc::new(Log::create(&scratch.path().join("redis.log"))?);
        let folder = scratch.path().to_owned();
        let mut redis =
            Self::launch(kind, free_port()?, folder, false, Household::new(log)?).await?;
        redis._scratch = Some(scratch);
        Ok(redis)
    }

    /// One in `folder`; with `durable` it finds there again what it held when it ended.
    pub(crate) async fn launch(
        kind: RedisKind,
        port: u16,
        folder: PathBuf,
        durable: bool,
        house: Household,
    ) -> Result<Self> {
        std::fs::create_dir_all(&folder)
            .map_err(HarnessError::io(format!("make {}", folder.display())))?;
        let mut args = kind.arguments(port, &folder)?;
        let append_only = if durable { "yes" } else { "no" };
        args.extend(["--save", "", "--appendonly", append_only].map(str::to_owned));
        args.extend(["--maxmemory-policy", "noeviction"].map(str::to_owned));
        args.extend(["--loglevel", "warning"].map(str::to_owned));
        let program = Program::new("redis-server", kind.program()?).args(args);
        let redis = Self {
            kind,
            port,
            url: kind.url(port)?,
            program,
            house,
            kept: Mutex::default(),
            _scratch: None,
        };
        redis.restart().await?;
        Ok(redis)
    }

    /// As `REDIS_URL`: with the password and the authority, if it has them.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends `signal` to the server: one that is stopped so is there and silent.
    pub async fn signal(&self, signal: Signal) -> Result<()> {
        let missing = || HarnessError::NoSuchProcess {
            name: self.program.name.clone(),
            index: 0,
        };
        let kept = self.kept.lock().await;
        kept.as_ref().ok_or_else(missing)?.signal(signal)
    }

    /// Kills the server; it is started again after `span`, counted from now. Returns at once.
    pub async fn hold_down(&self, span: Duration) -> Result<()> {
        let missing = || HarnessError::NoSuchProcess {
            name: self.program.name.clone(),
            index: 0,
        };
        let kept = self.kept.lock().await;
        kept.as_ref().ok_or_else(missing)?.hold_down(span);
        Ok(())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server; the port stays reserved for [`Self::restart`] by nobody but chance.
    pub async fn stop(&self) {
        if let Some(kept) = self.kept.lock().await.take() {
            kept.stop().await;
        }
    }

    /// Starts it on the same port, stopped before or not; returns when it answers.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await;
        *self.kept.lock().await = Some(Kept::start(self.program.clone(), &self.house)?);
        let client = Client::client(&self.url)?;
        until(Duration::from_secs(10), async || self.serves(&client).await)
            .await
            .ok_or_else(|| HarnessError::Silent {
                name: self.program.name.clone(),
                seconds: 10,
                log: self.house.log.path().to_owned(),
                tail: self.house.log.tail(5),
            })
    }

    async fn serves(&self, client: &::redis::Client) -> Option<()> {
        if !self.kind.is_cluster() {
            return ping(client).await;
        }
        let mut node = client.get_multiplexed_async_connection().await.ok()?;
        let mut about = ::redis::cmd("CLUSTER");
        let state: String = about.arg("INFO").query_async(&mut node).await.ok()?;
        if state.contains("cluster_slots_assigned:0") {
            take_every_slot().exec_async(&mut node).await.ok()?;
        }
        state.contains("cluster_state:ok").then_some(())
    }
}

/// The server answers, and has loaded what it keeps.
pub(crate) async fn ping(client: &::redis::Client) -> Option<()> {
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    ::redis::cmd("PING").exec_async(&mut connection).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::redis::AsyncCommands;

    #[tokio::test]
    async fn a_restarted_server_is_empty_and_has_the_same_address() {
        let redis = Redis::start().await.unwrap();
        let client = ::redis::Client::open(redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = connection.set("key", "value").await.unwrap();

        redis.stop().await;
        assert!(ping(&client).await.is_none());
        redis.restart().await.unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let value: Option<String> = connection.get("key").await.unwrap();
        assert_eq!(value, None);
        redis.stop().await;
    }

    async fn answers_also_after_a_restart(kind: RedisKind) {
        let redis = Redis::of(kind).await.unwrap();
        redis.restart().await.unwrap();
        let client = Client::open(redis.url()).unwrap();
        let set: String = client.run(&::redis::Cmd::set("key", 1)).await.unwrap();
        assert_eq!(set, "OK", "{kind:?}");
        redis.stop().await;
    }

    #[tokio::test]
    async fn a_cluster_answers_at_its_address_also_after_a_restart() {
        answers_also_after_a_restart(RedisKind::Cluster).await;
    }

    #[tokio::test]
    async fn a_server_answers_at_its_address_over_tls_also_after_a_restart() {
        for kind in [RedisKind::Tls, RedisKind::TlsCluster] {
            answers_also_after_a_restart(kind).await;
        }
    }

    #[tokio::test]
    async fn a_durable_server_remembers() {
        let scratch = Scratch::new().unwrap();
        let log = Arc::new(Log::create(&scratch.path().join("redis.log")).unwrap());
        let folder = scratch.path().join("redis");
        let house = Household::new(log).unwrap();
        let redis = Redis::launch(RedisKind::Plain, free_port().unwrap(), folder, true, house)
            .await
            .unwrap();
        let client = ::redis::Client::open(redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = connection.set("key", "value").await.unwrap();
        redis.restart().await.unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let value: Option<String> = connection.get("key").await.unwrap();
        assert_eq!(value.as_deref(), Some("value"));
        redis.stop().await;
    }
}
