//! Messages that are sent again by hand.

use redis::Cmd;
use shared::endpoint::Line;
use shared::envelope::DueName;
use shared::job::JobId;
use shared::queue::{DeliveryState, Redelivered};

use crate::delivery::{JOB, due, due_in, endpoint, line, outcome, over};
use crate::rig::Rig;

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
