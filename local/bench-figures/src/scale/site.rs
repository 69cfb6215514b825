//! A queue over a Redis of its own.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use shared::queue::{Acquired, Holder, Policy, Queue, Redis, Settings, Spent};
use shared::stage::Stage;

use super::fill::Load;
use super::memory;
use crate::Result;

/// More than a run has jobs out at a time.
const SLOTS: u32 = 1_024;
const CAP: u32 = 128;
/// Jobs of each kind that stand where nothing is measured, but where every script passes them.
const ELSEWHERE: usize = 32;
/// Longer than a measurement takes.
pub(super) const LONG: Duration = Duration::from_secs(3_600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

pub(super) struct Site {
    pub(super) queue: Queue,
    pub(super) raw: MultiplexedConnection,
    pub(super) load: Load,
    _server: local::Redis,
}

impl Site {
    /// An empty one, made for `jobs`.
    pub(super) async fn start(jobs: usize, per_tenant: usize, seed: u64) -> Result<Self> {
        let server = local::Redis::start().await?;
        let policy = Policy::new(SLOTS, CAP, 10_000, WEEK).limited(1_000_000, 1_000_000);
        let queue = Queue::new(Redis::open(server.url())?, "tutti", policy);
        let client = redis::Client::open(server.url())?;
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(LONG));
        let raw = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let loaded = Settings {
            loaded: true,
            ..Settings::default()
        };
        queue.configure(&loaded).await?;
        Ok(Self {
            queue,
            raw,
            load: Load::new((jobs / per_tenant).max(1), seed),
            _server: server,
        })
    }

    pub(super) async fn fill(&mut self, jobs: usize) -> Result<()> {
        Ok(self.load.fill(&self.queue, jobs).await?)
    }

    /// Some jobs run at a model, rest before a retry, and wait to be finished.
    pub(super) async fn busy(&mut self) -> Result<()> {
        for holder in self.acquire(3 * ELSEWHERE).await?.iter().enumerate() {
            let (number, holder) = holder;
            let none = Spent::default();
            match number % 3 {
                0 => {
                    self.queue.advance(holder, Stage::Audio, none).await?;
                    self.queue.park(holder, Stage::Audio, LONG, none).await?;
                }
                1 => {
                    self.queue.advance(holder, Stage::Finish, none).await?;
                    self.queue.release(holder, LONG, "busy", none).await?;
                }
                _ => {
                    self.queue.release(holder, LONG, "busy", none).await?;
                }
            }
        }
        Ok(())
    }

    /// That many jobs, acquired.
    pub(super) async fn acquire(&self, jobs: usize) -> Result<Vec<Holder>> {
        let mut holders = Vec::with_capacity(jobs);
        for _ in 0..jobs {
            match self.queue.acquire().await?.outcome {
                Acquired::Job(_, holder, _) => holders.push(holder),
                other => return Err(format!("no job, but {other:?}").into()),
            }
        }
        Ok(holders)
    }

    /// Bytes that Redis uses for what it holds.
    pub(super) async fn used(&mut self) -> Result<u64> {
        Ok(memory::used(&mut self.raw).await?)
    }

    /// The same, when no table of keys is being enlarged any more.
    pub(super) async fn settled(&mut self) -> Result<u64> {
        let mut last = self.used().await?;
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.used().await?;
            if now.abs_diff(last) < 10_000 {
                return Ok(now);
            }
            last = now;
        }
        Err("the memory that Redis uses does not come to rest".into())
    }
}
