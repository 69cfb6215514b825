//! A Redis server of one's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::error::{HarnessError, Result};
use crate::log::Log;
use crate::place::{Scratch, free_port, tool};
use crate::process::{Household, Kept, Program};
use crate::wait::until;

/// A server on the loopback address that ends with its owner.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    program: Program,
    house: Household,
    kept: Mutex<Option<Kept>>,
    _scratch: Option<Scratch>,
}

impl Redis {
    /// An empty one on a free port that forgets everything when it stops.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::new()?;
        let log = Arc::new(Log::create(&scratch.path().join("redis.log"))?);
        let folder = scratch.path().to_owned();
        let mut redis = Self::launch(free_port()?, folder, false, Household::new(log)?).await?;
        redis._scratch = Some(scratch);
        Ok(redis)
    }

    /// One in `folder`; with `durable` it finds there again what it held when it ended.
    pub(crate) async fn launch(
        port: u16,
        folder: PathBuf,
        durable: bool,
        house: Household,
    ) -> Result<Self> {
        std::fs::create_dir_all(&folder)
            .map_err(HarnessError::io(format!("make {}", folder.display())))?;
        let program = Program::new("redis-server", tool("redis-server")?).args([
            "--port".to_owned(),
            port.to_string(),
            "--bind".to_owned(),
            "127.0.0.1".to_owned(),
            "--dir".to_owned(),
            folder.display().to_string(),
            "--save".to_owned(),
            String::new(),
            "--appendonly".to_owned(),
            if durable { "yes" } else { "no" }.to_owned(),
            "--maxmemory-policy".to_owned(),
            "noeviction".to_owned(),
            "--loglevel".to_owned(),
            "warning".to_owned(),
        ]);
        let redis = Self {
            port,
            program,
            house,
            kept: Mutex::default(),
            _scratch: None,
        };
        redis.restart().await?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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
        let client = ::redis::Client::open(self.url())?;
        until(Duration::from_secs(10), async || ping(&client).await)
            .await
            .ok_or_else(|| HarnessError::Silent {
                name: format!("redis-server on port {}", self.port),
                seconds: 10,
                log: self.house.log.path().to_owned(),
                tail: self.house.log.tail(5),
            })
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

    #[tokio::test]
    async fn a_durable_server_remembers() {
        let scratch = Scratch::new().unwrap();
        let log = Arc::new(Log::create(&scratch.path().join("redis.log")).unwrap());
        let folder = scratch.path().join("redis");
        let house = Household::new(log).unwrap();
        let redis = Redis::launch(free_port().unwrap(), folder, true, house)
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
