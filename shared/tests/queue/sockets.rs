//! Tickets, connections, listeners, and whose turn it is to tell them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::event::EventKind;
use shared::job::{JobId, JobStatus, UserId};
use shared::queue::{
    Connected, Heartbeat, Listener, NewSocket, Notice, Policy, Queue, SUBSCRIPTIONS_MAX, Spent,
    Subscribed, Told, millis,
};
use shared::socket::ConnectionId;
use uuid::Uuid;

use crate::rig::{LONG, RETENTION, Rig, new_job};

const MINUTE: Duration = Duration::from_secs(60);

fn connection(name: &str) -> ConnectionId {
    name.parse().unwrap()
}

fn alice() -> UserId {
    UserId::new("alice")
}

fn in_a_minute() -> u64 {
    u64::try_from(Utc::now().timestamp_millis()).unwrap() + millis(MINUTE)
}

fn socket<'a>(ticket: Uuid, name: &'a ConnectionId, user: &'a UserId) -> NewSocket<'a> {
    NewSocket {
        ticket,
        connection: name,
        user,
        caller: r#"{"sub":"alice"}"#.to_owned(),
        token: None,
        until_ms: in_a_minute(),
        most: 2,
    }
}

/// A connection of alice.
async fn connected(queue: &Queue, name: &str) -> ConnectionId {
    let (ticket, name) = (Uuid::new_v4(), connection(name));
    queue.issue_ticket(ticket, MINUTE).await.unwrap();
    let opened = queue.connect(&socket(ticket, &name, &alice())).await;
    assert_eq!(opened.unwrap(), Connected::Ok);
    name
}

async fn subscribed(queue: &Queue, name: &str, id: JobId, after: u64) -> ConnectionId {
    let name = connected(queue, name).await;
    let said = queue.subscribe(&name, &alice(), Some((id, after))).await;
    assert_eq!(said.unwrap(), Subscribed::Ok);
    name
}

async fn names(queue: &Queue, id: JobId, seq: u64) -> Vec<(String, u64)> {
    let mut listeners = queue.listeners(id, seq).await.unwrap();
    listeners.sort();
    let name = |l: Listener| (l.connection.as_str().to_owned(), l.seq);
    listeners.into_iter().map(name).collect()
}

fn more(seq: u64) -> Notice {
    Notice::More {
        seq,
        user: alice(),
        unrecorded: false,
    }
}

#[tokio::test]
async fn a_ticket_opens_one_connection_and_the_same_call_again_changes_nothing() {
    let Rig { queue, .. } = &Rig::start();
    let (ticket, user) = (Uuid::new_v4(), alice());
    let (one, two) = (connection("one="), connection("two="));
    let unknown = queue.connect(&socket(ticket, &one, &user)).await;
    assert_eq!(unknown.unwrap(), Connected::Used);
    queue.issue_ticket(ticket, MINUTE).await.unwrap();
    for _ in 0..2 {
        let opened = queue.connect(&socket(ticket, &one, &user)).await;
        assert_eq!(opened.unwrap(), Connected::Ok);
    }
    let again = queue.connect(&socket(ticket, &two, &user)).await;
    assert_eq!(again.unwrap(), Connected::Used);
    let caller = queue.socket(&one).await.unwrap().map(|(caller, _)| caller);
    assert_eq!(caller.as_deref(), Some(r#"{"sub":"alice"}"#));
    assert_eq!(queue.socket(&two).await.unwrap(), None);
}

#[tokio::test]
async fn a_user_has_so_many_connections_and_no_more_until_one_is_closed() {
    let Rig { queue, .. } = &Rig::start();
    let first = connected(queue, "one").await;
    connected(queue, "two").await;
    let three = connection("three");
    let open = async |user: &UserId| {
        let ticket = Uuid::new_v4();
        queue.issue_ticket(ticket, MINUTE).await.unwrap();
        queue.connect(&socket(ticket, &three, user)).await.unwrap()
    };
    assert_eq!(open(&alice()).await, Connected::Full);
    queue.disconnect(&first, Some(&alice())).await.unwrap();
    assert_eq!(open(&alice()).await, Connected::Ok);
}

#[tokio::test]
async fn a_subscriber_lacks_what_came_after_the_event_that_it_names() {
    let rig = Rig::start();
    let queue = &rig.queue;
    let id = rig.put("alice").await;
    rig.take().await;
    subscribed(queue, "new", id, 0).await;
    subscribed(queue, "old", id, 2).await;
    assert_eq!(names(queue, id, 2).await, [("new".to_owned(), 0)]);
    queue.told(id, &[(connection("new"), 2)]).await.unwrap();
    assert_eq!(names(queue, id, 2).await, []);
    // What arrives late takes nothing back, and nobody is made a listener by it.
    let late = ["new", "stranger"].map(|name| (connection(name), 1));
    queue.told(id, &late).await.unwrap();
    let both = [("new".to_owned(), 2), ("old".to_owned(), 2)];
    assert_eq!(names(queue, id, 3).await, both);
    queue.unsubscribe(&connection("old"), id).await.unwrap();
    queue
        .forget_listeners(id, &[connection("new")])
        .await
        .unwrap();
    assert_eq!(names(queue, id, 3).await, []);
}

#[tokio::test]
async fn a_connection_has_so_many_subscriptions_and_who_is_not_connected_has_none() {
    let rig = Rig::start();
    let queue = &rig.queue;
    let id = rig.put("alice").await;
    let one = subscribed(queue, "one", id, 0).await;
    let user = alice();
    let subscribe = async |id| {
        let said = queue.subscribe(&one, &user, Some((id, 0))).await;
        said.unwrap()
    };
    for n in 1..SUBSCRIPTIONS_MAX {
        assert_eq!(subscribe(JobId::mint()).await, Subscribed::Ok, "{n}");
    }
    assert_eq!(subscribe(JobId::mint()).await, Subscribed::Full);
    assert_eq!(subscribe(id).await, Subscribed::Ok);
    for job in [Some((id, 0)), None] {
        let said = queue.subscribe(&connection("nobody"), &alice(), job).await;
        assert_eq!(said.unwrap(), Subscribed::Gone);
    }
}

#[tokio::test]
async fn a_closed_connection_is_forgotten_everywhere() {
    let rig = Rig::start();
    let queue = &rig.queue;
    let id = rig.put("alice").await;
    let one = subscribed(queue, "one", id, 0).await;
    let said = queue.subscribe(&one, &alice(), None).await;
    assert_eq!(said.unwrap(), Subscribed::Ok);
    queue.disconnect(&one, Some(&alice())).await.unwrap();
    assert_eq!(queue.socket(&one).await.unwrap(), None);
    let events = queue.events(id, 0).await.unwrap().unwrap().events;
    queue.enlist_feeds(id, &alice(), &events).await.unwrap();
    assert_eq!(queue.listeners(id, 9).await.unwrap(), []);
    let later = Utc::now() + 2 * MINUTE;
    assert!(queue.expired_sockets(later).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_connection_is_due_to_be_closed_when_its_token_expires() {
    let Rig { queue, .. } = &Rig::start();
    let one = connected(queue, "one").await;
    assert!(queue.expired_sockets(Utc::now()).await.unwrap().is_empty());
    let later = Utc::now() + 2 * MINUTE;
    let due: Vec<_> = queue
        .expired_sockets(later)
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(due, [one]);
}

#[tokio::test]
async fn who_listens_to_all_jobs_lacks_what_came_since() {
    let rig = Rig::start();
    let queue = &rig.queue;
    let id = rig.put("alice").await;
    let one = connected(queue, "one").await;
    let said = queue.subscribe(&one, &alice(), None).await;
    assert_eq!(said.unwrap(), Subscribed::Ok);
    rig.next_millisecond().await;
    let answer = rig.acquire().await;
    assert_eq!(answer.debt.notices, [id]);
    let events = queue.events(id, 0).await.unwrap().unwrap().events;
    for _ in 0..2 {
        queue.enlist_feeds(id, &alice(), &events).await.unwrap();
        assert_eq!(names(queue, id, 2).await, [("one".to_owned(), 1)]);
    }
    // A job that came later lacks nothing.
    let second = rig.enqueue(&new_job("alice")).await;
    let [other] = second.debt.notices[..] else {
        panic!("{second:?}")
    };
    let events = queue.events(other, 0).await.unwrap().unwrap().events;
    queue.enlist_feeds(other, &alice(), &events).await.unwrap();
    assert_eq!(names(queue, other, 1).await, [("one".to_owned(), 0)]);
}

#[tokio::test]
async fn a_transition_owes_a_notice_only_if_somebody_listens() {
    let rig = Rig::start();
    let id = rig.put("alice").await;
    assert_eq!(rig.acquire().await.debt.notices, []);
    subscribed(&rig.queue, "one", id, 0).await;
    let answer = rig.cancel(id, "enough").await;
    assert_eq!(answer.debt.notices, [id]);
}

#[tokio::test]
async fn one_at_a_time_tells_the_listeners_until_nothing_is_left() {
    let rig = Rig::start();
    let queue = &rig.queue;
    let id = rig.put("alice").await;
    let (mine, other) = (Uuid::new_v4(), Uuid::new_v4());
    let ask = async |turn, told| queue.notice(id, turn, told).await.unwrap();
    assert_eq!(ask(mine, Told::Nothing).await, more(1));
    assert_eq!(ask(other, Told::Nothing).await, Notice::Busy);
    rig.take().await;
    assert_eq!(ask(mine, Told::UpTo(1)).await, more(2));
    assert_eq!(ask(mine, Told::UpTo(2)).await, Notice::Done);
    assert_eq!(ask(other, Told::Nothing).await, more(2));
    assert_eq!(ask(other, Told::Again(NOT_YET)).await, Notice::Done);
    assert_eq!(ask(mine, Told::Nothing).await, more(2));
    let gone = queue.notice(JobId::mint(), mine, Told::Nothing).await;
    assert_eq!(gone.unwrap(), Notice::Done);
}

/// Longer than any test.
const NOT_YET: Duration = Duration::from_secs(600);

#[tokio::test]
async fn an_end_is_told_of_as_unrecorded_until_it_is_settled() {
    let rig = Rig::start();
    let id = rig.ended("alice", JobStatus::Completed).await;
    let mine = Uuid::new_v4();
    let told = rig.queue.notice(id, mine, Told::Nothing).await.unwrap();
    assert!(matches!(
        told,
        Notice::More {
            unrecorded: true,
            ..
        }
    ));
    rig.settle(id, 0).await;
    let told = rig.queue.notice(id, mine, Told::Nothing).await.unwrap();
    assert!(matches!(
        told,
        Notice::More {
            unrecorded: false,
            ..
        }
    ));
}

#[tokio::test]
async fn the_sweep_finds_a_job_whose_listeners_were_not_told() {
    let rig = Rig::start();
    let id = rig.put("alice").await;
    subscribed(&rig.queue, "one", id, 0).await;
    rig.take().await;
    let unheard = async || rig.sweep("").await.outcome.unheard;
    assert_eq!(unheard().await, []);
    rig.let_pass(rig.queue.keys().notices(), id).await;
    assert_eq!(unheard().await, [id]);
    assert_eq!(unheard().await, [], "it was rung for just now");
    rig.let_pass(rig.queue.keys().notices(), id).await;
    let mine = Uuid::new_v4();
    assert_eq!(
        rig.queue.notice(id, mine, Told::Nothing).await.unwrap(),
        more(2)
    );
    let done = rig.queue.notice(id, mine, Told::UpTo(2)).await.unwrap();
    assert_eq!(done, Notice::Done);
    let waiting = rig.due_in(rig.queue.keys().notices(), id).await;
    assert_eq!(waiting, None);
}

#[tokio::test]
async fn progress_is_an_event_at_most_twice_a_second_and_shows_at_once() {
    let rig = Rig::start();
    let holder = rig.parked("alice").await;
    let policy = Policy::new(4, 2, 100, RETENTION);
    let queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let mut progress = shared::job::Progress {
        current: 0,
        total: 9,
        percentage: 0,
        message: String::new(),
    };
    for (ahead_ms, current) in [(0, 1), (0, 2), (300, 3), (1500, 4), (1700, 5), (2300, 6)] {
        progress.current = current;
        let then = queue.ahead(Duration::from_millis(ahead_ms));
        let said = then.progress(holder.id, None, Some(&progress), LONG, Spent::default());
        assert_eq!(said.await.unwrap().outcome, Heartbeat::Ok);
        let shown = rig.job(holder.id).await.job.progress;
        assert_eq!(shown.unwrap().current, current);
    }
    let events = queue.events(holder.id, 0).await.unwrap().unwrap().events;
    let kinds = events.iter().filter(|e| e.event == EventKind::Progress);
    let seen: Vec<_> = kinds
        .map(|e| e.progress.as_ref().unwrap().current)
        .collect();
    assert_eq!(seen, [1, 4, 6]);
}

#[tokio::test]
async fn a_listener_is_known_with_the_end_of_its_token() {
    let rig = Rig::start();
    let id = rig.put("alice").await;
    let one = subscribed(&rig.queue, "one", id, 0).await;
    let listeners = rig.queue.listeners(id, 1).await.unwrap();
    let [
        Listener {
            until: Some(until), ..
        },
    ] = &listeners[..]
    else {
        panic!("{listeners:?}")
    };
    let left: chrono::TimeDelta = *until - Utc::now();
    assert!((50..=60).contains(&left.num_seconds()), "{left}");
    let _: u64 = rig
        .raw(&redis::Cmd::zrem(rig.queue.keys().sockets(), one.as_str()))
        .await;
    let gone: Option<DateTime<Utc>> = rig.queue.listeners(id, 1).await.unwrap()[0].until;
    assert_eq!(gone, None);
}

/// A connection of alice by a token that can be taken back.
async fn connect_by(queue: &Queue, name: &str, jti: &str) -> Result<ConnectionId, Connected> {
    let (ticket, name, user) = (Uuid::new_v4(), connection(name), alice());
    queue.issue_ticket(ticket, MINUTE).await.unwrap();
    let opened = NewSocket {
        caller: format!(r#"{{"sub":"alice","jti":"{jti}"}}"#),
        token: Some(jti),
        most: 2000,
        ..socket(ticket, &name, &user)
    };
    match queue.connect(&opened).await.unwrap() {
        Connected::Ok => Ok(name),
        refused => Err(refused),
    }
}

async fn is_open(queue: &Queue, name: &ConnectionId) -> bool {
    let (_, until) = queue.socket(name).await.unwrap().unwrap();
    until > 0
}

#[tokio::test]
async fn a_token_that_is_taken_back_ends_its_connections_and_opens_none() {
    let Rig { queue, .. } = &Rig::start();
    let one = connect_by(queue, "one=", "a").await.unwrap();
    let other = connect_by(queue, "other=", "b").await.unwrap();
    queue.revoke(&["a".to_owned()], None).await.unwrap();
    assert_eq!(queue.hang_up(&alice(), Some("a")).await.unwrap(), 1);
    assert!(!is_open(queue, &one).await && is_open(queue, &other).await);
    let ended = queue.expired_sockets(Utc::now()).await.unwrap();
    assert_eq!(ended.into_iter().collect::<Vec<_>>(), [one]);
    let again = connect_by(queue, "again=", "a").await;
    assert_eq!(again, Err(Connected::Revoked));
}

#[tokio::test]
async fn a_user_whose_sessions_end_is_told_nothing_more_on_any_of_many_connections() {
    let Rig { queue, .. } = &Rig::start();
    for n in 0..1001 {
        connect_by(queue, &format!("c{n}="), "a").await.unwrap();
    }
    let id = new_job("a").id;
    let said = queue.hang_up(&UserId::new("bob"), None).await;
    assert_eq!(said.unwrap(), 0);
    assert_eq!(queue.hang_up(&alice(), None).await.unwrap(), 1001);
    let (name, user) = (connection("c7="), alice());
    let listens = queue.subscribe(&name, &user, Some((id, 0))).await;
    assert_eq!(listens.unwrap(), Subscribed::Gone);
}
