//! Restore: what Redis has forgotten takes its old place.

use chrono::TimeDelta;
use shared::job::JobStatus;
use shared::queue::{Enqueued, Held, Restored, Spent};
use shared::stage::Stage;

use crate::rig::{Rig, new_job, track};

#[tokio::test]
async fn restore_takes_the_old_place_in_line_and_event_numbers_do_not_fall() {
    let rig = Rig::start();
    let mut first = new_job("alice");
    first.created_at -= TimeDelta::seconds(10);
    let mut second = new_job("alice");
    second.created_at -= TimeDelta::seconds(5);
    rig.enqueue(&first).await;
    rig.enqueue(&second).await;
    let before = rig.job(first.id).await.job.seq;
    rig.empty_redis().await;

    let new = rig.put("alice").await;
    let proven = Restored {
        stage: Stage::Plan,
        generation: 0,
    };
    let answer = rig.restore(&second, proven).await;
    assert_eq!((answer.outcome, answer.debt.ring), (Enqueued::Enqueued, 1));
    rig.restore(&first, proven).await;
    let seq = rig.job(first.id).await.job.seq;
    assert!(seq > before, "{seq} after {before}");
    let page = rig.queue.events(first.id, before).await.unwrap().unwrap();
    assert!(page.gap, "what lay between is said to be lost");
    rig.empty_redis().await;
    rig.restore(&first, proven).await;
    assert!(rig.job(first.id).await.job.seq > seq);
    rig.restore(&second, proven).await;
    let mut third = new_job("alice");
    third.id = new;
    rig.restore(&third, proven).await;
    for id in [first.id, second.id] {
        assert_eq!(rig.take().await.id, id);
    }
}

#[tokio::test]
async fn restore_keeps_what_the_store_proves() {
    let rig = Rig::start();
    let mut job = new_job("alice");
    job.start_by = job.created_at - TimeDelta::seconds(1);
    rig.restore(
        &job,
        Restored {
            stage: Stage::Audio,
            generation: 2,
        },
    )
    .await;
    let record = rig.job(job.id).await.job;
    assert_eq!(
        (record.stage, record.generation, record.attempt),
        (Stage::Audio, 2, 1)
    );
    rig.expire().await;
    let said = "a job with a plan had started: startBy is over";
    assert_eq!(rig.status(job.id).await, JobStatus::Queued, "{said}");
}

#[tokio::test]
async fn a_restored_job_that_only_lacks_its_finish_comes_by_the_line() {
    let rig = Rig::start();
    let job = new_job("alice");
    rig.restore(
        &job,
        Restored {
            stage: Stage::Finish,
            generation: 0,
        },
    )
    .await;
    let (record, holder) = rig.take_job().await;
    assert_eq!(record.stage, Stage::Audio);
    rig.on_to(&holder, Stage::Finish).await;
    let done = rig.complete(&holder, &track(), Spent::default()).await;
    assert_eq!(done.outcome, Held::Ok);
}

#[tokio::test]
async fn restore_of_a_known_job_changes_nothing() {
    let rig = Rig::start();
    let job = new_job("alice");
    rig.enqueue(&job).await;
    let holder = rig.take().await;
    let before = rig.job(job.id).await;
    let proven = Restored {
        stage: Stage::Audio,
        generation: 3,
    };
    assert_eq!(rig.restore(&job, proven).await.outcome, Enqueued::Exists);
    assert_eq!(rig.job(job.id).await, before);
    assert_eq!(rig.renew(&holder).await, Held::Ok);
}
