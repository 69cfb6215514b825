//! Fail and release: how an attempt ends without a track.

use std::time::Duration;

use shared::event::EventKind;
use shared::job::{JobError, JobId, JobStatus};
use shared::queue::{Acquired, Cause, Failed, Failure, Held, Holder, Next, Spent};
use shared::stage::Stage;

use crate::rig::{NOW, Rig, SPENT, error, new_job, stale};

#[tokio::test]
async fn fail_delays_the_next_attempt_and_rings_later() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let change = Next {
        stage: None,
        seed: Some(u32::MAX),
    };
    let delay = Duration::from_secs(4);
    let (fence, why) = (Some(&holder.fence), error(true));
    let answer = rig.fail(holder.id, fence, &why, delay, change, SPENT).await;
    assert_eq!(answer.outcome, Failed::Queued);
    assert_eq!(answer.debt.ring_later, Some(delay));
    assert_eq!((answer.debt.ring, answer.debt.ended), (0, vec![]));
    let found = rig.job(holder.id).await;
    assert_eq!(
        serde_json::from_str(&found.outcome.unwrap()).ok(),
        Some(why.clone())
    );
    assert_eq!((found.job.attempt, found.job.seed), (2, u32::MAX));
    assert_eq!(found.job.usage.billed_ms, 9);
    assert!(found.job.delayed_until.is_some());
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty, "not yet");
    let event = rig
        .queue
        .events(holder.id, 2)
        .await
        .unwrap()
        .unwrap()
        .events
        .remove(0);
    assert_eq!(
        (event.event, event.status),
        (EventKind::Error, JobStatus::Queued)
    );
    assert_eq!((event.attempt, event.error), (1, Some(why)));

    rig.let_pass(rig.queue.keys().delayed(), holder.id).await;
    let (job, again) = rig.take_job().await;
    assert_eq!(
        (job.id, job.attempt, job.delayed_until),
        (holder.id, 2, None)
    );
    assert_ne!(again.fence, holder.fence);
}

#[tokio::test]
async fn a_fail_sent_twice_uses_one_attempt() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    rig.fail_now(&holder, &error(true)).await;
    let before = rig.job(holder.id).await;
    assert_eq!(
        rig.fail_now(&holder, &error(true)).await.outcome,
        Failed::Stale
    );
    assert_eq!(rig.job(holder.id).await, before);
}

#[tokio::test]
async fn a_job_out_of_attempts_has_failed_and_is_in_dead() {
    let rig = Rig::start();
    let mut job = new_job("alice");
    job.max_attempts = 2;
    rig.enqueue(&job).await;
    rig.fail_now(&rig.take().await, &error(true)).await;
    let answer = rig.fail_now(&rig.take().await, &error(true)).await;
    assert_eq!(answer.outcome, Failed::Failed);
    assert_eq!(
        (answer.debt.ended, answer.debt.ring_later),
        (vec![job.id], None)
    );
    let record = rig.job(job.id).await.job;
    assert_eq!((record.status, record.attempt), (JobStatus::Failed, 2));
    assert_eq!(rig.queue.counts().await.unwrap().dead, 1);
}

#[tokio::test]
async fn what_cannot_go_well_fails_at_once_and_is_not_in_dead() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let answer = rig.fail_now(&holder, &error(false)).await;
    assert_eq!(answer.outcome, Failed::Failed);
    assert_eq!(rig.queue.counts().await.unwrap().dead, 0);
    let again = rig.fail_now(&holder, &error(false)).await;
    assert_eq!((again.outcome, again.debt.ended), (Failed::Ended, vec![]));
}

/// Fails the next attempt with this message, for good if the cause lasts.
async fn fail_next(rig: &Rig, cause: Cause, message: &str) -> Failed {
    let holder = rig.take().await;
    let mut error = error(true);
    message.clone_into(&mut error.message);
    let failure = Failure {
        error: &error,
        cause,
    };
    let (fence, change) = (Some(&holder.fence), Next::default());
    let fail = rig
        .queue
        .fail(holder.id, fence, failure, NOW, change, SPENT);
    fail.await.unwrap().outcome
}

#[tokio::test]
async fn a_lasting_cause_ends_the_job_at_its_second_attempt_in_a_row() {
    let rig = Rig::start();
    let mut job = new_job("alice");
    job.max_attempts = 9;
    rig.enqueue(&job).await;
    let fail = async |cause, message| fail_next(&rig, cause, message).await;
    assert_eq!(fail(Cause::Lasting, "Opus").await, Failed::Queued);
    assert_eq!(
        fail(Cause::Lasting, "AC-3").await,
        Failed::Queued,
        "another"
    );
    assert_eq!(fail(Cause::Passing, "AC-3").await, Failed::Queued, "damage");
    assert_eq!(
        fail(Cause::Passing, "Opus").await,
        Failed::Queued,
        "between"
    );
    assert_eq!(fail(Cause::Lasting, "AC-3").await, Failed::Queued);
    assert_eq!(fail(Cause::Lasting, "AC-3").await, Failed::Failed);
    let found = rig.job(job.id).await;
    assert_eq!(found.job.attempt, 6);
    let error: JobError = serde_json::from_str(&found.outcome.unwrap()).unwrap();
    assert_eq!((error.message.as_str(), error.retryable), ("AC-3", false));
    assert_eq!(rig.queue.counts().await.unwrap().dead, 0);
}

#[tokio::test]
async fn fail_without_a_fence_speaks_only_while_a_model_holds_the_job() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let fail = async |id| {
        let (why, change) = (error(true), Next::default());
        rig.fail(id, None, &why, NOW, change, Spent::default())
            .await
            .outcome
    };
    assert_eq!(fail(holder.id).await, Failed::Stale);
    rig.on_to(&holder, Stage::Audio).await;
    rig.park_audio(&holder).await;
    assert_eq!(fail(holder.id).await, Failed::Queued);
    assert_eq!(fail(holder.id).await, Failed::Stale);
    assert_eq!(fail(JobId::mint()).await, Failed::Unknown);
}

#[tokio::test]
async fn fail_refuses_a_stale_fence() {
    let rig = Rig::start();
    let holder = rig.parked("alice").await;
    let answer = rig.fail_now(&stale(&holder), &error(true)).await;
    assert_eq!(answer.outcome, Failed::Stale);
    assert!(rig.job(holder.id).await.job.parked);
}

#[tokio::test]
async fn release_uses_no_attempt_and_keeps_the_place_in_line() {
    let rig = Rig::start();
    let first = rig.put("alice").await;
    rig.put("alice").await;
    let holder = rig.take().await;
    let answer = rig.release(&holder, NOW, "no_time", SPENT).await;
    assert_eq!(answer.outcome, Held::Ok);
    assert_eq!((answer.debt.ring, answer.debt.ring_later), (1, None));
    let job = rig.job(first).await.job;
    assert_eq!(
        (job.status, job.attempt, job.fence),
        (JobStatus::Queued, 1, None)
    );
    assert_eq!(job.usage.billed_ms, 9);
    let page = rig.queue.events(first, job.seq - 1).await.unwrap().unwrap();
    assert_eq!(page.events[0].reason.as_deref(), Some("no_time"));
    assert_eq!(rig.take().await.id, first);
}

#[tokio::test]
async fn a_release_may_wait_and_rings_later() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let delay = Duration::from_secs(20);
    let answer = rig.release(&holder, delay, "model_busy", SPENT).await;
    assert_eq!((answer.debt.ring, answer.debt.ring_later), (0, Some(delay)));
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
    rig.let_pass(rig.queue.keys().delayed(), holder.id).await;
    assert_eq!(rig.take_job().await.0.attempt, 1);
}

#[tokio::test]
async fn release_refuses_a_stale_fence_a_repeat_and_a_parked_job() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let release = async |holder: &Holder| rig.release(holder, NOW, "x", SPENT).await.outcome;
    assert_eq!(release(&stale(&holder)).await, Held::Stale);
    assert_eq!(release(&holder).await, Held::Ok);
    assert_eq!(release(&holder).await, Held::Stale);
    rig.cancel(holder.id, "cancelled").await;
    assert_eq!(release(&rig.parked("alice").await).await, Held::Stale);
    let finisher = rig.finishing("alice").await;
    assert_eq!(release(&finisher).await, Held::Ok);
    assert_eq!(release(&finisher).await, Held::Stale, "in finish, too");
}
