//! Messages to webhooks, as Redis keeps them.

use std::time::Duration;

use redis::Cmd;
use shared::endpoint::{Ending, Target};
use shared::envelope::{Due, DueTarget};
use shared::job::{JobId, JobStatus, TenantId};
use shared::queue::{Delivered, DeliveryState, Outcome, Taken};
use uuid::Uuid;

use crate::rig::{RETENTION, Rig};

const LEASE: Duration = Duration::from_secs(60);

fn due(generation: u32, targets: &[Target]) -> Due {
    let targets = targets.iter().map(|target| DueTarget {
        target: *target,
        url: "https://example.com/".to_owned(),
    });
    Due {
        generation,
        event: Ending::Failed,
        targets: targets.collect(),
    }
}

/// What one call came to; a failure is tried again after an hour.
fn outcome(state: DeliveryState) -> Outcome {
    Outcome {
        state,
        again: Duration::from_secs(3600),
        url: None,
        failing: None,
        took: Duration::from_millis(7),
        status: Some(500),
        reason: Some("500 Internal Server Error".to_owned()),
    }
}

fn pending(n: u32) -> Delivered {
    Delivered::Ok {
        pending: n,
        failing_ms: None,
    }
}

impl Rig {
    async fn taken(&self, id: JobId) -> Taken {
        let all = self.queue.dispatch(id, 1, LEASE).await.unwrap();
        all.expect("a message that is due").taken[0]
    }

    async fn make_due(&self, id: JobId, target: Target) {
        let member = format!("{id}:{target}");
        let zadd = Cmd::zadd(self.queue.keys().deliveries(), member, 1);
        let _: () = self.raw(&zadd).await;
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
    assert_eq!(rig.queue.dispatch(id, 4, LEASE).await.unwrap(), None);
    let two = [Target::Job, Target::Tenant(Uuid::now_v7())];
    assert_eq!(rig.queue.owe(id, &due(0, &two)).await.unwrap(), pending(2));
    let first = rig.queue.dispatch(id, 1, LEASE).await.unwrap().unwrap();
    assert_eq!((first.generation, first.event), (0, Ending::Failed));
    let second = rig.queue.dispatch(id, 4, LEASE).await.unwrap().unwrap();
    assert_eq!((first.taken.len(), second.taken.len()), (1, 1));
    assert_ne!(first.taken[0].target, second.taken[0].target);
    // The end is told twice: what is on its way is not due for that.
    assert_eq!(rig.queue.owe(id, &due(0, &two)).await.unwrap(), pending(2));
    assert_eq!(rig.queue.dispatch(id, 4, LEASE).await.unwrap(), None);
    rig.make_due(id, first.taken[0].target).await;
    let again = rig.queue.dispatch(id, 4, LEASE).await.unwrap().unwrap();
    assert_eq!(
        (again.taken[0].target, again.taken[0].tries),
        (first.taken[0].target, 2)
    );
}

#[tokio::test]
async fn a_later_end_forgets_the_messages_of_an_earlier_one() {
    let rig = Rig::start();
    let id = JobId::mint();
    let tenant = Target::Tenant(Uuid::now_v7());
    rig.queue.owe(id, &due(0, &[Target::Job])).await.unwrap();
    let taken = rig.taken(id).await;
    assert_eq!(
        rig.queue.owe(id, &due(1, &[tenant])).await.unwrap(),
        pending(1)
    );
    assert_eq!(rig.state(id).await, [(tenant, DeliveryState::Pending, 0)]);
    let waiting: u32 = rig.raw(&Cmd::zcard(rig.queue.keys().deliveries())).await;
    assert_eq!(waiting, 1);
    let late = rig.queue.owe(id, &due(0, &[Target::Job])).await.unwrap();
    assert_eq!(late, Delivered::Stale);
    let arrived = outcome(DeliveryState::Delivered);
    let late = rig.queue.delivered(id, 0, taken, &arrived).await.unwrap();
    assert_eq!(late, Delivered::Stale);
}

#[tokio::test]
async fn a_message_that_failed_is_tried_again_and_one_that_arrived_is_over() {
    let rig = Rig::start();
    let id = JobId::mint();
    rig.queue.owe(id, &due(0, &[Target::Job])).await.unwrap();
    let taken = rig.taken(id).await;
    let failed = outcome(DeliveryState::Pending);
    // Sent twice, as after a lost answer: noted once.
    for _ in 0..2 {
        let noted = rig.queue.delivered(id, 0, taken, &failed).await.unwrap();
        assert_eq!(noted, pending(1));
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

    rig.make_due(id, Target::Job).await;
    let taken = rig.taken(id).await;
    let arrived = outcome(DeliveryState::Delivered);
    let noted = rig.queue.delivered(id, 0, taken, &arrived).await.unwrap();
    assert_eq!(noted, pending(0));
    let state = [(Target::Job, DeliveryState::Delivered, 2)];
    assert_eq!(rig.state(id).await, state);
    let rest: i64 = rig.raw(&Cmd::pttl(&key)).await;
    assert!(rest > 0 && rest <= RETENTION.as_millis() as i64);
    // Settled again: nothing is owed any more.
    let again = rig.queue.owe(id, &due(0, &[Target::Job])).await.unwrap();
    assert_eq!(again, pending(0));
}

#[tokio::test]
async fn whoever_took_a_message_later_has_the_last_word_unless_it_arrived() {
    let rig = Rig::start();
    let id = JobId::mint();
    rig.queue.owe(id, &due(0, &[Target::Job])).await.unwrap();
    let slow = rig.taken(id).await;
    rig.make_due(id, Target::Job).await;
    let quick = rig.taken(id).await;
    let failed = outcome(DeliveryState::GivenUp);
    let noted = rig.queue.delivered(id, 0, slow, &failed).await.unwrap();
    assert_eq!(noted, Delivered::Stale);
    let arrived = outcome(DeliveryState::Delivered);
    let noted = rig.queue.delivered(id, 0, slow, &arrived).await.unwrap();
    assert_eq!(noted, pending(0));
    let noted = rig.queue.delivered(id, 0, quick, &failed).await.unwrap();
    assert_eq!(noted, Delivered::Stale);
}

#[tokio::test]
async fn twenty_attempts_of_a_message_are_kept() {
    let rig = Rig::start();
    let id = JobId::mint();
    rig.queue.owe(id, &due(0, &[Target::Job])).await.unwrap();
    for _ in 0..23 {
        rig.make_due(id, Target::Job).await;
        let taken = rig.taken(id).await;
        let failed = outcome(DeliveryState::Pending);
        rig.queue.delivered(id, 0, taken, &failed).await.unwrap();
    }
    assert_eq!(
        rig.state(id).await,
        [(Target::Job, DeliveryState::Pending, 20)]
    );
}

#[tokio::test]
async fn failures_of_an_endpoint_are_counted_from_the_first_until_a_success() {
    let rig = Rig::start();
    let failing = Some("a:1".to_owned());
    let fail = async |state| {
        let id = JobId::mint();
        rig.queue.owe(id, &due(0, &[Target::Job])).await.unwrap();
        let outcome = Outcome {
            failing: failing.clone(),
            ..outcome(state)
        };
        let taken = rig.taken(id).await;
        match rig.queue.delivered(id, 0, taken, &outcome).await.unwrap() {
            Delivered::Ok { failing_ms, .. } => failing_ms,
            Delivered::Stale => panic!("stale"),
        }
    };
    assert!(fail(DeliveryState::Pending).await.unwrap() < 1_000);
    let long_ago = chrono::Utc::now().timestamp_millis() - 500_000;
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
async fn a_message_is_due_again_by_hand_whatever_became_of_it() {
    let rig = Rig::start();
    let id = JobId::mint();
    let other = Target::Tenant(Uuid::now_v7());
    rig.queue
        .owe(id, &due(0, &[Target::Job, other]))
        .await
        .unwrap();
    for _ in 0..2 {
        let taken = rig.taken(id).await;
        let state = match taken.target {
            Target::Job => DeliveryState::Delivered,
            Target::Tenant(_) => DeliveryState::Disabled,
        };
        rig.queue
            .delivered(id, 0, taken, &outcome(state))
            .await
            .unwrap();
    }
    assert_eq!(rig.queue.redeliver(id, &[Target::Job]).await.unwrap(), 1);
    let taken = rig.taken(id).await;
    assert_eq!((taken.target, taken.tries), (Target::Job, 1));
    let arrived = outcome(DeliveryState::Delivered);
    let noted = rig.queue.delivered(id, 0, taken, &arrived).await.unwrap();
    assert_eq!(noted, pending(0));
    let unknown = [Target::Tenant(Uuid::now_v7())];
    assert_eq!(rig.queue.redeliver(id, &unknown).await.unwrap(), 0);
}

#[tokio::test]
async fn jobs_whose_messages_nobody_takes_are_found_page_by_page() {
    let rig = Rig::start();
    let fresh = JobId::mint();
    rig.queue.owe(fresh, &due(0, &[Target::Job])).await.unwrap();
    assert_eq!(
        rig.queue.due(0).await.unwrap(),
        (vec![], false),
        "a bell rings for it"
    );
    let mut ids = Vec::new();
    for _ in 0..9 {
        let id = JobId::mint();
        let both = [Target::Job, Target::Tenant(Uuid::now_v7())];
        rig.queue.owe(id, &due(0, &both)).await.unwrap();
        for target in both {
            rig.make_due(id, target).await;
        }
        ids.push(id);
    }
    let (first, more) = rig.queue.due(0).await.unwrap();
    let (rest, end) = rig.queue.due(16).await.unwrap();
    assert_eq!((first.len(), more, rest.len(), end), (8, true, 1, false));
    let mut found = [first, rest].concat();
    found.sort();
    ids.sort();
    assert_eq!(found, ids);
}

#[tokio::test]
async fn the_messages_of_a_deleted_job_go_with_it() {
    let rig = Rig::start();
    let id = rig.ended("a", JobStatus::Failed).await;
    rig.queue.owe(id, &due(0, &[Target::Job])).await.unwrap();
    rig.delete(id).await;
    assert_eq!(rig.queue.deliveries(id).await.unwrap(), (None, false));
    let waiting: u32 = rig.raw(&Cmd::zcard(rig.queue.keys().deliveries())).await;
    assert_eq!(waiting, 0);
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
