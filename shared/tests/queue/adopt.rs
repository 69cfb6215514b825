//! Adopt: a job that Redis believes to be live had ended before Redis was rolled back.

use shared::job::{JobRecord, JobStatus};
use shared::queue::{Acquired, Adopted};
use shared::stage::Stage;

use crate::rig::{Rig, SETTLED, error, new_job, track};

/// The record that the manifest has of a job.
async fn ended(rig: &Rig, id: shared::job::JobId, status: JobStatus, generation: u32) -> JobRecord {
    let mut job = rig.job(id).await.job;
    job.status = status;
    job.stage = Stage::Finish;
    job.generation = generation;
    job.seq += 7;
    job
}

#[tokio::test]
async fn a_waiting_and_a_running_job_end_as_their_manifest_says() {
    let rig = Rig::start();
    let running = rig.parked("a").await.id;
    let waiting = rig.put("a").await;
    let text = serde_json::to_string(&track()).unwrap();
    for id in [waiting, running] {
        let job = ended(&rig, id, JobStatus::Completed, 0).await;
        let answer = rig.adopt(&job, Some(text.clone())).await;
        assert_eq!((answer.outcome, answer.debt.ended), (Adopted::Ok, vec![id]));
        let found = rig.job(id).await;
        assert_eq!(found.job.status, JobStatus::Completed);
        assert_eq!(found.outcome.as_deref(), Some(text.as_str()));
        assert!(
            found.job.seq > job.seq,
            "numbers go on behind the manifest's"
        );
        assert!(rig.queue.events(id, 0).await.unwrap().unwrap().gap);
        assert_eq!(rig.settle(id, 0).await, SETTLED);
    }
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
}

#[tokio::test]
async fn a_retry_that_redis_forgot_ends_with_its_generation() {
    let rig = Rig::start();
    let id = rig.ended("a", JobStatus::Failed).await;
    let job = ended(&rig, id, JobStatus::Completed, 1).await;
    assert_eq!(rig.adopt(&job, None).await.outcome, Adopted::Ok);
    let found = rig.job(id).await.job;
    assert_eq!((found.status, found.generation), (JobStatus::Completed, 1));
}

#[tokio::test]
async fn what_was_settled_before_a_retry_that_redis_forgot_is_owed_a_settling_again() {
    let rig = Rig::start();
    let mut job = new_job("a");
    job.max_attempts = 1;
    rig.enqueue(&job).await;
    rig.fail_now(&rig.take().await, &error(true)).await;
    rig.settle(job.id, 0).await;
    let job = ended(&rig, job.id, JobStatus::Completed, 1).await;
    assert_eq!(rig.adopt(&job, None).await.outcome, Adopted::Ok);
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.unsettled, counts.dead), (1, 0));
}

#[tokio::test]
async fn what_redis_knows_better_stays() {
    let rig = Rig::start();
    let id = rig.ended("a", JobStatus::Completed).await;
    let job = ended(&rig, id, JobStatus::Completed, 0).await;
    let seq = rig.job(id).await.job.seq;
    assert_eq!(rig.adopt(&job, None).await.outcome, Adopted::Ended);
    assert_eq!(rig.job(id).await.job.seq, seq);

    let id = rig.ended("a", JobStatus::Failed).await;
    let new = new_job("a");
    rig.retry(id, 1, new.start_by, new.finish_by, "again").await;
    let job = ended(&rig, id, JobStatus::Failed, 0).await;
    assert_eq!(rig.adopt(&job, None).await.outcome, Adopted::Newer);
    assert_eq!(rig.status(id).await, JobStatus::Queued);

    let mut job = job;
    job.id = new.id;
    assert_eq!(rig.adopt(&job, None).await.outcome, Adopted::Unknown);
}

#[tokio::test]
async fn an_end_that_redis_came_to_by_forgetting_another_gives_way() {
    let rig = Rig::start();
    let id = rig.ended("a", JobStatus::Completed).await;
    rig.settle(id, 0).await;
    let job = ended(&rig, id, JobStatus::Cancelled, 0).await;
    let answer = rig.adopt(&job, None).await;
    assert_eq!((answer.outcome, answer.debt.ended), (Adopted::Ok, vec![id]));
    let found = rig.job(id).await;
    assert_eq!(found.job.status, JobStatus::Cancelled);
    assert_eq!(found.outcome, None);
    assert_eq!(rig.settle(id, 0).await, SETTLED);
}
