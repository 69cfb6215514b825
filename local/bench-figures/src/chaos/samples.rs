//! Looks into Redis, several times a second, past the spoiled wire.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::history::{Queue, Sample, now};
use super::options::{SLOTS, TENANT_CAP};

/// Between two looks.
const PACE: Duration = Duration::from_millis(200);
/// A look that takes longer saw nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where to look.
pub(super) struct Sampler {
    pub(super) url: String,
    pub(super) partition: String,
    pub(super) tenants: Vec<String>,
}

/// One tenant at one moment.
struct Tenant {
    waiting: u64,
    running: u64,
    ready: Option<f64>,
}

impl Sampler {
    /// Looks until it is dropped.
    pub(super) async fn watch(self, samples: Arc<Mutex<Vec<Sample>>>) -> RedisResult<()> {
        let client = Client::open(self.url.as_str())?;
        let mut connection = None;
        let mut tick = interval_at(Instant::now() + PACE, PACE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tick.tick().await;
            let late_ms = due.elapsed().as_millis() as i64;
            let look = timeout(PATIENCE, self.look(&client, &mut connection));
            let queue = look.await.ok().and_then(Result::ok);
            if queue.is_none() {
                connection = None;
            }
            let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
            samples.push(Sample {
                at: now(),
                late_ms,
                queue,
            });
        }
    }

    async fn look(
        &self,
        client: &Client,
        connection: &mut Option<MultiplexedConnection>,
    ) -> RedisResult<Queue> {
        let connection = match connection {
            Some(connection) => connection,
            none => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE));
                let fresh = client.get_multiplexed_async_connection_with_config(&config);
                none.insert(fresh.await?)
            }
        };
        self.read(connection).await
    }

    /// All of it in one transaction, so that it is one moment.
    async fn read(&self, connection: &mut MultiplexedConnection) -> RedisResult<Queue> {
        type Clock = (Option<u64>, Option<String>);
        let key = |name: &str| format!("{{{}}}:{name}", self.partition);
        let mut general = redis::pipe();
        general.atomic();
        general.cmd("TIME");
        general.hmget(key("clock"), &["fence", "epoch"]);
        general.zcard(key("lease"));
        for name in ["finish", "lease", "delayed"] {
            general.zrange_withscores(key(name), 0, 0);
        }
        let places = ["q", "run"];
        for tenant in &self.tenants {
            for place in places {
                general.zcard(key(&format!("{place}:{tenant}")));
            }
            general.zscore(key("ready"), tenant);
        }
        let mut answers: Vec<redis::Value> = general.query_async(connection).await?;
        let tenants = answers.split_off(6);
        type Oldest = Vec<(String, f64)>;
        type General = ((i64, i64), Clock, u64, Oldest, Oldest, Oldest);
        let ((seconds, micros), (fence, epoch), running, finish, lease, delayed): General =
            redis::from_redis_value(redis::Value::Array(answers))?;
        let now = seconds * 1000 + micros / 1000;
        let since = |oldest: &Oldest| {
            let age = now - oldest.first()?.1 as i64;
            (age >= 0).then_some(age)
        };
        let mut unready = Vec::new();
        let mut waiting = false;
        for (name, facts) in self.tenants.iter().zip(tenants.chunks(3)) {
            let tenant = tenant(facts)?;
            let may = tenant.waiting > 0 && tenant.running < u64::from(TENANT_CAP);
            waiting |= may;
            if may && tenant.ready.is_none() {
                unready.push(name.clone());
            }
        }
        let finish_due_ms = since(&finish);
        let room = running < u64::from(SLOTS);
        Ok(Queue {
            fence: fence.unwrap_or_default(),
            epoch: epoch.is_some(),
            running,
            could_run: finish_due_ms.is_some() || waiting && room,
            finish_due_ms,
            lease_over_ms: since(&lease),
            retry_due_ms: since(&delayed),
            unready,
        })
    }
}

fn tenant(facts: &[redis::Value]) -> RedisResult<Tenant> {
    let (waiting, running, ready) = redis::from_redis_value(redis::Value::Array(facts.to_vec()))?;
    Ok(Tenant {
        waiting,
        running,
        ready,
    })
}
