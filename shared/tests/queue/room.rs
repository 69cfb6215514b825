//! How many owed messages of a tenant stand in Redis; the others wait in the store.

use chrono::{TimeDelta, Utc};
use shared::delivery;
use shared::envelope::DueName;
use shared::job::JobId;
use shared::queue::{DeliveryState, Owed, Policy, Queue, Turn};

use crate::delivery::{HOST, JOB, due_in, endpoint, line, outcome, pending};
use crate::rig::{RETENTION, Rig};
use crate::site::Site;

#[tokio::test]
async fn messages_beyond_a_tenants_share_are_left_until_there_is_room() {
    let mut rig = Rig::start();
    let policy = Policy::new(4, 2, 100, RETENTION).keeping(8);
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let [dead, other] = [line("dead.example.com", "a"), line(HOST, "a")];
    let [first, second, third] = [JobId::mint(), JobId::mint(), JobId::mint()];
    for id in [first, second] {
        let owed = rig.owe_all(id, &due_in(&dead, 0, &[JOB])).await;
        assert_eq!(owed, pending(1));
    }
    // A quarter of the share is one receiver's; what goes elsewhere comes in.
    let mut both = due_in(&dead, 0, &[JOB]);
    let to = endpoint();
    both.targets.extend(due_in(&other, 0, &[to]).targets);
    let left_over = |pending, over| Owed::Ok {
        pending,
        over,
        left: vec![JOB],
    };
    for _ in 0..2 {
        assert_eq!(
            rig.owe_all(third, &both).await,
            left_over(1, Vec::new()),
            "again changes nothing"
        );
    }
    assert_eq!(rig.state(third).await, [(to, DeliveryState::Pending, 0)]);
    let nothing = JobId::mint();
    assert_eq!(
        rig.owe_all(nothing, &due_in(&dead, 0, &[JOB])).await,
        left_over(0, vec![DueName::of_end(0)]),
        "nothing of it is in Redis, so its note is not needed"
    );
    assert_eq!(rig.queue.deliveries(nothing).await.unwrap().0, None);

    let waiting = due_in(&dead, 0, &[JOB]);
    let name = DueName::again(0);
    let bring = async || rig.queue.bring(third, &waiting, &name).await.unwrap();
    assert_eq!(bring().await, left_over(1, Vec::new()));
    rig.make_due(&dead, first, JOB).await;
    let taken = rig.taken().await;
    assert_eq!(taken.id, first);
    rig.note(&taken, &outcome(DeliveryState::Delivered)).await;
    assert_eq!(bring().await, pending(2));
    assert_eq!(bring().await, pending(2));
    let noted = rig.queue.noted(&[third]).await.unwrap();
    let names = noted[0].clone().unwrap().names;
    assert_eq!(names, [DueName::of_end(0), name.clone()]);
}

#[tokio::test]
async fn a_tenants_share_counts_what_stands_in_all_its_lines() {
    let mut rig = Rig::start();
    let policy = Policy::new(4, 2, 100, RETENTION).keeping(8);
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let owe = async |host: &str, tenant: &str| {
        let due = due_in(&line(host, tenant), 0, &[JOB]);
        rig.owe_all(JobId::mint(), &due).await == pending(1)
    };
    let mut came_in = 0;
    for host in ["a", "b", "c", "d", "e"] {
        for _ in 0..3 {
            came_in += u32::from(owe(host, "loud").await);
        }
    }
    assert_eq!(came_in, 8, "two of each of four hosts");
    assert!(owe("e", "quiet").await);
    for _ in 0..9 {
        let turn = rig.turn(1).await;
        rig.note(&turn.messages[0], &outcome(DeliveryState::Delivered))
            .await;
    }
    assert_eq!(rig.turn(1).await, Turn::default());
    assert!(owe("e", "loud").await, "its room is free again");
}

/// What the sweep does for all lines.
async fn bring(site: &Site) -> u32 {
    let mut brought = 0;
    for line in site.clients.store.waiting_lines().await.unwrap() {
        brought += delivery::bring(&site.clients, &line).await.unwrap();
    }
    brought
}

#[tokio::test]
async fn messages_without_room_wait_in_the_store_and_are_sent_once_each() {
    let site = Site::with(&[("KEPT_JOBS", "4")]).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(site.ended(site.own()).await);
    }
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(
            site.is_due(*id).await,
            n == 0,
            "the others are noted elsewhere"
        );
    }
    assert_eq!(bring(&site).await, 0, "there is no room");
    for n in 1..=ids.len() {
        assert_eq!(site.deliver().await, 1, "{n}");
        assert_eq!(bring(&site).await, u32::from(n < ids.len()), "{n}");
    }
    assert_eq!(site.deliver().await, 0);
    let heard = site.heard();
    let heard: Vec<_> = heard
        .iter()
        .map(|(_, body)| body["data"]["jobId"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(heard, expected, "in the order of their ends");
    for id in ids {
        assert!(!site.is_due(id).await);
    }
    assert_eq!(bring(&site).await, 0);
}

#[tokio::test]
async fn what_waits_too_long_or_for_an_end_that_is_not_the_last_is_removed() {
    let site = Site::with(&[("KEPT_JOBS", "4")]).await;
    site.ended(site.own()).await;
    let id = site.ended(site.own()).await;
    let store = &site.clients.store;
    let lines = store.waiting_lines().await.unwrap();
    let name = store.waiting_page(&lines[0], 9).await.unwrap()[0];
    assert_eq!(name.id, id);
    let mut waiting = store.waiting(&lines[0], &name).await.unwrap().unwrap();
    let line = waiting.targets[0].line.clone();
    waiting.targets[0].until = Utc::now() - TimeDelta::seconds(1);
    store.put_waiting(id, &line, &waiting).await.unwrap();
    waiting.targets[0].until = Utc::now() + TimeDelta::seconds(60);
    waiting.generation = 7;
    store.put_waiting(id, &line, &waiting).await.unwrap();
    assert_eq!(bring(&site).await, 2);
    assert_eq!(store.waiting_page(&lines[0], 9).await.unwrap(), []);
    assert_eq!(site.deliver().await, 1, "that of the first job");
}
