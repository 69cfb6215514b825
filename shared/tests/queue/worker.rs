//! Acquire, advance, park, complete.

use redis::Cmd;
use shared::job::{JobId, JobStatus};
use shared::queue::{Acquired, Debt, Held, Holder, Parked, Queue, Redis};
use shared::stage::Stage;

use crate::check::check;
use crate::proxy::Proxy;
use crate::rig::{LONG, Rig, SPENT, new_job, stale, track};

#[tokio::test]
async fn nobody_is_given_a_job_where_none_waits() {
    let rig = Rig::start();
    let answer = rig.acquire().await;
    assert_eq!(answer.outcome, Acquired::Empty);
    assert_eq!(answer.debt, Debt::default());
}

#[tokio::test]
async fn a_worker_is_given_the_job_as_it_now_is() {
    let rig = Rig::start();
    let new = new_job("alice");
    rig.enqueue(&new).await;
    let answer = rig.acquire().await;
    assert_eq!(answer.debt.ring, 0, "nothing is left to come for");
    let Acquired::Job(job, holder, _) = answer.outcome else {
        panic!("no job")
    };
    assert_eq!(*job, rig.job(new.id).await.job);
    assert_eq!(job.status, JobStatus::Processing);
    assert_eq!(job.fence, Some(holder.fence));
    assert!(job.started_at.is_some());
}

#[tokio::test]
async fn time_in_the_line_counts_and_the_rest_before_a_retry_does_not() {
    let rig = Rig::start();
    let id = rig.put("alice").await;
    let job = rig.queue.keys().job(id);
    let _: () = rig.raw(&Cmd::hincr(&job, "queued_ms", -60_000)).await;
    let holder = rig.take().await;
    rig.release(&holder, LONG, "busy", SPENT).await;
    let _: () = rig.raw(&Cmd::hincr(&job, "queued_ms", -60_000)).await;
    rig.let_pass(rig.queue.keys().delayed(), id).await;
    let waited = rig.take_job().await.0.usage.queue_ms;
    assert!((60_000..65_000).contains(&waited), "{waited}");
}

#[tokio::test]
async fn an_acquire_that_leaves_work_and_a_slot_rings_for_another_worker() {
    let rig = Rig::with(2, 2);
    for _ in 0..3 {
        rig.put("alice").await;
    }
    assert_eq!(rig.acquire().await.debt.ring, 1);
    assert_eq!(rig.acquire().await.debt.ring, 0, "no slot is left");
}

#[tokio::test]
async fn an_acquire_sent_twice_gives_the_same_job() {
    let rig = Rig::start();
    rig.acquire().await; // the script is loaded: the lost answer is a job
    let first = rig.put("alice").await;
    rig.put("alice").await;
    let proxy = Proxy::to(rig.server.port);
    let redis = Redis::open(&proxy.address()).unwrap();
    let queue = Queue::new(redis, "p", rig.queue.policy().clone());
    queue.probe().await.unwrap();
    proxy.swallow_present_replies();
    let answer = queue.acquire().await.unwrap();
    check(&rig).await;
    let Acquired::Job(_, holder, _) = answer.outcome else {
        panic!("no job")
    };
    assert_eq!((holder.id, answer.debt.ring), (first, 1));
    assert_eq!(proxy.opened(), 2, "the answer was lost and asked for again");
    assert_eq!(rig.queue.counts().await.unwrap().running, 1);
    assert_eq!(rig.renew(&holder).await, Held::Ok);
}

#[tokio::test]
async fn advance_keeps_the_slot_for_audio_and_frees_it_for_finish() {
    let rig = Rig::with(1, 1);
    rig.put("alice").await;
    rig.put("alice").await;
    let holder = rig.take().await;
    let answer = rig.advance(&holder, Stage::Audio, SPENT).await;
    assert_eq!((answer.outcome, answer.debt.ring), (Held::Ok, 0));
    let answer = rig.advance(&holder, Stage::Finish, SPENT).await;
    assert_eq!((answer.outcome, answer.debt.ring), (Held::Ok, 1));
    let usage = rig.job(holder.id).await.job.usage;
    assert_eq!((usage.plan_ms, usage.billed_ms), (10, 18));
}

#[tokio::test]
async fn advance_to_audio_starts_a_new_lease() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let lease = rig.queue.keys().lease();
    rig.let_pass(lease.clone(), holder.id).await;
    rig.on_to(&holder, Stage::Audio).await;
    let due = rig.due_in(lease, holder.id).await.unwrap();
    assert!((25_000..=30_000).contains(&due), "{due}");
}

#[tokio::test]
async fn an_advance_sent_twice_counts_once() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    for _ in 0..2 {
        assert_eq!(
            rig.advance(&holder, Stage::Audio, SPENT).await.outcome,
            Held::Ok
        );
    }
    let job = rig.job(holder.id).await.job;
    assert_eq!((job.usage.billed_ms, job.seq), (9, 3));
}

#[tokio::test]
async fn advance_refuses_a_stale_fence_a_step_back_and_a_parked_job() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let to = async |holder: &Holder, stage| rig.advance(holder, stage, SPENT).await.outcome;
    assert_eq!(to(&stale(&holder), Stage::Audio).await, Held::Stale);
    rig.on_to(&holder, Stage::Audio).await;
    assert_eq!(to(&holder, Stage::Plan).await, Held::Stale);
    rig.park_audio(&holder).await;
    assert_eq!(to(&holder, Stage::Finish).await, Held::Stale);
    let job = rig.job(holder.id).await.job;
    assert_eq!((job.stage, job.usage.billed_ms), (Stage::Audio, 0));
}

#[tokio::test]
async fn a_parked_job_keeps_its_slot_until_the_deadline_of_its_model() {
    let rig = Rig::with(1, 1);
    let holder = rig.parked("alice").await;
    let due = rig
        .due_in(rig.queue.keys().lease(), holder.id)
        .await
        .unwrap();
    assert!(due > 590_000, "{due}");
    assert!(rig.job(holder.id).await.job.parked);
    rig.put("alice").await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Saturated);
}

#[tokio::test]
async fn a_park_sent_twice_counts_once() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    for _ in 0..2 {
        assert_eq!(
            rig.park(&holder, Stage::Plan, LONG, SPENT).await.outcome,
            Parked::Ok
        );
    }
    let job = rig.job(holder.id).await.job;
    assert_eq!((job.usage.billed_ms, job.seq), (9, 3));
}

#[tokio::test]
async fn park_refuses_a_stale_fence_and_a_stage_not_reached() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let late = rig.park(&stale(&holder), Stage::Plan, LONG, SPENT).await;
    assert_eq!(late.outcome, Parked::Stale);
    let early = rig.park(&holder, Stage::Audio, LONG, SPENT).await;
    assert_eq!(early.outcome, Parked::Stale);
    let job = rig.job(holder.id).await.job;
    assert_eq!((job.parked, job.usage.billed_ms), (false, 0));
    let unknown = Holder {
        id: JobId::mint(),
        fence: holder.fence,
    };
    assert_eq!(
        rig.park(&unknown, Stage::Plan, LONG, SPENT).await.outcome,
        Parked::Stale
    );
}

#[tokio::test]
async fn park_refuses_a_job_in_finish() {
    let rig = Rig::start();
    let holder = rig.finishing("alice").await;
    let answer = rig.park(&holder, Stage::Finish, LONG, SPENT).await;
    assert_eq!(answer.outcome, Parked::Stale);
    assert_eq!(rig.renew(&holder).await, Held::Ok, "its worker goes on");
}

#[tokio::test]
async fn park_of_an_ended_job_says_that_it_moved_on() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    rig.cancel(holder.id, "cancelled").await;
    assert_eq!(
        rig.park(&holder, Stage::Plan, LONG, SPENT).await.outcome,
        Parked::MovedOn
    );
}

#[tokio::test]
async fn a_completed_job_has_its_track_and_is_owed_a_settling() {
    let rig = Rig::start();
    let holder = rig.finishing("alice").await;
    let answer = rig.complete(&holder, &track(), SPENT).await;
    assert_eq!(
        (answer.outcome, answer.debt.ended),
        (Held::Ok, vec![holder.id])
    );
    let found = rig.job(holder.id).await;
    assert_eq!(
        serde_json::from_str(&found.outcome.unwrap()).ok(),
        Some(track())
    );
    assert_eq!(found.job.status, JobStatus::Completed);
    assert!(found.job.completed_at.is_some());
    assert_eq!(found.job.usage.billed_ms, 9);
}

#[tokio::test]
async fn complete_says_ok_to_a_repeat_and_refuses_another_track() {
    let rig = Rig::start();
    let holder = rig.finishing("alice").await;
    rig.complete(&holder, &track(), SPENT).await;
    let before = rig.job(holder.id).await;
    assert_eq!(
        rig.complete(&holder, &track(), SPENT).await.outcome,
        Held::Ok
    );
    let mut other = track();
    other.seed = Some(8);
    assert_eq!(
        rig.complete(&holder, &other, SPENT).await.outcome,
        Held::Stale
    );
    assert_eq!(rig.job(holder.id).await, before);
}

#[tokio::test]
async fn complete_refuses_a_stale_fence_an_earlier_stage_and_an_ended_job() {
    let rig = Rig::start();
    rig.put("alice").await;
    let holder = rig.take().await;
    let complete = async |holder: &Holder| rig.complete(holder, &track(), SPENT).await.outcome;
    assert_eq!(complete(&holder).await, Held::Stale);
    rig.on_to(&holder, Stage::Finish).await;
    assert_eq!(complete(&stale(&holder)).await, Held::Stale);
    rig.cancel(holder.id, "cancelled").await;
    assert_eq!(complete(&holder).await, Held::Stale);
    assert_eq!(rig.status(holder.id).await, JobStatus::Cancelled);
}
