//! A server or a cluster, and one connection to it.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, ProtocolVersion, RedisError, RedisFuture, Value,
};

use super::address::RedisAddress;

/// A caller hears of a dead Redis by then, with its one repeat, and also when many callers wait for one new connection. An answer later
/// than this is no answer.
pub(super) const DEADLINE: Duration = Duration::from_millis(1700);
/// TCP, TLS and handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);

pub(super) enum Server {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Server {
    pub(super) fn at(mut address: RedisAddress) -> Result<Self, RedisError> {
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(Duration::from_secs(10)));
        address.info = address.info.set_tcp_settings(tcp.clone());
        if !address.cluster {
            return Ok(Self::Single(Box::new(address.client()?)));
        }
        let mut builder = ClusterClient::builder([address.info])
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp)
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(DEADLINE)
            // Its own retry follows a key that has moved; a new connection to a silent node is our affair.
            .overall_response_timeout(Some(DEADLINE))
            .retries(1);
        if let Some(certificates) = address.certificates {
            builder = builder.certs(certificates);
        }
        Ok(Self::Cluster(Box::new(builder.build()?)))
    }

    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        match self {
            Self::Single(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(DEADLINE));
                let connection = client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?;
                Ok(Connection::Single(connection))
            }
            Self::Cluster(client) => {
                let connect = client.get_async_connection();
                let connection = tokio::time::timeout(2 * CONNECT_TIMEOUT, connect).await;
                Ok(Connection::Cluster(connection.map_err(|_| timed_out())??))
            }
        }
    }
}

pub(super) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
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
