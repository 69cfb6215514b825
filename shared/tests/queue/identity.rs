//! Limits on attempts, and tokens that were taken back.

use std::time::Duration;

use chrono::Utc;
use redis::Cmd;
use shared::identity;
use shared::job::UserId;
use shared::queue::{Attempted, Connected, Limit, MAX_REVOKED, NewSocket};
use shared::socket::ConnectionId;
use uuid::Uuid;

use crate::rig::Rig;
use crate::site::Site;

const HOUR: Duration = Duration::from_secs(3600);

fn limit(kind: &'static str, who: &str, per_minute: u32) -> Limit {
    Limit {
        kind,
        who: who.to_owned(),
        per_minute,
    }
}

/// The milliseconds after which an attempt that was refused may come, and by which limit.
async fn refused(rig: &Rig, limits: &[Limit]) -> Option<(usize, u64)> {
    match rig.queue.attempt(limits).await.unwrap() {
        Attempted::Ok { .. } => None,
        Attempted::Limited { at, retry_ms } => Some((at, retry_ms)),
    }
}

#[tokio::test]
async fn a_minutes_worth_of_attempts_may_come_at_once_and_then_one_at_a_time() {
    let rig = Rig::start();
    let limits = [limit("login", "a", 6)];
    for left in (0..6).rev() {
        let answer = rig.queue.attempt(&limits).await.unwrap();
        let Attempted::Ok {
            left: told,
            full_ms,
        } = answer
        else {
            panic!("{answer:?}");
        };
        assert_eq!(told, left);
        let used = 10_000 * (6 - u64::from(left));
        assert!((used - 5_000..=used).contains(&full_ms), "{full_ms}");
    }
    let answer = rig.queue.attempt(&limits).await.unwrap();
    let Attempted::Limited { at: 0, retry_ms } = answer else {
        panic!("{answer:?}");
    };
    assert!((5_000..=10_000).contains(&retry_ms), "{retry_ms}");
    let other = [limit("login", "b", 6)];
    assert_eq!(refused(&rig, &other).await, None);
    // Nothing is kept of who is within his limit again.
    let key = "{p}:rate:login:a";
    let lives: i64 = rig.raw(&Cmd::pttl(key)).await;
    assert!((1..=60_000).contains(&lives));
    let _: () = rig.raw(&Cmd::set(key, 1)).await;
    assert_eq!(refused(&rig, &limits).await, None);
}

#[tokio::test]
async fn an_attempt_over_one_limit_counts_against_none() {
    let rig = Rig::start();
    let both = |who: &str| [limit("pair", who, 2), limit("name", "n", 5)];
    for _ in 0..2 {
        assert_eq!(refused(&rig, &both("a")).await, None);
    }
    for _ in 0..20 {
        assert_eq!(refused(&rig, &both("a")).await.unwrap().0, 0);
    }
    // A stranger's refused attempts took nothing from the others.
    for who in ["b", "c", "d"] {
        assert_eq!(refused(&rig, &both(who)).await, None, "{who}");
    }
    assert_eq!(refused(&rig, &both("e")).await.unwrap().0, 1);
}

#[tokio::test]
async fn a_revoked_token_is_known_at_once_and_others_once_all_were_told() {
    let rig = Rig::start();
    let known = async |jti: &str| rig.queue.is_revoked(jti).await.unwrap();
    let ids = |range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|n| format!("token-{n}")).collect()
    };
    assert_eq!(known("token-0").await, None);
    assert_eq!(rig.queue.revoke(&ids(0..2), None).await.unwrap(), 2);
    assert_eq!(rig.queue.revoke(&ids(1..3), None).await.unwrap(), 1);
    assert_eq!(known("token-2").await, Some(true));
    assert_eq!(known("token-7").await, None, "there may be more");
    let for_a_while = Some(Duration::from_secs(600));
    let all = ids(0..MAX_REVOKED);
    rig.queue.revoke(&all, for_a_while).await.unwrap();
    assert_eq!(known("token-7").await, Some(true));
    assert_eq!(known("another").await, Some(false));
    let lives: i64 = rig.raw(&Cmd::ttl(rig.queue.keys().revoked())).await;
    assert!((1..=600).contains(&lives));
    rig.empty_redis().await;
    assert_eq!(known("token-7").await, None);
}

#[tokio::test]
async fn a_connection_whose_token_ended_is_rung_for_until_it_is_closed() {
    let site = Site::start().await;
    let (queue, user) = (&site.clients.queue, UserId::new("alice"));
    let (ticket, connection): (_, ConnectionId) = (Uuid::new_v4(), "c=".parse().unwrap());
    queue.issue_ticket(ticket, HOUR).await.unwrap();
    let ended = NewSocket {
        ticket,
        connection: &connection,
        user: &user,
        caller: r#"{"sub":"alice","exp":1}"#.to_owned(),
        token: None,
        until_ms: u64::try_from(Utc::now().timestamp_millis()).unwrap() - 1,
        most: 1,
    };
    assert_eq!(queue.connect(&ended).await.unwrap(), Connected::Ok);
    let speaks = identity::socket_caller(&site.clients, &connection).await;
    assert_eq!(speaks.unwrap(), None);
    let rings = async || {
        identity::ring_for_ended_sockets(&site.clients)
            .await
            .unwrap()
    };
    assert!(rings().await && rings().await);
    let bells = Cmd::xlen(queue.keys().notice());
    let bells: u64 = queue.redis().run(&bells).await.unwrap();
    assert_eq!(bells, 2);
    identity::forget_socket(&site.clients, &connection)
        .await
        .unwrap();
    assert!(!rings().await);
}
