//! Bells through a Redis stream, for machines without SQS.

use std::time::Duration;

use super::{Bell, RingError};
use crate::queue::{Redis, millis};

const MOST_ENTRIES: usize = 10_000;

#[derive(Clone)]
pub(super) struct Stream {
    redis: Redis,
    now: String,
    later: String,
}

impl Stream {
    pub(super) fn new(redis: Redis, now: String, later: String) -> Self {
        Self { redis, now, later }
    }

    pub(super) async fn ring(
        &self,
        bell: &Bell,
        count: u32,
        delay: Duration,
    ) -> Result<(), RingError> {
        if delay.is_zero() {
            self.ring_now(bell, count).await
        } else {
            self.ring_later(bell, count, delay).await
        }
    }

    pub(super) async fn depth(&self) -> Result<u64, RingError> {
        let mut pipeline = redis::pipe();
        pipeline.xlen(&self.now).zcard(&self.later);
        let (now, later): (u64, u64) = self.redis.pipe(&pipeline).await?;
        Ok(now + later)
    }

    async fn ring_now(&self, bell: &Bell, count: u32) -> Result<(), RingError> {
        let body = bell.encode();
        for _ in 0..count {
            let mut add = redis::cmd("XADD");
            add.arg(&self.now).arg("MAXLEN").arg("~").arg(MOST_ENTRIES);
            add.arg("*").arg("body").arg(&body);
            let _: String = self.redis.write(&add).await?;
        }
        Ok(())
    }

    async fn ring_later(&self, bell: &Bell, count: u32, delay: Duration) -> Result<(), RingError> {
        let (seconds, micros): (u64, u64) = self.redis.run(&redis::cmd("TIME")).await?;
        let due = seconds * 1000 + micros / 1000 + millis(delay);
        let mut zadd = redis::cmd("ZADD");
        zadd.arg(&self.later);
        for _ in 0..count {
            zadd.arg(due).arg(bell.encode_apart());
        }
        Ok(self.redis.write(&zadd).await?)
    }
}

#[cfg(test)]
mod tests {
    use redis::AsyncCommands;
    use redis::aio::MultiplexedConnection;

    use super::super::{Doorbell, MAX_DELAY};
    use super::*;
    use crate::job::JobId;

    /// A Redis of this test's own.
    struct Server {
        server: local::Redis,
        connection: MultiplexedConnection,
    }

    impl Server {
        async fn start() -> Self {
            let server = local::Redis::start().await.unwrap();
            let client = redis::Client::open(server.url()).unwrap();
            let connection = client.get_multiplexed_async_connection().await.unwrap();
            Self { server, connection }
        }

        fn doorbell(&self) -> Doorbell {
            Doorbell::stream(Redis::open(self.server.url()).unwrap(), "tutti")
        }
    }

    #[tokio::test]
    async fn each_ring_is_an_entry_of_the_stream() {
        let redis = Server::start().await;
        let job = JobId::mint();
        redis
            .doorbell()
            .ring(Some(job), 2, Duration::ZERO)
            .await
            .unwrap();
        redis
            .doorbell()
            .ring(None, 99, Duration::ZERO)
            .await
            .unwrap();
        redis
            .doorbell()
            .ring(None, 0, Duration::ZERO)
            .await
            .unwrap();

        let entries: Vec<(String, Vec<(String, String)>)> = redis
            .connection
            .clone()
            .xrange_all("{tutti}:bell")
            .await
            .unwrap();
        assert_eq!(entries.len(), 2 + 10);
        let (field, body) = &entries[0].1[0];
        assert_eq!(field, "body");
        let bell = Bell::decode(body).unwrap();
        assert_eq!(bell, Bell::new(Some(job), "tutti".to_owned()));
        assert_eq!(Bell::decode(&entries[11].1[0].1).unwrap().job, None);
    }

    #[tokio::test]
    async fn a_delayed_bell_waits_in_the_zset_under_the_time_it_is_due() {
        let redis = Server::start().await;
        let mut connection = redis.connection.clone();
        let mut now = async || -> (f64, f64) {
            redis::cmd("TIME")
                .query_async(&mut connection)
                .await
                .unwrap()
        };
        let before = now().await;
        let doorbell = redis.doorbell();
        doorbell
            .ring(None, 3, Duration::from_secs(30))
            .await
            .unwrap();
        doorbell
            .ring(None, 1, Duration::from_secs(86_400))
            .await
            .unwrap();
        let after = now().await;

        let later: Vec<(String, f64)> = redis
            .connection
            .clone()
            .zrange_withscores("{tutti}:bell_later", 0, -1)
            .await
            .unwrap();
        assert_eq!(later.len(), 4, "equal bells are kept apart");
        let span = |(seconds, micros): (f64, f64)| seconds * 1000.0 + (micros / 1000.0).floor();
        for ((member, due), delay) in
            later
                .iter()
                .zip([30e3, 30e3, 30e3, MAX_DELAY.as_millis() as f64])
        {
            assert_eq!(
                Bell::decode(member).unwrap(),
                Bell::new(None, "tutti".to_owned())
            );
            let slot = span(before) + delay..=span(after) + delay;
            assert!(slot.contains(due), "{due} {slot:?}");
        }
        let rung: usize = redis.connection.clone().xlen("{tutti}:bell").await.unwrap();
        assert_eq!(rung, 0);
    }

    #[tokio::test]
    async fn a_ring_without_redis_is_an_error() {
        let redis = Server::start().await;
        let doorbell = redis.doorbell();
        redis.server.stop().await;
        let refused = doorbell.ring(None, 1, Duration::ZERO).await;
        assert!(matches!(refused, Err(RingError::Queue(_))));
    }
}
