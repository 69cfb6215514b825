//! What Redis shows of the functions that nobody calls.

use std::time::Duration;

use chrono::Utc;
use redis::Cmd;
use shared::job::UserId;
use shared::queue::{NewSocket, Signs, Told};
use shared::socket::ConnectionId;
use uuid::Uuid;

use crate::rig::Rig;

/// Milliseconds; longer than any test.
const HOUR: i64 = 3_600_000;

async fn signs(rig: &Rig) -> Signs {
    rig.queue.signs().await.unwrap()
}

/// Moves a moment that is noted into the past; it must be noted.
async fn an_hour_ago(rig: &Rig, field: &str) {
    let clock = rig.queue.keys().clock();
    let back = Cmd::hincr(&clock, field, -HOUR);
    let known: Option<i64> = rig.raw(&Cmd::hget(&clock, field)).await;
    assert!(known.is_some(), "{field} is not noted");
    let _: i64 = rig.raw(&back).await;
}

fn is_old(since: Option<Duration>) -> bool {
    since.expect("it is owed") >= Duration::from_secs(3600)
}

#[tokio::test]
async fn a_worker_is_waited_for_from_the_first_job_that_could_run_until_one_comes() {
    let rig = Rig::with(2, 2);
    assert_eq!(signs(&rig).await.owed, None);
    rig.put("a").await;
    an_hour_ago(&rig, "owed_ms").await;
    rig.put("a").await;
    rig.sweep("").await;
    assert!(
        is_old(signs(&rig).await.owed),
        "a second one changes nothing"
    );
    let first = rig.take().await;
    assert!(!is_old(signs(&rig).await.owed), "it waits anew");
    rig.take().await;
    rig.put("a").await;
    assert_eq!(signs(&rig).await.owed, None, "no slot is free");
    rig.give_back(&first).await;
    assert!(!is_old(signs(&rig).await.owed), "since a slot is free");
}

#[tokio::test]
async fn a_worker_that_came_in_vain_was_there() {
    let rig = Rig::start();
    let job = rig.put("a").await;
    an_hour_ago(&rig, "owed_ms").await;
    rig.cancel(job, "user").await;
    assert_eq!(signs(&rig).await.owed, None);
    rig.put("a").await;
    assert!(!is_old(signs(&rig).await.owed));
}

#[tokio::test]
async fn notify_is_waited_for_from_the_first_notice_until_it_comes_for_one() {
    let rig = Rig::start();
    let (connection, user): (ConnectionId, _) = ("c".parse().unwrap(), UserId::new("a"));
    let ticket = Uuid::new_v4();
    let minute = Duration::from_secs(60);
    rig.queue.issue_ticket(ticket, minute).await.unwrap();
    let socket = NewSocket {
        ticket,
        connection: &connection,
        user: &user,
        caller: r#"{"sub":"a"}"#.to_owned(),
        token: None,
        until_ms: u64::try_from(Utc::now().timestamp_millis() + HOUR).unwrap(),
        most: 1,
    };
    rig.queue.connect(&socket).await.unwrap();
    let feed = rig.queue.subscribe(&connection, &user, None).await;
    feed.unwrap();
    assert_eq!(signs(&rig).await.unheard, None);
    let job = rig.put("a").await;
    rig.take().await;
    an_hour_ago(&rig, "unheard_ms").await;
    rig.put("a").await;
    rig.take().await;
    assert!(is_old(signs(&rig).await.unheard));
    let turn = Uuid::new_v4();
    rig.queue.notice(job, turn, Told::Nothing).await.unwrap();
    assert_eq!(signs(&rig).await.unheard, None, "it came");
}

#[tokio::test]
async fn a_message_is_late_from_the_moment_when_it_was_due() {
    let rig = Rig::start();
    assert_eq!(signs(&rig).await.undelivered, None);
    let due = Utc::now().timestamp_millis();
    let deliveries = rig.queue.keys().owing();
    let _: () = rig
        .raw(&Cmd::zadd(&deliveries, "job:later", due + HOUR))
        .await;
    assert_eq!(signs(&rig).await.undelivered, None);
    let _: () = rig
        .raw(&Cmd::zadd(&deliveries, "job:now", due - HOUR))
        .await;
    assert!(is_old(signs(&rig).await.undelivered));
}

#[tokio::test]
async fn a_round_of_the_sweep_is_remembered() {
    let rig = Rig::start();
    assert_eq!(signs(&rig).await.round, None);
    assert_eq!(rig.queue.counts().await.unwrap().sweep_age, None);
    assert_eq!(signs(&rig).await.passed_over, None);
    rig.queue.round_over(Utc::now(), 3).await.unwrap();
    assert_eq!(signs(&rig).await.passed_over, Some(3));
    an_hour_ago(&rig, "swept_ms").await;
    assert!(is_old(signs(&rig).await.round));
    let age = rig.queue.counts().await.unwrap().sweep_age.unwrap();
    assert!((3600..3660).contains(&age), "{age}");
}
