//! The last stage: served first, in no slot, and not for ever.

use std::time::Duration;

use redis::Cmd;
use shared::job::{JobError, JobStatus};
use shared::queue::{Acquired, Failed, Held, Next, Spent};
use shared::stage::Stage;

use crate::rig::{Rig, error, new_job, track};

#[tokio::test]
async fn finish_is_served_first_and_holds_no_slot() {
    let rig = Rig::with(1, 1);
    let waiting = rig.parked("a").await;
    let other = rig.put("b").await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Saturated);
    let answer = rig.report(waiting.id, Stage::Audio, None).await;
    assert_eq!(answer.debt.ring, 1);
    let (job, holder) = rig.take_job().await;
    assert_eq!((job.id, job.stage), (waiting.id, Stage::Finish));
    assert_ne!(holder.fence, waiting.fence);
    assert_eq!(rig.take().await.id, other, "the slot is free meanwhile");
    let done = rig.complete(&holder, &track(), Spent::default()).await;
    assert_eq!(done.outcome, Held::Ok);
}

#[tokio::test]
async fn finish_is_served_on_hold_and_to_a_paused_tenant() {
    let rig = Rig::start();
    let waiting = rig.parked("a").await;
    rig.set_tenant("a", "paused", 1).await;
    let _: () = rig.raw(&Cmd::set(rig.queue.keys().hold(), 1)).await;
    rig.report(waiting.id, Stage::Audio, None).await;
    assert_eq!(rig.take().await.id, waiting.id);
}

#[tokio::test]
async fn a_job_that_a_worker_is_finishing_is_not_given_to_another() {
    let rig = Rig::start();
    let holder = rig.finishing("a").await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
    assert_eq!(rig.renew(&holder).await, Held::Ok);
}

#[tokio::test]
async fn an_abandoned_finish_returns_and_the_third_time_fails_the_attempt() {
    let rig = Rig::start();
    let mut holder = rig.finishing("a").await;
    let finish = rig.queue.keys().finish();
    for _ in 0..2 {
        rig.let_pass(finish.clone(), holder.id).await;
        let (job, next) = rig.take_job().await;
        assert_eq!((job.stage, job.attempt), (Stage::Finish, 1));
        assert_eq!(rig.renew(&holder).await, Held::Stale);
        holder = next;
    }
    rig.let_pass(finish, holder.id).await;
    let (job, _) = rig.take_job().await;
    assert_eq!(
        (job.id, job.stage, job.attempt),
        (holder.id, Stage::Audio, 2)
    );
    let why = rig.job(holder.id).await.outcome.unwrap();
    let why: JobError = serde_json::from_str(&why).unwrap();
    assert_eq!(
        (why.code.as_str(), why.stage),
        ("finish_abandoned", Stage::Finish)
    );
}

#[tokio::test]
async fn an_abandoned_finish_of_the_last_attempt_fails_the_job() {
    let rig = Rig::start();
    let mut job = new_job("a");
    job.max_attempts = 1;
    rig.enqueue(&job).await;
    rig.on_to(&rig.take().await, Stage::Finish).await;
    let finish = rig.queue.keys().finish();
    for _ in 0..2 {
        rig.let_pass(finish.clone(), job.id).await;
        rig.take().await;
    }
    rig.let_pass(finish, job.id).await;
    let answer = rig.acquire().await;
    assert_eq!(
        (answer.outcome, answer.debt.ended),
        (Acquired::Empty, vec![job.id])
    );
    assert_eq!(rig.status(job.id).await, JobStatus::Failed);
}

#[tokio::test]
async fn a_finish_given_back_does_not_count_as_taken() {
    let rig = Rig::start();
    let mut holder = rig.finishing("a").await;
    for _ in 0..5 {
        rig.give_back(&holder).await;
        let (job, next) = rig.take_job().await;
        assert_eq!((job.stage, job.attempt), (Stage::Finish, 1));
        holder = next;
    }
}

#[tokio::test]
async fn a_finish_that_failed_is_tried_again_without_a_slot() {
    let rig = Rig::with(1, 1);
    let holder = rig.finishing("a").await;
    rig.put("b").await;
    rig.take().await;
    let delay = Duration::from_secs(4);
    let (fence, why, next) = (Some(&holder.fence), error(true), Next::default());
    let answer = rig
        .fail(holder.id, fence, &why, delay, next, Spent::default())
        .await;
    assert_eq!(
        (answer.outcome, answer.debt.ring_later),
        (Failed::Queued, Some(delay))
    );
    assert_eq!(rig.status(holder.id).await, JobStatus::Queued);
    assert_eq!(rig.acquire().await.outcome, Acquired::Saturated, "not yet");
    rig.let_pass(rig.queue.keys().finish(), holder.id).await;
    let (job, again) = rig.take_job().await;
    assert_eq!((job.stage, job.attempt), (Stage::Finish, 2));
    assert_eq!(job.status, JobStatus::Processing);
    assert_eq!(rig.renew(&again).await, Held::Ok);
    let done = rig.complete(&again, &track(), Spent::default()).await;
    assert_eq!(done.outcome, Held::Ok);
}

#[tokio::test]
async fn an_audio_that_was_refused_is_made_anew_under_another_seed() {
    let rig = Rig::start();
    let holder = rig.finishing("a").await;
    let next = Next {
        stage: Some(Stage::Audio),
        seed: Some(8),
    };
    let (fence, why) = (Some(&holder.fence), error(true));
    rig.fail(
        holder.id,
        fence,
        &why,
        Duration::ZERO,
        next,
        Spent::default(),
    )
    .await;
    let (job, _) = rig.take_job().await;
    assert_eq!((job.stage, job.seed, job.attempt), (Stage::Audio, 8, 2));
}
