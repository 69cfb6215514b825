//! One Redis connection that heals: what a thawed Lambda, a failover and a black hole leave behind is replaced, not waited for.
//!
//! A server that is slow is no dead connection: a call that is not answered is waited for to the end of its time, and sent again only
//! when a fresh connection to the same server answers before the old one does.

mod address;
mod budget;
mod server;

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use redis::{
    Arg, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Script, ScriptInvocation,
    ServerErrorKind,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use self::address::RedisAddress;
use self::budget::Budget;
use self::server::{Connection, DEADLINE, Server, timed_out};
use crate::queue::QueueError;

/// A connection that is silent for so long is compared with a fresh one.
const SUSPICIOUS: Duration = Duration::from_millis(500);
/// The longest pause before a call is sent again, or a server that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(150);
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
    /// Held by the one call that looks for a fresh connection for all.
    healing: Mutex<()>,
    budget: Budget,
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

/// One command, as a script that a full Redis runs all the same.
static THOUGH_FULL: LazyLock<Script> =
    LazyLock::new(|| Script::new("#!lua flags=allow-oom\nreturn redis.call(unpack(ARGV))"));

impl Redis {
    /// `redis://`, or `rediss://` for TLS; `?cluster=true` speaks to a cluster, `?ca=FILE` names the PEM file of the
    /// authorities to trust in place of the public ones. Connects at the first use.
    pub fn open(address: &str) -> Result<Self, RedisError> {
        let server = Server::at(RedisAddress::parse(address)?)?;
        Ok(Self {
            inner: Arc::new(Inner {
                server,
                current: Mutex::default(),
                healing: Mutex::default(),
                budget: Budget::default(),
            }),
        })
    }

    /// Of the server at such an address, or of one node of the cluster: for tools, which need no connection that heals.
    pub fn client(address: &str) -> Result<Client, RedisError> {
        RedisAddress::parse(address)?.client()
    }

    /// Runs one command.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        self.ask(Call::Command(command)).await
    }

    /// Runs one command, whose first argument is its key, also on a Redis that is full: for small notes of work that goes on.
    pub async fn write<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        let mut words = command.args_iter().filter_map(|word| match word {
            Arg::Simple(word) => Some(word),
            _ => None,
        });
        let (name, key) = (words.next(), words.next());
        let mut script = THOUGH_FULL.key(key.unwrap_or_default());
        for word in name.into_iter().chain(key).chain(words) {
            script.arg(word);
        }
        self.invoke(&script).await
    }

    /// Runs one script, loading it where it is unknown.
    pub async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        self.ask(Call::Script(script)).await
    }

    /// Runs some commands in one round trip.
    pub async fn pipe<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueueError> {
        self.ask(Call::Pipeline(pipeline)).await
    }

    /// Sends a call, and once more over a fresh connection where the first one is dead. Safe because each of our scripts and commands
    /// may be sent twice.
    async fn ask<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, QueueError> {
        let deadline = Instant::now() + DEADLINE;
        self.inner.budget.earn();
        let opened = by(deadline, self.connection()).await;
        let (connection, number) = opened.map_err(QueueError::OutOfReach)?;
        let mut first = pin!(call.send(connection));
        let first = tokio::select! {
            biased;
            answer = &mut first => match answer {
                Err(error) if is_dead(&error) => error,
                answer => return Ok(answer?),
            },
            () = self.outlive(number) => timed_out(),
            () = sleep_until(deadline) => return Err(timed_out().into()),
        };
        if !self.inner.budget.spend() {
            self.drop_connection(number).await;
            return Err(first.into());
        }
        let second = by(deadline, self.send_anew(number, call)).await;
        // What the first call did may be unknown: that the second was refused must not hide it.
        let refused = is_read_only(&first);
        second.map_err(|second| if refused { second } else { first }.into())
    }

    /// Returns when a connection has been silent for long and a fresh one is not.
    async fn outlive(&self, number: u64) {
        sleep(SUSPICIOUS).await;
        while self.replace(number).await.is_err() {}
        // A server that was slow answers over both; the old one is heard first.
        pause().await;
    }

    async fn send_anew<T: FromRedisValue>(
        &self,
        dead: u64,
        call: Call<'_>,
    ) -> Result<T, RedisError> {
        self.replace(dead).await?;
        let (connection, number) = self.connection().await?;
        let answer = call.send(connection).await;
        if answer.as_ref().is_err_and(is_dead) {
            self.drop_connection(number).await;
        }
        answer
    }

    /// Puts a fresh connection in the place of this one, unless somebody did. One call at a time tries it, and pauses after a failure:
    /// a server that has fallen silent is not asked by all at once.
    async fn replace(&self, number: u64) -> Result<(), RedisError> {
        let _healing = self.inner.healing.lock().await;
        if self.inner.current.lock().await.number != number {
            return Ok(());
        }
        pause().await;
        match self.inner.server.connect().await {
            Ok(fresh) => {
                self.inner.current.lock().await.renew(fresh);
                Ok(())
            }
            Err(error) => {
                pause().await;
                Err(error)
            }
        }
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
                current.renew(fresh.clone());
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

impl Current {
    fn renew(&mut self, fresh: Connection) {
        self.connection = Some(fresh);
        self.number += 1;
        self.last_use = Some(SystemTime::now());
    }
}

/// So that many callers of one server do not come back at the same moment.
async fn pause() {
    sleep(PAUSE.mul_f64(fastrand::f64())).await;
}

async fn by<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    let answer = tokio::time::timeout_at(deadline, call).await;
    answer.map_err(|_| timed_out())?
}

/// Of the connection, or of what stands at its other end. That an answer is late proves neither.
fn is_dead(error: &RedisError) -> bool {
    let broken = error.is_io_error() || error.is_unrecoverable_error();
    broken && !error.is_timeout() || is_read_only(error)
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

    async fn is_replaced_after_a_rest(kind: RedisKind) {
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

    #[tokio::test]
    async fn a_connection_that_rested_as_in_a_frozen_lambda_is_replaced_before_its_use() {
        for kind in [RedisKind::Plain, RedisKind::Cluster] {
            is_replaced_after_a_rest(kind).await;
        }
    }

    #[tokio::test]
    async fn a_connection_that_rested_is_replaced_before_its_use_over_tls() {
        is_replaced_after_a_rest(RedisKind::Tls).await;
    }
}
