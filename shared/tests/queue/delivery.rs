//! Owed messages, as Redis keeps them.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use redis::Cmd;
use shared::endpoint::{Ending, Hook, Line, Target};
use shared::envelope::{Due, DueName, DueTarget};
use shared::job::{JobId, JobStatus, TenantId};
use shared::queue::{Delivered, DeliveryState, HostSign, LeasedMessage, Outcome, Owed, Turn};
use uuid::Uuid;

use crate::rig::{RETENTION, Rig};

pub(crate) const JOB: Target = Target::Webhook(Hook::Job);
pub(crate) const HOST: &str = "example.com";

pub(crate) fn endpoint() -> Target {
    Target::Webhook(Hook::Tenant(Uuid::now_v7()))
}

pub(crate) fn line(host: &str, tenant: &str) -> Line {
    Line::of_tenant(host, &TenantId::new(tenant))
}

pub(crate) fn due_in(line: &Line, generation: u32, targets: &[Target]) -> Due {
    let targets = targets.iter().map(|target| DueTarget {
        target: *target,
        url: "https://example.com/".to_owned(),
        line: line.clone(),
        until: Utc::now() + TimeDelta::days(3),
    });
    Due {
        generation,
        event: Ending::Failed,
        targets: targets.collect(),
    }
}

pub(crate) fn due(generation: u32, targets: &[Target]) -> Due {
    due_in(&line(HOST, "a"), generation, targets)
}

/// What one call came to; a failure is tried again after an hour.
pub(crate) fn outcome(state: DeliveryState) -> Outcome {
    let host = match state {
        DeliveryState::Delivered => HostSign::Answered,
        _ => HostSign::Failed,
    };
    Outcome::Tried {
        state,
        again: Duration::from_secs(3600),
        url: None,
        failing: None,
        took: Duration::from_millis(7),
        status: Some(500),
        reason: Some("500 Internal Server Error".to_owned()),
        host: Some(host),
    }
}

pub(crate) fn pending(n: u32) -> Owed {
    Owed::Ok {
        pending: n,
        over: Vec::new(),
        left: Vec::new(),
    }
}

/// The objects that need not be kept any more.
pub(crate) fn over(noted: Delivered) -> Vec<DueName> {
    match noted {
        Delivered::Ok { over, .. } => over,
        Delivered::Stale => panic!("stale"),
    }
}

impl Rig {
    pub(crate) async fn owe_all(&self, id: JobId, due: &Due) -> Owed {
        let name = DueName::of_end(due.generation);
        self.queue.owe(id, due, &name).await.unwrap()
    }

    pub(crate) async fn turn(&self, most: usize) -> Turn {
        self.queue.dispatch(most).await.unwrap()
    }

    pub(crate) async fn taken(&self) -> LeasedMessage {
        let turn = self.turn(1).await;
        *turn.messages.first().expect("a message that is due")
    }

    pub(crate) async fn note(&self, message: &LeasedMessage, outcome: &Outcome) -> Delivered {
        self.queue.delivered(message, outcome).await.unwrap()
    }

    pub(crate) async fn make_due(&self, line: &Line, id: JobId, target: Target) {
        let (keys, member) = (self.queue.keys(), format!("{id}:{target}"));
        let _: () = self.raw(&Cmd::zadd(keys.owed(line), member, 1)).await;
        let _: () = self
            .raw(&Cmd::zadd(keys.owing(), line.to_string(), 1))
            .await;
    }

    /// Whoever took it never came back.
    pub(crate) async fn lose(&self, message: &LeasedMessage) {
        self.make_due(&line(HOST, "a"), message.id, message.target)
            .await;
    }

    /// The line rests no longer.
    pub(crate) async fn rest_is_over(&self, line: &Line) {
        let keys = self.queue.keys();
        let _: () = self.raw(&Cmd::hset(keys.fault(line), "until", 1)).await;
        let _: () = self
            .raw(&Cmd::zadd(keys.owing(), line.to_string(), 1))
            .await;
    }

    /// So many jobs whose ends owe one message each.
    pub(crate) async fn owing(&self, line: &Line, count: usize) {
        for _ in 0..count {
            self.owe_all(JobId::mint(), &due_in(line, 0, &[JOB])).await;
        }
    }

    pub(crate) async fn state(&self, id: JobId) -> Vec<(Target, DeliveryState, usize)> {
        let (log, _) = self.queue.deliveries(id).await.unwrap();
        let deliveries = log.expect("a log").deliveries.into_iter();
        deliveries
            .map(|d| (d.target, d.state, d.attempts.len()))
            .collect()
    }
}

#[tokio::test]
async fn what_is_owed_is_taken_once_and_by_its_lease_again() {
    let rig = Rig::start();
    let id = JobId::mint();
    assert_eq!(rig.turn(4).await, Turn::default());
    let two = [JOB, endpoint()];
    assert_eq!(rig.owe_all(id, &due(0, &two)).await, pending(2));
    let first = rig.taken().await;
    assert_eq!(
        (first.id, first.generation, first.event),
        (id, 0, Ending::Failed)
    );
    let second = rig.turn(4).await.messages;
    assert_eq!(second.len(), 1);
    assert_ne!(first.target, second[0].target);
    // The end is told twice: what is on its way is not due for that.
    assert_eq!(rig.owe_all(id, &due(0, &two)).await, pending(2));
    assert_eq!(rig.turn(4).await, Turn::default());
    rig.lose(&first).await;
    let again = rig.taken().await;
    assert_eq!(
        (again.target, again.take, again.tries),
        (first.target, 2, 0)
    );
}

#[tokio::test]
async fn a_later_end_forgets_the_messages_of_an_earlier_one() {
    let rig = Rig::start();
    let (id, tenant) = (JobId::mint(), endpoint());
    rig.owe_all(id, &due(0, &[JOB])).await;
    let taken = rig.taken().await;
    let later = rig.owe_all(id, &due(1, &[tenant])).await;
    let earlier = vec![DueName::of_end(0)];
    assert_eq!(
        later,
        Owed::Ok {
            pending: 1,
            over: earlier,
            left: Vec::new(),
        }
    );
    assert_eq!(rig.state(id).await, [(tenant, DeliveryState::Pending, 0)]);
    let keys = rig.queue.keys();
    let waiting: u32 = rig.raw(&Cmd::zcard(keys.owed(&line(HOST, "a")))).await;
    let flying: u32 = rig.raw(&Cmd::zcard(keys.flying(HOST))).await;
    assert_eq!((waiting, flying), (1, 0));
    let late = rig
        .queue
        .owe(id, &due(0, &[JOB]), &DueName::of_end(0))
        .await;
    assert_eq!(late.unwrap(), Owed::Stale);
    let arrived = outcome(DeliveryState::Delivered);
    let late = rig.queue.delivered(&taken, &arrived).await.unwrap();
    assert_eq!(late, Delivered::Stale);
}

#[tokio::test]
async fn a_message_that_failed_is_tried_again_and_one_that_arrived_is_over() {
    let rig = Rig::start();
    let id = JobId::mint();
    rig.owe_all(id, &due(0, &[JOB])).await;
    let taken = rig.taken().await;
    let failed = outcome(DeliveryState::Pending);
    // Sent twice, as after a lost answer: noted once.
    for _ in 0..2 {
        assert_eq!(over(rig.note(&taken, &failed).await), []);
    }
    let (log, known) = rig.queue.deliveries(id).await.unwrap();
    let log = log.unwrap();
    let [delivery] = &log.deliveries[..] else {
        panic!("{log:?}")
    };
    assert!(!known, "of the job itself Redis has never heard");
    assert_eq!(delivery.attempts.len(), 1);
    assert_eq!(
        (delivery.attempts[0].status, delivery.attempts[0].ms),
        (Some(500), 7)
    );
    let wait = delivery.next_at.unwrap() - delivery.attempts[0].at;
    assert!((3_599..=3_602).contains(&wait.num_seconds()), "{wait}");
    let key = rig.queue.keys().delivery(id);
    assert_eq!(
        rig.raw::<i64>(&Cmd::pttl(&key)).await,
        -1,
        "no live key has a time to live"
    );

    rig.lose(&taken).await;
    let taken = rig.taken().await;
    assert_eq!(taken.tries, 1);
    let noted = rig.note(&taken, &outcome(DeliveryState::Delivered)).await;
    assert_eq!(over(noted), [DueName::of_end(0)]);
    assert_eq!(rig.state(id).await, [(JOB, DeliveryState::Delivered, 2)]);
    let rest: i64 = rig.raw(&Cmd::pttl(&key)).await;
    assert!(rest > 0 && rest <= RETENTION.as_millis() as i64);
    // Settled again: nothing is owed any more.
    let again = rig.owe_all(id, &due(0, &[JOB])).await;
    let needless = vec![DueName::of_end(0)];
    assert_eq!(
        again,
        Owed::Ok {
            pending: 0,
            over: needless,
            left: Vec::new(),
        }
    );
}

#[tokio::test]
async fn a_message_that_was_given_back_has_not_been_tried() {
    let rig = Rig::start();
    let id = JobId::mint();
    rig.owe_all(id, &due(0, &[JOB])).await;
    for take in 1..=9 {
        let taken = rig.taken().await;
        assert_eq!((taken.take, taken.tries), (take, 0));
        rig.note(&taken, &Outcome::Returned(Duration::ZERO)).await;
        assert_eq!(rig.state(id).await, [(JOB, DeliveryState::Pending, 0)]);
    }
}

#[tokio::test]
async fn whoever_took_a_message_later_has_the_last_word_unless_it_arrived() {
    let rig = Rig::start();
    let id = JobId::mint();
    rig.owe_all(id, &due(0, &[JOB])).await;
    let slow = rig.taken().await;
    rig.lose(&slow).await;
    let quick = rig.taken().await;
    let failed = outcome(DeliveryState::GivenUp);
    assert_eq!(rig.note(&slow, &failed).await, Delivered::Stale);
    let arrived = outcome(DeliveryState::Delivered);
    assert_eq!(over(rig.note(&slow, &arrived).await), [DueName::of_end(0)]);
    assert_eq!(rig.note(&quick, &failed).await, Delivered::Stale);
}

#[tokio::test]
async fn twenty_attempts_of_a_message_are_kept() {
    let rig = Rig::start();
    let id = JobId::mint();
    rig.owe_all(id, &due(0, &[JOB])).await;
    for _ in 0..23 {
        rig.make_due(&line(HOST, "a"), id, JOB).await;
        let taken = rig.taken().await;
        rig.note(&taken, &outcome(DeliveryState::Pending)).await;
        rig.rest_is_over(&line(HOST, "a")).await;
    }
    assert_eq!(rig.state(id).await, [(JOB, DeliveryState::Pending, 20)]);
}

#[tokio::test]
async fn failures_of_an_endpoint_are_counted_from_the_first_until_a_success() {
    let rig = Rig::start();
    let fail = async |said| {
        rig.owe_all(JobId::mint(), &due(0, &[JOB])).await;
        let mut said = outcome(said);
        let Outcome::Tried { failing, .. } = &mut said else {
            panic!()
        };
        *failing = Some("a:1".to_owned());
        let taken = rig.taken().await;
        match rig.note(&taken, &said).await {
            Delivered::Ok { failing_ms, .. } => failing_ms,
            Delivered::Stale => panic!("stale"),
        }
    };
    assert!(fail(DeliveryState::Pending).await.unwrap() < 1_000);
    let long_ago = Utc::now().timestamp_millis() - 500_000;
    let _: () = rig
        .raw(&Cmd::hset(rig.queue.keys().failing(), "a:1", long_ago))
        .await;
    assert!(fail(DeliveryState::GivenUp).await.unwrap() >= 500_000);
    assert_eq!(fail(DeliveryState::Delivered).await, None);
    assert!(fail(DeliveryState::Pending).await.unwrap() < 1_000);
    rig.queue.forget_failures("a:1").await.unwrap();
    let left: u32 = rig.raw(&Cmd::hlen(rig.queue.keys().failing())).await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_message_whose_time_is_over_is_given_up_uncalled() {
    let rig = Rig::start();
    let id = JobId::mint();
    let mut late = due(0, &[JOB]);
    late.targets[0].until = Utc::now() - TimeDelta::seconds(1);
    rig.owe_all(id, &late).await;
    let turn = rig.turn(9).await;
    assert_eq!((turn.messages.len(), turn.late[0].id), (0, id));
    assert_eq!(
        (turn.over[0].id, &turn.over[0].names[..]),
        (id, &[DueName::of_end(0)][..])
    );
    assert_eq!(rig.state(id).await, [(JOB, DeliveryState::GivenUp, 0)]);
    let lines: u32 = rig.raw(&Cmd::zcard(rig.queue.keys().owing())).await;
    assert_eq!(lines, 0);
}

#[tokio::test]
async fn the_messages_of_a_deleted_job_go_with_it() {
    let rig = Rig::start();
    let id = rig.ended("a", JobStatus::Failed).await;
    rig.owe_all(id, &due(0, &[JOB])).await;
    rig.taken().await;
    rig.delete(id).await;
    assert_eq!(rig.queue.deliveries(id).await.unwrap(), (None, false));
    let keys = rig.queue.keys();
    for set in [
        keys.owing(),
        keys.owed(&line(HOST, "a")),
        keys.flying(HOST),
        keys.flying("/a"),
    ] {
        let left: u32 = rig.raw(&Cmd::zcard(&set)).await;
        assert_eq!(left, 0, "{set}");
    }
}

#[tokio::test]
async fn who_has_webhooks_is_known_once_all_of_them_were_named() {
    let Rig { queue, .. } = &Rig::start();
    let [alice, bob] = ["alice", "bob"].map(TenantId::new);
    assert_eq!(queue.is_hooked(&alice).await.unwrap(), None);
    queue
        .hook(std::slice::from_ref(&alice), false)
        .await
        .unwrap();
    assert_eq!(queue.is_hooked(&alice).await.unwrap(), Some(true));
    assert_eq!(queue.is_hooked(&bob).await.unwrap(), None);
    queue.hook(&[], true).await.unwrap();
    assert_eq!(queue.is_hooked(&bob).await.unwrap(), Some(false));
    queue.hook(std::slice::from_ref(&bob), false).await.unwrap();
    assert_eq!(queue.is_hooked(&bob).await.unwrap(), Some(true));
}
