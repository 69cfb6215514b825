//! Lines of owed messages: turns, room by host and tenant, and rests.

use redis::Cmd;
use shared::endpoint::Line;
use shared::job::JobId;
use shared::queue::{Delivered, DeliveryState, LeasedMessage, Outcome, Turn};

use crate::delivery::{HOST, JOB, line, outcome};
use crate::rig::Rig;

/// Messages of one tenant, and to one host, that are on their way at the same time.
const TENANT_MOST: usize = 8;
const HOST_MOST: usize = 16;

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
