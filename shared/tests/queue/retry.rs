//! Retry, by a person, of what has ended.

use chrono::{DateTime, TimeDelta, Utc};
use shared::job::{JobId, JobStatus};
use shared::queue::{Answer, Enqueued, Policy, Queue, Reported, Restored, Retried, Settled};
use shared::stage::Stage;

use crate::rig::{RETENTION, Rig, error, new_job};

async fn retry(rig: &Rig, id: JobId, generation: u32) -> Answer<Retried> {
    let (start_by, finish_by) = clocks();
    rig.retry(id, generation, start_by, finish_by, "retried by bob")
        .await
}

fn clocks() -> (DateTime<Utc>, DateTime<Utc>) {
    let now = Utc::now();
    (now + TimeDelta::hours(5), now + TimeDelta::hours(6))
}

#[tokio::test]
async fn a_retry_is_bound_by_the_limits_of_a_submission() {
    let mut rig = Rig::start();
    let policy = Policy::new(4, 2, 1, RETENTION);
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy.clone());
    let id = rig.ended("alice", JobStatus::Cancelled).await;
    let other = rig.put("alice").await;
    let before = rig.job(id).await;
    assert_eq!(retry(&rig, id, 1).await.outcome, Retried::Full);
    assert_eq!(rig.job(id).await, before, "nothing changed");
    // What was accepted once is done again whatever waits.
    let (start_by, finish_by) = clocks();
    let restored = rig.queue.restore_retry(id, 1, start_by, finish_by).await;
    assert_eq!(restored.unwrap().outcome, Retried::Ok);
    for live in [id, other] {
        rig.cancel(live, "room for others").await;
    }
    let job = new_job("alice");
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy.limited(1, 0));
    let as_of = Restored {
        stage: Stage::Plan,
        generation: 1,
    };
    let again = rig
        .queue
        .retry_forgotten(&job, as_of, "retried by bob")
        .await;
    assert_eq!(again.unwrap().outcome, Enqueued::Enqueued);
    assert_eq!(rig.job(job.id).await.job.generation, 1);
    let refused = retry(&rig, id, 2).await.outcome;
    assert!(
        matches!(refused, Retried::Limited { retry_ms: 1.. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn every_job_that_ended_without_a_track_can_be_retried() {
    let rig = Rig::start();
    for status in [JobStatus::Failed, JobStatus::Cancelled, JobStatus::Expired] {
        let id = rig.ended("alice", status).await;
        let seq = rig.job(id).await.job.seq;
        let (start_by, finish_by) = clocks();
        let answer = rig
            .retry(id, 1, start_by, finish_by, "retried by bob")
            .await;
        assert_eq!(
            (answer.outcome, answer.debt.ring),
            (Retried::Ok, 1),
            "{status}"
        );
        let found = rig.job(id).await;
        assert_eq!(found.outcome, None, "the old error");
        let job = found.job;
        assert_eq!(
            (job.status, job.attempt, job.generation),
            (JobStatus::Queued, 1, 1)
        );
        assert_eq!(
            job.stage,
            Stage::Audio,
            "an audio that was refused is not examined again"
        );
        assert_eq!((job.started_at, job.completed_at), (None, None));
        assert_eq!(job.start_by.timestamp_millis(), start_by.timestamp_millis());
        assert_eq!(
            job.finish_by.timestamp_millis(),
            finish_by.timestamp_millis()
        );
        assert!(rig.due_in(rig.queue.keys().start_by(), id).await.unwrap() > 17_000_000);
        assert!(rig.due_in(rig.queue.keys().finish_by(), id).await.unwrap() > 21_000_000);
        let page = rig.queue.events(id, seq).await.unwrap().unwrap();
        assert_eq!(page.events[0].reason.as_deref(), Some("retried by bob"));
        assert_eq!(rig.take().await.id, id);
        rig.cancel(id, "cancelled").await;
    }
}

#[tokio::test]
async fn a_completed_job_is_not_retried() {
    let rig = Rig::start();
    let id = rig.ended("alice", JobStatus::Completed).await;
    let before = rig.job(id).await;
    assert_eq!(retry(&rig, id, 1).await.outcome, Retried::Completed);
    assert_eq!(rig.job(id).await, before);
}

#[tokio::test]
async fn a_live_job_is_not_retried() {
    let rig = Rig::start();
    let id = rig.put("alice").await;
    assert_eq!(retry(&rig, id, 1).await.outcome, Retried::Live);
    rig.take().await;
    assert_eq!(retry(&rig, id, 1).await.outcome, Retried::Live);
    assert_eq!(
        retry(&rig, JobId::mint(), 1).await.outcome,
        Retried::Unknown
    );
}

#[tokio::test]
async fn a_retry_sent_twice_starts_one_generation() {
    let rig = Rig::start();
    let id = rig.ended("alice", JobStatus::Failed).await;
    retry(&rig, id, 1).await;
    let before = rig.job(id).await;
    assert_eq!(retry(&rig, id, 1).await.outcome, Retried::Ok);
    assert_eq!(rig.job(id).await, before);
    rig.cancel(id, "cancelled").await;
    assert_eq!(retry(&rig, id, 1).await.outcome, Retried::Ok);
    assert_eq!(
        rig.status(id).await,
        JobStatus::Cancelled,
        "an old retry starts nothing"
    );
    retry(&rig, id, 2).await;
    assert_eq!(rig.status(id).await, JobStatus::Queued);
}

#[tokio::test]
async fn a_retried_job_owes_nothing_from_before() {
    let rig = Rig::start();
    let mut job = new_job("alice");
    job.max_attempts = 1;
    assert_eq!(rig.enqueue(&job).await.outcome, Enqueued::Enqueued);
    let holder = rig.take().await;
    let render = rig.job(job.id).await.job.render_key(Stage::Audio);
    rig.fail_now(&holder, &error(true)).await;
    retry(&rig, job.id, 1).await;
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.unsettled, counts.dead), (0, 0));
    assert_eq!(rig.settle(job.id, 0).await, Settled::Stale);
    let late = rig.report(job.id, Stage::Audio, Some(&render)).await;
    assert_eq!(
        late.outcome,
        Reported::WrongRender,
        "of the generation before"
    );
}

#[tokio::test]
async fn a_retry_counts_attempts_from_one_again() {
    let rig = Rig::start();
    let id = rig.put("alice").await;
    rig.fail_now(&rig.take().await, &error(true)).await;
    rig.fail_now(&rig.take().await, &error(false)).await;
    let before = rig.job(id).await.job;
    assert_eq!(before.attempt, 2);
    retry(&rig, id, 1).await;
    let page = rig.queue.events(id, before.seq).await.unwrap().unwrap();
    assert_eq!(page.events[0].attempt, 1);
    assert_eq!(rig.take_job().await.0.attempt, 1);
}
