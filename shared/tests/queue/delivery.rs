//! Owed messages, as Redis keeps them.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use redis::Cmd;
use shared::endpoint::{Ending, Hook, Line, Target};
use shared::envelope::{Due, DueName, DueTarget};
use shared::job::{JobId, JobStatus, TenantId};
use shared::queue::{
    Delivered, DeliveryState, HostSign, LeasedMessage, Outcome, Owed, Redelivered, Turn,
};
use uuid::Uuid;

use crate::rig::{RETENTION, Rig};

const JOB: Target = Target::Webhook(Hook::Job);
const HOST: &str = "example.com";
/// Messages of one tenant, and to one host, that are on their way at the same time.
const TENANT_MOST: usize = 8;
const HOST_MOST: usize = 16;

fn endpoint() -> Target {
    Target::Webhook(Hook::Tenant(Uuid::now_v7()))
}

fn line(host: &str, tenant: &str) -> Line {
    Line::of_tenant(host, &TenantId::new(tenant))
}

fn due_in(line: &Line, generation: u32, targets: &[Target]) -> Due {
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

fn due(generation: u32, targets: &[Target]) -> Due {
    due_in(&line(HOST, "a"), generation, targets)
}

/// What one call came to; a failure is tried again after an hour.
fn outcome(state: DeliveryState) -> Outcome {
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

fn pending(n: u32) -> Owed {
    Owed::Ok {
        pending: n,
        over: Vec::new(),
    }
}

/// The objects that need not be kept any more.
fn over(noted: Delivered) -> Vec<DueName> {
    match noted {
        Delivered::Ok { over, .. } => over,
        Delivered::Stale => panic!("stale"),
    }
}

impl Rig {
    async fn owe_all(&self, id: JobId, due: &Due) -> Owed {
        let name = DueName::of_end(due.generation);
        self.queue.owe(id, due, &name).await.unwrap()
    }

    async fn turn(&self, most: usize) -> Turn {
        self.queue.dispatch(most).await.unwrap()
    }

    async fn taken(&self) -> LeasedMessage {
        let turn = self.turn(1).await;
        *turn.messages.first().expect("a message that is due")
    }

    async fn note(&self, message: &LeasedMessage, outcome: &Outcome) -> Delivered {
        self.queue.delivered(message, outcome).await.unwrap()
    }

    async fn make_due(&self, line: &Line, id: JobId, target: Target) {
        let (keys, member) = (self.queue.keys(), format!("{id}:{target}"));
        let _: () = self.raw(&Cmd::zadd(keys.owed(line), member, 1)).await;
        let _: () = self
            .raw(&Cmd::zadd(keys.owing(), line.to_string(), 1))
            .await;
    }

    /// Whoever took it never came back.
    async fn lose(&self, message: &LeasedMessage) {
        self.make_due(&line(HOST, "a"), message.id, message.target)
            .await;
    }

    /// The line rests no longer.
    async fn rest_is_over(&self, line: &Line) {
        let keys = self.queue.keys();
        let _: () = self.raw(&Cmd::hset(keys.fault(line), "until", 1)).await;
        let _: () = self
            .raw(&Cmd::zadd(keys.owing(), line.to_string(), 1))
            .await;
    }

    /// So many jobs whose ends owe one message each.
    async fn owing(&self, line: &Line, count: usize) {
        for _ in 0..count {
            self.owe_all(JobId::mint(), &due_in(line, 0, &[JOB])).await;
        }
    }

    async fn state(&self, id: JobId) -> Vec<(Target, DeliveryState, usize)> {
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
            over: earlier
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
            over: needless
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
async fn one_tenant_whose_receiver_hangs_leaves_room_for_the_others() {
    let rig = Rig::start();
    rig.owing(&line("hangs.example", "mallory"), 100).await;
    let hanging = rig.turn(1000).await.messages;
    assert_eq!(hanging.len(), TENANT_MOST);
    // The same host, and another: neither is hers alone.
    for host in ["hangs.example", HOST] {
        rig.owing(&line(host, "alice"), 1).await;
        assert_eq!(rig.turn(1000).await.messages.len(), 1, "{host}");
    }
    assert_eq!(rig.turn(1000).await, Turn::default());
    // What comes back makes room for the next one at once.
    rig.note(&hanging[0], &outcome(DeliveryState::Delivered))
        .await;
    assert_eq!(rig.turn(1000).await.messages.len(), 1);
}

#[tokio::test]
async fn a_host_has_sixteen_calls_at_a_time_whoever_they_are_for() {
    let rig = Rig::start();
    for tenant in ["a", "b", "c"] {
        rig.owing(&line(HOST, tenant), 20).await;
    }
    let first = rig.turn(1000).await.messages;
    assert_eq!(first.len(), HOST_MOST);
    rig.note(&first[0], &outcome(DeliveryState::Delivered))
        .await;
    assert_eq!(rig.turn(1000).await.messages.len(), 1);
    // A service of the operator's is called for all tenants.
    rig.owing(&Line::of_service("api.example"), 20).await;
    assert_eq!(rig.turn(1000).await.messages.len(), HOST_MOST);
}

#[tokio::test]
async fn room_that_a_lost_sender_had_is_free_after_its_lease() {
    let rig = Rig::start();
    let line = line(HOST, "a");
    rig.owing(&line, TENANT_MOST + 1).await;
    assert_eq!(rig.turn(1000).await.messages.len(), TENANT_MOST);
    let keys = rig.queue.keys();
    for side in [HOST, "/a"] {
        let names: Vec<String> = rig.raw(&Cmd::zrange(keys.flying(side), 0, -1)).await;
        for name in names {
            let _: () = rig.raw(&Cmd::zadd(keys.flying(side), name, 1)).await;
        }
    }
    let _: () = rig.raw(&Cmd::zadd(keys.owing(), line.to_string(), 1)).await;
    assert_eq!(rig.turn(1000).await.messages.len(), 1);
}

#[tokio::test]
async fn lines_are_served_by_turns_however_long_they_are() {
    let rig = Rig::start();
    rig.owing(&line("x.example", "mallory"), 50).await;
    rig.owing(&line("y.example", "alice"), 3).await;
    let taken = rig.turn(6).await.messages;
    let mut of_alice = 0;
    for message in &taken {
        let (log, _) = rig.queue.deliveries(message.id).await.unwrap();
        let line = log.unwrap().deliveries[0].line.to_string();
        of_alice += u32::from(line.ends_with("alice"));
    }
    assert_eq!((taken.len(), of_alice), (6, 3));
}

#[tokio::test]
async fn a_line_that_fails_rests_and_is_then_tried_with_one_message() {
    let rig = Rig::start();
    let line = line(HOST, "a");
    rig.owing(&line, 9).await;
    let failed = outcome(DeliveryState::Pending);
    let rest = async |message: &LeasedMessage, outcome: &Outcome| match rig
        .queue
        .delivered(message, outcome)
        .await
        .unwrap()
    {
        Delivered::Ok { rest_ms, .. } => rest_ms,
        Delivered::Stale => panic!("stale"),
    };
    let mut rests = Vec::new();
    for message in rig.turn(5).await.messages {
        rests.push(rest(&message, &failed).await);
    }
    assert_eq!(rests[..4], [None; 4]);
    assert!((1_000..=1_500).contains(&rests[4].unwrap()), "{rests:?}");
    assert_eq!(rig.turn(9).await, Turn::default(), "it rests");
    // Others are served meanwhile.
    rig.owing(&Line::of_service("other.example"), 1).await;
    assert_eq!(rig.turn(9).await.messages.len(), 1);

    rig.rest_is_over(&line).await;
    let probe = rig.turn(9).await.messages;
    assert_eq!(probe.len(), 1);
    assert!(
        rest(&probe[0], &failed).await.unwrap() >= 2_000,
        "longer than before"
    );
    rig.rest_is_over(&line).await;
    let probe = rig.turn(9).await.messages;
    assert_eq!(
        rest(&probe[0], &outcome(DeliveryState::Delivered)).await,
        None
    );
    assert_eq!(rig.turn(9).await.messages.len(), 2, "all that are left");
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

/// A minute later, for this job's messages and for the limits.
async fn a_minute_later(rig: &Rig, id: JobId) {
    let key = rig.queue.keys().delivery(id);
    let text: String = rig.raw(&Cmd::hget(&key, JOB.to_string())).await;
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["again"] = 1.into();
    let _: () = rig
        .raw(&Cmd::hset(&key, JOB.to_string(), record.to_string()))
        .await;
}

#[tokio::test]
async fn a_message_is_sent_again_by_hand_once_a_minute_whatever_became_of_it() {
    let rig = Rig::start();
    let id = JobId::mint();
    let end = due(0, &[JOB]);
    rig.owe_all(id, &end).await;
    let taken = rig.taken().await;
    rig.note(&taken, &outcome(DeliveryState::GivenUp)).await;
    let (first, second) = (DueName::again(0), DueName::again(0));
    let again = rig.queue.redeliver(id, &end, &first).await.unwrap();
    assert_eq!(again, Redelivered::Ok);
    let refused = rig.queue.redeliver(id, &end, &second).await.unwrap();
    assert!(
        matches!(refused, Redelivered::Limited { retry_ms } if (50_000..=60_000).contains(&retry_ms)),
        "{refused:?}"
    );
    let taken = rig.taken().await;
    assert_eq!((taken.target, taken.tries), (JOB, 1), "its tries stay");
    let noted = rig.note(&taken, &outcome(DeliveryState::Delivered)).await;
    assert_eq!(over(noted), [first], "and not what another one noted");
    a_minute_later(&rig, id).await;
    let again = rig.queue.redeliver(id, &end, &second).await.unwrap();
    assert_eq!(again, Redelivered::Ok);

    let unknown = due(0, &[endpoint()]);
    let unknown = rig.queue.redeliver(id, &unknown, &second).await.unwrap();
    assert_eq!(unknown, Redelivered::Unknown);
    let later = rig
        .queue
        .redeliver(id, &due(1, &[JOB]), &second)
        .await
        .unwrap();
    assert_eq!(later, Redelivered::Unknown, "of another end");
}

#[tokio::test]
async fn what_is_sent_again_while_the_last_message_arrives_stays_noted() {
    let rig = Rig::start();
    let (id, other) = (JobId::mint(), endpoint());
    rig.owe_all(id, &due(0, &[JOB, other])).await;
    let both = rig.turn(2).await.messages;
    let (last, first) = if both[0].target == JOB {
        (both[1], both[0])
    } else {
        (both[0], both[1])
    };
    let arrived = outcome(DeliveryState::Delivered);
    rig.note(&first, &arrived).await;
    // The other is on its way when the first one is sent again.
    let again = DueName::again(0);
    rig.queue
        .redeliver(id, &due(0, &[JOB]), &again)
        .await
        .unwrap();
    assert_eq!(over(rig.note(&last, &arrived).await), []);
    let taken = rig.taken().await;
    let names = over(rig.note(&taken, &arrived).await);
    assert_eq!(names, [DueName::of_end(0), again]);
}

#[tokio::test]
async fn what_is_sent_again_by_hand_is_bounded_by_tenant_and_by_host() {
    let rig = Rig::start();
    let send_again = async |line: &Line| {
        let id = JobId::mint();
        let end = due_in(line, 0, &[JOB]);
        rig.owe_all(id, &end).await;
        let name = DueName::again(0);
        rig.queue.redeliver(id, &end, &name).await.unwrap() == Redelivered::Ok
    };
    let mut sent = 0;
    for n in 0..40 {
        let host = format!("h{n}.example");
        sent += u32::from(send_again(&line(&host, "mallory")).await);
    }
    assert_eq!(sent, 30, "of one tenant");
    let mut sent = 0;
    for n in 0..40 {
        let tenant = format!("t{n}");
        sent += u32::from(send_again(&line("victim.example", &tenant)).await);
    }
    assert_eq!(sent, 30, "to one host");
}

#[tokio::test]
async fn lines_that_nobody_comes_to_are_counted() {
    let rig = Rig::start();
    rig.owing(&line(HOST, "a"), 3).await;
    assert_eq!(rig.queue.due().await.unwrap(), 0, "a bell rings for them");
    for tenant in ["a", "b"] {
        let line = line(HOST, tenant);
        rig.make_due(&line, JobId::mint(), JOB).await;
    }
    assert_eq!(rig.queue.due().await.unwrap(), 2);
    rig.turn(9).await;
    assert_eq!(rig.queue.due().await.unwrap(), 0);
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
