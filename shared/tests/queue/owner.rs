//! Enqueue, cancel, delete, restore.

use shared::job::{JobId, JobStatus, TenantId};
use shared::queue::{
    Acquired, Admission, Buried, Cancelled, Deleted, Enqueued, Held, Policy, Queue, Refusal,
    Restored, Spent,
};
use shared::stage::Stage;

use crate::rig::{LONG, RETENTION, Rig, error, new_job, track};

#[tokio::test]
async fn an_enqueued_job_is_read_back_as_it_was_accepted() {
    let rig = Rig::start();
    let mut job = new_job("alice");
    job.seed_fixed = true;
    let answer = rig.enqueue(&job).await;
    assert_eq!(answer.outcome, Enqueued::Enqueued);
    assert_eq!(answer.debt.ring, 1);
    let found = rig.job(job.id).await;
    assert_eq!((found.position, found.outcome), (Some(0), None));
    let record = found.job;
    assert_eq!((record.tenant, record.user), (job.tenant, job.user));
    assert_eq!(
        (record.status, record.stage),
        (JobStatus::Queued, Stage::Plan)
    );
    assert_eq!(
        (record.attempt, record.generation, record.max_attempts),
        (1, 0, 3)
    );
    assert_eq!((record.seed, record.seed_fixed), (7, true));
    assert_eq!(
        record.created_at.timestamp_millis(),
        job.created_at.timestamp_millis()
    );
    assert_eq!(
        record.start_by.timestamp_millis(),
        job.start_by.timestamp_millis()
    );
    assert_eq!(
        record.finish_by.timestamp_millis(),
        job.finish_by.timestamp_millis()
    );
    assert_eq!(
        (record.fence, record.started_at, record.seq),
        (None, None, 1)
    );
}

#[tokio::test]
async fn enqueueing_a_known_job_changes_nothing_and_rings_again() {
    let rig = Rig::start();
    let mut job = new_job("alice");
    rig.enqueue(&job).await;
    job.seed = 8;
    let answer = rig.enqueue(&job).await;
    assert_eq!((answer.outcome, answer.debt.ring), (Enqueued::Exists, 1));
    let record = rig.job(job.id).await.job;
    assert_eq!((record.seed, record.seq), (7, 1));
}

#[tokio::test]
async fn a_full_line_is_refused() {
    let mut rig = Rig::start();
    let policy = Policy::new(4, 2, 2, RETENTION);
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let first = rig.put("alice").await;
    rig.put("alice").await;
    let third = new_job("alice");
    assert_eq!(rig.enqueue(&third).await.outcome, Enqueued::Full);
    assert_eq!(rig.queue.read(third.id).await.unwrap(), None);
    rig.put("bob").await;
    let admits = |tenant| rig.queue.admits(tenant);
    let answer = admits(&third.tenant).await.unwrap();
    assert_eq!(answer.outcome, Admission::Full);
    let answer = admits(&TenantId::new("bob")).await.unwrap();
    assert_eq!((answer.outcome, answer.left), (Admission::Open, None));
    // A repeat of what is in the line is no new job.
    let mut again = new_job("alice");
    again.id = first;
    assert_eq!(rig.enqueue(&again).await.outcome, Enqueued::Exists);
    // Nor is what was accepted once, where the refusal of a repeat may not kill it.
    let proven = Restored {
        stage: Stage::Plan,
        generation: 0,
    };
    let mut repeat = new_job("alice");
    repeat.refusal = Refusal::Passing;
    assert_eq!(rig.enqueue(&repeat).await.outcome, Enqueued::Full);
    let restored = rig.restore(&repeat, proven).await.outcome;
    assert_eq!(restored, Enqueued::Enqueued);
}

/// Whoever finds what is stored of a refused request may not bring it back.
#[tokio::test]
async fn a_refused_id_is_dead_whoever_brings_it_again() {
    let mut rig = Rig::start();
    let policy = Policy::new(4, 2, 1, RETENTION);
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let first = rig.put("alice").await;
    let job = new_job("alice");
    assert_eq!(rig.enqueue(&job).await.outcome, Enqueued::Full);
    rig.cancel(first, "room for others").await;
    let proven = Restored {
        stage: Stage::Plan,
        generation: 0,
    };
    assert_eq!(rig.enqueue(&job).await.outcome, Enqueued::Refused);
    assert_eq!(rig.restore(&job, proven).await.outcome, Enqueued::Refused);
    let cached = rig.queue.enqueue_cached(&job, &track()).await.unwrap();
    assert_eq!(cached.outcome, Enqueued::Refused);
    assert_eq!(rig.queue.read(job.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_submission_is_given_up_unless_another_request_has_entered_it() {
    let rig = Rig::start();
    let (lost, live) = (new_job("alice"), rig.put("alice").await);
    let memory = |bytes: &str| {
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg(bytes)
            .clone()
    };
    let _: () = rig.raw(&memory("1")).await;
    assert!(
        rig.queue
            .enqueue(&lost)
            .await
            .unwrap_err()
            .changed_nothing()
    );
    assert_eq!(rig.queue.refuse(lost.id).await.unwrap(), Buried::Refused);
    assert_eq!(rig.queue.refuse(live).await.unwrap(), Buried::Live);
    let _: () = rig.raw(&memory("0")).await;
    assert_eq!(rig.enqueue(&lost).await.outcome, Enqueued::Refused);
    assert_eq!(rig.status(live).await, JobStatus::Queued);
}

#[tokio::test]
async fn a_cancelled_job_leaves_the_line_and_is_never_given_out() {
    let rig = Rig::start();
    let id = rig.put("alice").await;
    let answer = rig.cancel(id, "cancelled by alice").await;
    assert_eq!(answer.outcome, Cancelled::Ok);
    assert_eq!(answer.debt.ended, [id]);
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
    let page = rig.queue.events(id, 1).await.unwrap().unwrap();
    assert_eq!(page.events[0].status, JobStatus::Cancelled);
    assert_eq!(page.events[0].reason.as_deref(), Some("cancelled by alice"));
}

#[tokio::test]
async fn cancel_while_running_frees_the_slot_and_fences_the_worker_out() {
    let rig = Rig::with(1, 1);
    rig.put("alice").await;
    let holder = rig.take().await;
    let waiting = rig.put("bob").await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Saturated);
    let answer = rig.cancel(holder.id, "cancelled").await;
    assert_eq!((answer.outcome, answer.debt.ring), (Cancelled::Ok, 1));
    assert_eq!(rig.renew(&holder).await, Held::Stale);
    let late = rig.advance(&holder, Stage::Finish, Spent::default()).await;
    assert_eq!(late.outcome, Held::Stale);
    assert_eq!(rig.take().await.id, waiting);
}

#[tokio::test]
async fn a_job_can_be_cancelled_wherever_it_stands() {
    let rig = Rig::with(4, 4);
    let parked = rig.parked("alice").await.id;
    let finishing = rig.finishing("alice").await.id;
    rig.put("alice").await;
    let holder = rig.take().await;
    rig.release(&holder, LONG, "busy", Spent::default()).await;
    for id in [parked, finishing, holder.id] {
        assert_eq!(rig.cancel(id, "cancelled").await.outcome, Cancelled::Ok);
    }
    assert_eq!(rig.queue.counts().await.unwrap().unsettled, 3);
}

#[tokio::test]
async fn cancel_says_how_a_job_had_ended_and_changes_nothing() {
    let rig = Rig::start();
    for status in [
        JobStatus::Completed,
        JobStatus::Failed,
        JobStatus::Cancelled,
        JobStatus::Expired,
    ] {
        let id = rig.ended("alice", status).await;
        let before = rig.job(id).await;
        let answer = rig.cancel(id, "cancelled").await;
        assert_eq!(answer.outcome, Cancelled::Ended { status });
        assert_eq!(answer.debt.ended, []);
        assert_eq!(rig.job(id).await, before);
    }
    assert_eq!(
        rig.cancel(JobId::mint(), "cancelled").await.outcome,
        Cancelled::Unknown
    );
}

#[tokio::test]
async fn delete_leaves_nothing_of_an_ended_job() {
    let rig = Rig::start();
    let mut job = new_job("alice");
    job.tags = vec!["calm".to_owned(), "{p}:x".to_owned()];
    job.max_attempts = 1;
    rig.enqueue(&job).await;
    let holder = rig.take().await;
    assert_eq!(rig.delete(job.id).await, Deleted::Live);
    assert_eq!(rig.status(job.id).await, JobStatus::Processing);
    rig.fail_now(&holder, &error(true)).await;
    assert_eq!(rig.queue.counts().await.unwrap().dead, 1);
    assert_eq!(rig.delete(job.id).await, Deleted::Ok);
    assert_eq!(rig.queue.read(job.id).await.unwrap(), None);
    // Of zsets the empty ones are gone: what may remain is the clock, the tenant, what was learnt, and what goes by itself.
    let mut left: Vec<String> = rig.raw(redis::cmd("KEYS").arg("*")).await;
    left.retain(|key| {
        !["{p}:call:", "{p}:minute:", "{p}:times:"]
            .iter()
            .any(|own| key.starts_with(own))
    });
    left.sort();
    let dead = format!("refused:{}", job.id);
    let may_stay = [
        "clock",
        "control",
        "eta",
        dead.as_str(),
        "tenant:alice",
        "tenants",
        "totals",
    ];
    assert_eq!(left, may_stay.map(|name| format!("{{p}}:{name}")));
    // What a slow worker or reader still knows of it brings nothing back.
    let proven = Restored {
        stage: Stage::Audio,
        generation: 0,
    };
    assert_eq!(rig.restore(&job, proven).await.outcome, Enqueued::Refused);
    // Broken off and sent again.
    assert_eq!(rig.delete(job.id).await, Deleted::Ok);
}
