//! Bells from a Redis stream, and the delayed ones of the sorted set beside it; how they get there is told in
//! `shared::doorbell`.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamClaimReply, StreamId, StreamPendingCountReply, StreamReadReply};
use redis::{AsyncCommands, AsyncConnectionConfig, RedisResult};

use super::{Delivery, Doorbell, InFlight, Receipt as AnyReceipt};
use crate::error::Result;

const READER: &str = "pump";

/// How long a read waits for a bell; the delayed ones are looked at as often.
const BLOCK: Duration = Duration::from_millis(250);

/// A delivery that failed is made again after this.
const REDELIVER: Duration = Duration::from_secs(5);

/// A bell that was delivered this often in vain is dropped, as a queue with a dead-letter queue would.
const MOST_DELIVERIES: u64 = 20;

/// Bounds what one round looks at.
const PAGE: usize = 100;

/// Deletes one entry.
#[derive(Debug)]
pub(super) struct Receipt {
    connection: MultiplexedConnection,
    stream: String,
    group: &'static str,
    id: String,
}

impl Receipt {
    pub(super) async fn delete(mut self) -> Result<()> {
        let mut both = redis::pipe();
        both.xack(&self.stream, &[self.group], &[&self.id])
            .xdel(&self.stream, &[&self.id]);
        Ok(both.exec_async(&mut self.connection).await?)
    }
}

/// The reading end.
#[derive(Debug)]
pub(crate) struct Stream {
    client: redis::Client,
    bell: String,
    later: String,
    group: &'static str,
    connections: Option<Connections>,
    looked_back: Instant,
}

/// A read that waits blocks its connection, so everything else has another.
#[derive(Debug, Clone)]
struct Connections {
    reads: MultiplexedConnection,
    writes: MultiplexedConnection,
}

impl Stream {
    pub(crate) fn new(redis_url: &str, partition: &str, doorbell: &Doorbell) -> Result<Self> {
        let Doorbell { stream, group, .. } = doorbell;
        Ok(Self {
            client: shared::queue::Redis::client(redis_url)?,
            bell: format!("{{{partition}}}:{stream}"),
            later: format!("{{{partition}}}:{stream}_later"),
            group,
            connections: None,
            looked_back: Instant::now(),
        })
    }

    /// Connects, and makes the group again, whenever the round before failed: Redis may have been restarted or emptied.
    pub(super) async fn receive(
        &mut self,
        room: usize,
        in_flight: &InFlight,
    ) -> Result<Vec<Delivery>> {
        let mut connections = match self.connections.take() {
            Some(connections) => connections,
            None => self.connect().await?,
        };
        let found = self.round(&mut connections, room, in_flight).await?;
        let writes = &connections.writes;
        let deliveries = found
            .into_iter()
            .map(|(entry, count)| self.delivery(entry, count, writes))
            .collect();
        self.connections = Some(connections);
        Ok(deliveries)
    }

    async fn connect(&self) -> RedisResult<Connections> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(BLOCK + Duration::from_secs(2)));
        let connect = || {
            self.client
                .get_multiplexed_async_connection_with_config(&config)
        };
        let mut writes = connect().await?;
        let reads = connect().await?;
        match writes
            .xgroup_create_mkstream(&self.bell, self.group, "0")
            .await
        {
            Err(error) if error.code() != Some("BUSYGROUP") => return Err(error),
            Err(_) | Ok(()) => {}
        }
        Ok(Connections { reads, writes })
    }

    async fn round(
        &mut self,
        connections: &mut Connections,
        room: usize,
        in_flight: &InFlight,
    ) -> RedisResult<Vec<(StreamId, u64)>> {
        self.move_due(&mut connections.writes).await?;
        if self.looked_back.elapsed() > Duration::from_secs(1) {
            self.looked_back = Instant::now();
            let again = self.claim(&mut connections.writes, room, in_flight).await?;
            if !again.is_empty() {
                return Ok(again);
            }
        }
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(self.group).arg(READER);
        read.arg("COUNT")
            .arg(room)
            .arg("BLOCK")
            .arg(BLOCK.as_millis() as u64);
        read.arg("STREAMS").arg(&self.bell).arg(">");
        let reply: Option<StreamReadReply> = read.query_async(&mut connections.reads).await?;
        let streams = reply.map_or_else(Vec::new, |reply| reply.keys);
        Ok(streams
            .into_iter()
            .flat_map(|stream| stream.ids)
            .map(|entry| (entry, 1))
            .collect())
    }

    /// Who removes the member adds the entry, so several readers never move one bell twice.
    async fn move_due(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(connection).await?;
        let now = seconds * 1000 + micros / 1000;
        let due: Vec<String> = connection
            .zrangebyscore_limit(&self.later, 0, now, 0, PAGE as isize)
            .await?;
        for bell in due {
            let removed: u64 = connection.zrem(&self.later, &bell).await?;
            if removed == 1 {
                let _: String = connection.xadd(&self.bell, "*", &[("body", &bell)]).await?;
            }
        }
        Ok(())
    }

    /// Deliveries whose function failed, or whose pump is gone.
    async fn claim(
        &self,
        connection: &mut MultiplexedConnection,
        room: usize,
        in_flight: &InFlight,
    ) -> RedisResult<Vec<(StreamId, u64)>> {
        let idle = REDELIVER.as_millis() as u64;
        let mut ask = redis::cmd("XPENDING");
        ask.arg(&self.bell)
            .arg(self.group)
            .arg("IDLE")
            .arg(idle)
            .arg("-")
            .arg("+")
            .arg(PAGE);
        let pending: StreamPendingCountReply = ask.query_async(connection).await?;
        let mut claimed = Vec::new();
        for bell in pending
            .ids
            .iter()
            .filter(|bell| !in_flight.contains(&bell.id))
        {
            let count = bell.times_delivered as u64;
            if count >= MOST_DELIVERIES {
                let mut drop = redis::pipe();
                drop.xack(&self.bell, &[self.group], &[&bell.id])
                    .xdel(&self.bell, &[&bell.id]);
                drop.exec_async(connection).await?;
            } else if claimed.len() < room {
                // An entry that was deleted meanwhile is not answered.
                let reply: StreamClaimReply = connection
                    .xclaim(&self.bell, self.group, READER, idle, &[&bell.id])
                    .await?;
                claimed.extend(reply.ids.into_iter().map(|entry| (entry, count + 1)));
            }
        }
        Ok(claimed)
    }

    fn delivery(&self, entry: StreamId, count: u64, writes: &MultiplexedConnection) -> Delivery {
        let receipt = Receipt {
            connection: writes.clone(),
            stream: self.bell.clone(),
            group: self.group,
            id: entry.id.clone(),
        };
        Delivery {
            // A bell without a body still reaches the function, which refuses it.
            body: entry.get("body").unwrap_or_default(),
            id: entry.id,
            count,
            receipt: AnyReceipt::Stream(receipt),
        }
    }
}
