//! One Redis connection that heals: what a thawed Lambda, a failover and a black hole leave behind is replaced, not waited for.

mod address;
mod server;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ScriptInvocation, ServerErrorKind,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::address::RedisAddress;
use self::server::{Connection, Server, timed_out};
use crate::queue::QueueError;

/// A caller hears of a dead Redis by then, with its one retry, and also when many callers wait for one new connection.
const DEADLINE: Duration = Duration::from_millis(1700);
/// A connection that rested longer by the wall clock may have been frozen with its Lambda.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// A handle to share; cloning is cheap.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    connection: Option<Connection>,
    /// Grows with each replacement, so that of many callers with one dead connection only the first replaces it.
    number: u64,
    last_use: Option<SystemTime>,
}

/// What can be sent.
#[derive(Clone, Copy)]
enum Call<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
    Pipeline(&'a Pipeline),
}

impl Call<'_> {
    async fn send<T: FromRedisValue>(self, mut to: Connection) -> Result<T, RedisError> {
        match self {
            Self::Command(command) => command.query_async(&mut to).await,
            Self::Script(script) => script.invoke_async(&mut to).await,
            Self::Pipeline(pipeline) => pipeline.query_async(&mut to).await,
        }
    }
}

impl Redis {
    /// `redis://`, or `rediss://` for TLS; `?cluster=true` speaks to a cluster, `?ca=FILE` names the PEM file of the
    /// authorities to trust in place of the public ones. Connects at the first use.
    pub fn open(address: &str) -> Result<Self, RedisError> {
        let server = Server::at(RedisAddress::parse(address)?)?;
        let current = Mutex::new(Current::default());
        Ok(Self {
            inner: Arc::new(Inner { server, current }),
        })
    }

    /// Of the server at such an address, or of one node of the cluster: for tools, which need no connection that heals.
    pub fn client(address: &str) -> Result<Client, RedisError> {
        RedisAddress::parse(address)?.client()
    }

    /// Runs one command.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        self.retry_once(Call::Command(command)).await
    }

    /// Runs one script, loading it where it is unknown.
    pub async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        self.retry_once(Call::Script(script)).await
    }

    /// Runs some commands in one round trip.
    pub async fn pipe<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueueError> {
        self.retry_once(Call::Pipeline(pipeline)).await
    }

    /// Safe because each of our scripts and commands may be sent twice.
    async fn retry_once<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, QueueError> {
        let deadline = Instant::now() + DEADLINE;
        let opened = by(deadline, self.connection()).await;
        let (connection, number) = opened.map_err(QueueError::OutOfReach)?;
        let first = match by(deadline, call.send(connection)).await {
            Err(error) if is_worth_a_new_connection(&error) => error,
            answer => return Ok(answer?),
        };
        let second = by(deadline, self.send_anew(number, call)).await;
        // What the first call did may be unknown: that the second was refused must not hide it.
        let refused = is_read_only(&first);
        second.map_err(|second| if refused { second } else { first }.into())
    }

    async fn send_anew<T: FromRedisValue>(
        &self,
        dead: u64,
        call: Call<'_>,
    ) -> Result<T, RedisError> {
        self.drop_connection(dead).await;
        let (connection, number) = self.connection().await?;
        let answer = call.send(connection).await;
        if answer.as_ref().is_err_and(is_worth_a_new_connection) {
            self.drop_connection(number).await;
        }
        answer
    }

    async fn connection(&self) -> Result<(Connection, u64), RedisError> {
        let mut current = self.inner.current.lock().await;
        let rested = current.last_use.is_some_and(|at| {
            SystemTime::now()
                .duration_since(at)
                .map_or(true, |d| d > IDLE_LIMIT)
        });
        if rested {
            current.connection = None;
        }
        let connection = match &current.connection {
            Some(connection) => connection.clone(),
            None => {
                let fresh = self.inner.server.connect().await?;
                current.number += 1;
                current.connection = Some(fresh.clone());
                fresh
            }
        };
        current.last_use = Some(SystemTime::now());
        Ok((connection, current.number))
    }

    async fn drop_connection(&self, number: u64) {
        let mut current = self.inner.current.lock().await;
        if current.number == number {
            current.connection = None;
        }
    }
}

async fn by<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    let answer = tokio::time::timeout_at(deadline, call).await;
    answer.map_err(|_| timed_out())?
}

fn is_worth_a_new_connection(error: &RedisError) -> bool {
    error.is_timeout()
        || error.is_io_error()
        || error.is_unrecoverable_error()
        || is_read_only(error)
}

/// Of a server that was the master before a failover.
fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

#[cfg(test)]
mod tests {
    use super::*;
    use local::redis::RedisKind;

    async fn connection_id(redis: &Redis) -> u64 {
        redis.run(redis::cmd("CLIENT").arg("ID")).await.unwrap()
    }

    #[tokio::test]
    async fn a_connection_that_rested_as_in_a_frozen_lambda_is_replaced_before_its_use() {
        for kind in [RedisKind::Plain, RedisKind::Tls, RedisKind::Cluster] {
            let server = local::Redis::of(kind).await.unwrap();
            let redis = Redis::open(server.url()).unwrap();
            let rest = async |time: Duration| {
                let now = SystemTime::now();
                redis.inner.current.lock().await.last_use = now.checked_sub(time);
            };
            let first = connection_id(&redis).await;
            rest(IDLE_LIMIT / 2).await;
            assert_eq!(connection_id(&redis).await, first, "{kind:?}");
            rest(IDLE_LIMIT * 2).await;
            assert!(connection_id(&redis).await > first, "{kind:?}");
            server.stop().await;
        }
    }
}
