//! One Redis connection that heals: what a thawed Lambda, a failover and a black hole leave behind is replaced, not waited for.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline,
    ProtocolVersion, RedisError, RedisFuture, ScriptInvocation, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::queue::QueueError;

/// An answer later than this is no answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
/// TCP, TLS and handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);
/// A caller hears of a dead Redis by then, with its one retry, and also when many callers wait for one new connection.
const DEADLINE: Duration = Duration::from_millis(1900);
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

enum Server {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

#[derive(Default)]
struct Current {
    connection: Option<Connection>,
    /// Grows with each replacement, so that of many callers with one dead connection only the first replaces it.
    number: u64,
    last_use: Option<SystemTime>,
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
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
    /// `redis://` or `rediss://`; `?cluster=true` speaks to a cluster. Connects at the first use.
    pub fn open(address: &str) -> Result<Self, RedisError> {
        let (address, cluster) = take_cluster_flag(address)?;
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(Duration::from_secs(10)));
        let info = address.into_connection_info()?;
        let settings = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        let info = info
            .set_redis_settings(settings)
            .set_tcp_settings(tcp.clone());
        let server = if cluster {
            let builder = ClusterClient::builder([info])
                .use_protocol(ProtocolVersion::RESP3)
                .tcp_settings(tcp)
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(RESPONSE_TIMEOUT)
                .overall_response_timeout(Some(RESPONSE_TIMEOUT * 2))
                .retries(1);
            Server::Cluster(Box::new(builder.build()?))
        } else {
            Server::Single(Box::new(Client::open(info)?))
        };
        let current = Mutex::new(Current::default());
        Ok(Self {
            inner: Arc::new(Inner { server, current }),
        })
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

impl Server {
    async fn connect(&self) -> Result<Connection, RedisError> {
        match self {
            Self::Single(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT));
                let connection = client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?;
                Ok(Connection::Single(connection))
            }
            Self::Cluster(client) => {
                let connect = client.get_async_connection();
                let connection = tokio::time::timeout(CONNECT_TIMEOUT * 2, connect).await;
                Ok(Connection::Cluster(connection.map_err(|_| timed_out())??))
            }
        }
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
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
        || error.is_connection_dropped()
        || is_read_only(error)
}

/// Of a server that was the master before a failover.
fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

fn take_cluster_flag(address: &str) -> Result<(String, bool), RedisError> {
    let malformed =
        |_| RedisError::from((ErrorKind::InvalidClientConfig, "REDIS_URL is not a URL"));
    let mut url = Url::parse(address).map_err(malformed)?;
    let (flags, rest): (Vec<_>, Vec<_>) = url
        .query_pairs()
        .into_owned()
        .partition(|(name, _)| name == "cluster");
    let cluster = flags.iter().any(|(_, value)| value == "true");
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    Ok((url.to_string(), cluster))
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(c) => c.req_packed_command(cmd),
            Self::Cluster(c) => c.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(c) => c.req_packed_commands(pipeline, offset, count),
            Self::Cluster(c) => c.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(c) => c.get_db(),
            Self::Cluster(c) => c.get_db(),
        }
    }
}
