//! Renew, and what happens to a holder who does not.

use redis::Cmd;
use shared::job::{Fence, JobError, JobStatus};
use shared::queue::{Held, Holder, Spent};
use shared::stage::Stage;

use crate::rig::{Rig, new_job};

async fn last_error(rig: &Rig, holder: &Holder) -> JobError {
    serde_json::from_str(&rig.job(holder.id).await.outcome.unwrap()).unwrap()
}

#[tokio::test]
async fn renew_moves_the_end_of_the_lease() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let lease = rig.queue.keys().lease();
    rig.let_pass(lease.clone(), holder.id).await;
    assert_eq!(rig.renew(&holder).await, Held::Ok);
    let due = rig.due_in(lease, holder.id).await.unwrap();
    assert!((25_000..=30_000).contains(&due), "{due}");
    rig.on_to(&holder, Stage::Finish).await;
    let finish = rig.queue.keys().finish();
    rig.let_pass(finish.clone(), holder.id).await;
    assert_eq!(rig.renew(&holder).await, Held::Ok);
    let due = rig.due_in(finish, holder.id).await.unwrap();
    assert!((25_000..=30_000).contains(&due), "{due}");
}

#[tokio::test]
async fn renew_refuses_a_stale_fence() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let other = Holder {
        id: holder.id,
        fence: Fence("1-0".to_owned()),
    };
    assert_eq!(rig.renew(&other).await, Held::Stale);
    rig.give_back(&holder).await;
    assert_eq!(rig.renew(&holder).await, Held::Stale, "given back");
}

#[tokio::test]
async fn renew_refuses_the_worker_of_a_parked_job() {
    let rig = Rig::start();
    let holder = rig.parked("alice").await;
    assert_eq!(rig.renew(&holder).await, Held::Stale);
    let due = rig
        .due_in(rig.queue.keys().lease(), holder.id)
        .await
        .unwrap();
    assert!(due > 590_000, "{due}");
}

#[tokio::test]
async fn a_worker_that_falls_silent_loses_its_attempt_to_the_next() {
    let rig = Rig::start();
    rig.put("alice").await;
    let lost = rig.take().await;
    rig.let_pass(rig.queue.keys().lease(), lost.id).await;
    let (job, holder) = rig.take_job().await;
    assert_eq!((job.id, job.attempt), (lost.id, 2));
    assert_eq!(last_error(&rig, &lost).await.code, "worker_lost");
    assert_eq!(rig.renew(&lost).await, Held::Stale);
    let late = rig.advance(&lost, Stage::Audio, Spent::default()).await;
    assert_eq!(late.outcome, Held::Stale);
    assert_eq!(rig.renew(&holder).await, Held::Ok);
}

#[tokio::test]
async fn a_model_that_falls_silent_loses_the_attempt_and_its_time_counts() {
    let rig = Rig::start();
    let lost = rig.parked("alice").await;
    let earlier = Cmd::hincr(rig.queue.keys().job(lost.id), "parked_ms", -60_000);
    let _: () = rig.raw(&earlier).await;
    rig.let_pass(rig.queue.keys().lease(), lost.id).await;
    let (job, _) = rig.take_job().await;
    assert_eq!(
        (job.stage, job.attempt, job.parked),
        (Stage::Audio, 2, false)
    );
    assert!(
        (60_000..65_000).contains(&job.usage.audio_ms),
        "{:?}",
        job.usage
    );
    assert_eq!(last_error(&rig, &lost).await.code, "model_silent");
}

#[tokio::test]
async fn a_worker_lost_in_the_last_attempt_fails_the_job() {
    let rig = Rig::start();
    let mut job = new_job("alice");
    job.max_attempts = 1;
    rig.enqueue(&job).await;
    rig.take().await;
    rig.let_pass(rig.queue.keys().lease(), job.id).await;
    let answer = rig.acquire().await;
    assert_eq!(answer.debt.ended, [job.id]);
    assert_eq!(rig.status(job.id).await, JobStatus::Failed);
    assert_eq!(rig.queue.counts().await.unwrap().dead, 1);
}
