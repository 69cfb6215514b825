//! Who listens: tickets, open connections, what each of them was told, and whose turn it is to tell.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::Event;
use crate::job::{JobId, UserId};
use crate::queue::{Queue, QueueError, millis, scripts};
use crate::socket::ConnectionId;

/// API Gateway closes a connection after two hours; nothing about one is kept much longer.
pub const SOCKET_LIFE: Duration = Duration::from_secs(2 * 3600);
/// Jobs that one connection may subscribe to.
pub const SUBSCRIPTIONS_MAX: u32 = 100;
/// How long one may tell a job's listeners before another may take over.
const TURN: Duration = Duration::from_secs(30);
/// Connections whose tokens expired, closed at a time.
const EXPIRED_PAGE: isize = 100;
/// Connections of a user that one script looks at.
const HANG_UP_PAGE: u32 = 500;
/// What is kept of a connection outlives it by this much: clocks differ.
const SLACK: Duration = Duration::from_secs(300);

/// A connection as it opens.
#[derive(Debug, Clone, Serialize)]
pub struct NewSocket<'a> {
    /// `jti` of its ticket.
    pub ticket: Uuid,
    pub connection: &'a ConnectionId,
    pub user: &'a UserId,
    /// Whom it speaks for, JSON.
    pub caller: String,
    /// `jti` of its token, if that can be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a str>,
    /// When its token expires, ms since 1970.
    pub until_ms: u64,
    /// Connections that the user may have.
    pub most: u32,
}

/// Answer of `connect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Connected {
    Ok,
    /// The ticket was used, or is over a minute old, or Redis was emptied since.
    Used,
    /// The user has too many open.
    Full,
    /// Its token was taken back.
    Revoked,
}

/// Answer of `subscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Subscribed {
    Ok,
    /// The connection has too many subscriptions.
    Full,
    /// It is closed, or its token has expired.
    Gone,
}

/// Answer of `notice`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Notice {
    /// Tell what lies before `seq`, then ask again.
    More {
        /// Number of the job's newest event.
        seq: u64,
        /// The job's owner.
        user: UserId,
        /// It has ended, and that may not be on record yet.
        unrecorded: bool,
    },
    /// Everybody was told.
    Done,
    /// Somebody else is telling them, and will see what is new.
    Busy,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Nothing was done yet.
    Nothing,
    /// Everybody was told up to this event.
    UpTo(u64),
    /// Some could not be told: again after this long.
    Again(Duration),
}

/// Who listens to a job and lacks something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    pub connection: ConnectionId,
    /// Number of the last event that it was sent.
    pub seq: u64,
    /// When its token expires; `None`: it is not connected any more.
    pub until: Option<DateTime<Utc>>,
}

impl Queue {
    /// A ticket may be used within `life`.
    pub async fn issue_ticket(&self, jti: Uuid, life: Duration) -> Result<(), QueueError> {
        let set = redis::Cmd::pset_ex(self.keys.ticket(jti), 1, millis(life));
        self.redis.write(&set).await
    }

    /// Opens a connection against its ticket.
    pub async fn connect(&self, socket: &NewSocket<'_>) -> Result<Connected, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            #[serde(flatten)]
            socket: &'a NewSocket<'a>,
            slack_ms: u64,
        }
        let slack_ms = millis(SLACK);
        self.call_plain(&scripts::CONNECT, &Args { socket, slack_ms })
            .await
    }

    /// Whom a connection speaks for, JSON, and when its token expires, ms since 1970; `None` once
    /// it is closed, and some minutes after its token expired.
    pub async fn socket(
        &self,
        connection: &ConnectionId,
    ) -> Result<Option<(String, i64)>, QueueError> {
        let mut pipe = redis::pipe();
        pipe.get(self.keys.socket(connection))
            .zscore(self.keys.sockets(), connection.as_str());
        let (caller, until): (Option<String>, Option<i64>) = self.redis.pipe(&pipe).await?;
        Ok(caller.map(|caller| (caller, until.unwrap_or(0))))
    }

    /// Ends the connections of a user, or those of the token with this `jti`: they are told nothing
    /// more and are due to be closed. Returns how many.
    pub async fn hang_up(&self, user: &UserId, token: Option<&str>) -> Result<u32, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            user: &'a UserId,
            #[serde(skip_serializing_if = "Option::is_none")]
            token: Option<&'a str>,
            from: u32,
            most: u32,
        }
        #[derive(Deserialize)]
        struct Ended {
            ended: u32,
            next: Option<u32>,
        }
        let (mut ended, mut next) = (0, Some(0));
        while let Some(from) = next {
            let args = Args {
                user,
                token,
                from,
                most: HANG_UP_PAGE,
            };
            let answer: Ended = self.call_plain(&scripts::HANG_UP, &args).await?;
            ended += answer.ended;
            next = answer.next;
        }
        Ok(ended)
    }

    /// Tells a connection what happens to a job after event `after`; without a job, what happens to the user's jobs from now on.
    pub async fn subscribe(
        &self,
        connection: &ConnectionId,
        user: &UserId,
        job: Option<(JobId, u64)>,
    ) -> Result<Subscribed, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            connection: &'a ConnectionId,
            user: &'a UserId,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<JobId>,
            after: u64,
            most: u32,
            for_ms: u64,
        }
        let args = Args {
            connection,
            user,
            id: job.map(|(id, _)| id),
            after: job.map_or(0, |(_, after)| after),
            most: SUBSCRIPTIONS_MAX,
            for_ms: millis(SOCKET_LIFE + SLACK),
        };
        self.call_plain(&scripts::SUBSCRIBE, &args).await
    }

    /// Tells it no more of this job, unless it listens to all jobs of its user.
    pub async fn unsubscribe(
        &self,
        connection: &ConnectionId,
        id: JobId,
    ) -> Result<(), QueueError> {
        let mut pipe = redis::pipe();
        pipe.zrem(self.keys.listeners(id), connection.as_str())
            .ignore()
            .srem(self.keys.subscriptions(connection), id.to_string())
            .ignore();
        self.redis.pipe(&pipe).await
    }

    /// Forgets a connection and what it listened to. Again: nothing. Without its user, what was kept by user goes with time.
    pub async fn disconnect(
        &self,
        connection: &ConnectionId,
        user: Option<&UserId>,
    ) -> Result<(), QueueError> {
        let own = self.keys.subscriptions(connection);
        let jobs: Vec<String> = self.redis.run(&redis::Cmd::smembers(&own)).await?;
        let name = connection.as_str();
        let mut pipe = redis::pipe();
        for id in jobs.iter().filter_map(|id| id.parse().ok()) {
            pipe.zrem(self.keys.listeners(id), name).ignore();
        }
        pipe.del(&[self.keys.socket(connection), own])
            .ignore()
            .zrem(self.keys.sockets(), name)
            .ignore();
        if let Some(user) = user {
            pipe.zrem(self.keys.feed(user), name)
                .ignore()
                .zrem(self.keys.sockets_of(user), name)
                .ignore();
        }
        self.redis.pipe(&pipe).await
    }

    /// The right to tell a job's listeners, as `turn`, and how far they are to be told.
    pub async fn notice(&self, id: JobId, turn: Uuid, told: Told) -> Result<Notice, QueueError> {
        #[derive(Serialize)]
        struct Args {
            id: JobId,
            turn: Uuid,
            for_ms: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            handled: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            again_ms: Option<u64>,
        }
        let (handled, again_ms) = match told {
            Told::Nothing => (None, None),
            Told::UpTo(seq) => (Some(seq), None),
            Told::Again(after) => (None, Some(millis(after))),
        };
        let args = Args {
            id,
            turn,
            for_ms: millis(TURN),
            handled,
            again_ms,
        };
        self.call_plain(&scripts::NOTICE, &args).await
    }

    /// Makes those who listen to all jobs of this user listeners of the job: each lacks the events since it began to listen.
    pub async fn enlist_feeds(
        &self,
        id: JobId,
        user: &UserId,
        events: &[Event],
    ) -> Result<(), QueueError> {
        let key = self.keys.feed(user);
        let all = redis::Cmd::zrange_withscores(&key, 0, -1);
        let all: Vec<(String, i64)> = self.redis.run(&all).await?;
        if all.is_empty() {
            return Ok(());
        }
        let until = self.open_until(all.iter().map(|(name, _)| name)).await?;
        let (feed, gone): (Vec<_>, Vec<_>) = all
            .into_iter()
            .zip(until)
            .partition(|(_, until)| until.is_some());
        if !gone.is_empty() {
            let names: Vec<String> = gone.into_iter().map(|((name, _), _)| name).collect();
            let () = self.redis.run(&redis::Cmd::zrem(&key, names)).await?;
        }
        if feed.is_empty() {
            return Ok(());
        }
        let before = |since: i64| {
            let old = events
                .iter()
                .take_while(|e| e.at.timestamp_millis() <= since);
            let first = events.first().map_or(0, |e| e.seq.saturating_sub(1));
            old.last().map_or(first, |e| e.seq)
        };
        let listeners = self.keys.listeners(id);
        let mut add = redis::cmd("ZADD");
        add.arg(&listeners).arg("NX");
        for ((connection, since), _) in feed {
            add.arg(before(since)).arg(connection);
        }
        let () = self.redis.write(&add).await?;
        let life = i64::try_from(millis(SOCKET_LIFE + SLACK)).unwrap_or(i64::MAX);
        let expire = redis::Cmd::pexpire(&listeners, life);
        self.redis.run(&expire).await
    }

    /// Who lacks an event up to `seq`.
    pub async fn listeners(&self, id: JobId, seq: u64) -> Result<Vec<Listener>, QueueError> {
        let behind = redis::Cmd::zrangebyscore_withscores(
            self.keys.listeners(id),
            "-inf",
            format!("({seq}"),
        );
        let behind: Vec<(String, u64)> = self.redis.run(&behind).await?;
        if behind.is_empty() {
            return Ok(Vec::new());
        }
        let until = self.open_until(behind.iter().map(|(name, _)| name)).await?;
        let listener = |((name, seq), until): ((String, u64), Option<i64>)| {
            let connection = name
                .parse()
                .map_err(|_| QueueError::Record(format!("connection {name:?}")))?;
            Ok(Listener {
                connection,
                seq,
                until: until.and_then(DateTime::from_timestamp_millis),
            })
        };
        behind.into_iter().zip(until).map(listener).collect()
    }

    /// When the token of each connection expires, ms since 1970; `None`: it is not open. At least one.
    async fn open_until(
        &self,
        names: impl Iterator<Item = &String>,
    ) -> Result<Vec<Option<i64>>, QueueError> {
        let mut until = redis::cmd("ZMSCORE");
        until.arg(self.keys.sockets());
        for name in names {
            until.arg(name);
        }
        self.redis.run(&until).await
    }

    /// Up to which event each of these was sent everything; who left meanwhile stays away.
    pub async fn told(&self, id: JobId, told: &[(ConnectionId, u64)]) -> Result<(), QueueError> {
        if told.is_empty() {
            return Ok(());
        }
        let mut add = redis::cmd("ZADD");
        add.arg(self.keys.listeners(id)).arg("XX").arg("GT");
        for (connection, seq) in told {
            add.arg(seq).arg(connection.as_str());
        }
        self.redis.write(&add).await
    }

    /// These do not listen to this job any more.
    pub async fn forget_listeners(
        &self,
        id: JobId,
        connections: &[ConnectionId],
    ) -> Result<(), QueueError> {
        if connections.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = connections.iter().map(ConnectionId::as_str).collect();
        let zrem = redis::Cmd::zrem(self.keys.listeners(id), names);
        self.redis.run(&zrem).await
    }

    /// Open connections whose token has expired or was taken back.
    pub async fn expired_sockets(
        &self,
        now: DateTime<Utc>,
    ) -> Result<BTreeSet<ConnectionId>, QueueError> {
        let find = redis::Cmd::zrangebyscore_limit(
            self.keys.sockets(),
            "-inf",
            now.timestamp_millis(),
            0,
            EXPIRED_PAGE,
        );
        let names: Vec<String> = self.redis.run(&find).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}
