//! Progress: a model is at work.

use std::time::Duration;

use shared::event::EventKind;
use shared::job::{Fence, JobId, Progress};
use shared::queue::Heartbeat;
use shared::stage::Stage;

use crate::rig::{LONG, Rig};

fn half() -> Progress {
    Progress {
        current: 50,
        total: 100,
        percentage: 50,
        message: "the \"chorus\"".to_owned(),
    }
}

#[tokio::test]
async fn progress_is_shown_logged_and_keeps_the_lease() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    let lease = rig.queue.keys().lease();
    rig.let_pass(lease.clone(), holder.id).await;
    let seq = rig.job(holder.id).await.job.seq;
    let said = rig
        .progress(holder.id, Some(&holder.fence), Some(&half()), LONG)
        .await;
    assert_eq!(said, Heartbeat::Ok);
    assert!(rig.due_in(lease, holder.id).await.unwrap() > 590_000);
    assert_eq!(rig.job(holder.id).await.job.progress, Some(half()));
    let event = rig
        .queue
        .events(holder.id, seq)
        .await
        .unwrap()
        .unwrap()
        .events
        .remove(0);
    assert_eq!(
        (event.event, event.progress),
        (EventKind::Progress, Some(half()))
    );
}

#[tokio::test]
async fn progress_before_park_does_not_stretch_the_lease_of_the_worker() {
    let rig = Rig::start();
    rig.put("a").await;
    let holder = rig.take().await;
    let said = rig
        .progress(holder.id, Some(&holder.fence), Some(&half()), LONG)
        .await;
    assert_eq!(said, Heartbeat::Ok);
    let due = rig
        .due_in(rig.queue.keys().lease(), holder.id)
        .await
        .unwrap();
    assert!(due <= 30_000, "{due}");
}

#[tokio::test]
async fn progress_of_one_stage_is_not_shown_in_the_next() {
    let rig = Rig::start();
    rig.put("a").await;
    let holder = rig.take().await;
    rig.progress(holder.id, Some(&holder.fence), Some(&half()), LONG)
        .await;
    rig.on_to(&holder, Stage::Audio).await;
    assert_eq!(rig.job(holder.id).await.job.progress, None);
}

#[tokio::test]
async fn progress_refuses_a_stale_fence() {
    let rig = Rig::start();
    let lost = rig.parked("a").await;
    rig.let_pass(rig.queue.keys().lease(), lost.id).await;
    let holder = rig.take().await;
    let said = rig
        .progress(lost.id, Some(&lost.fence), Some(&half()), LONG)
        .await;
    assert_eq!(said, Heartbeat::Stale);
    let other = Fence("1".to_owned());
    let said = rig
        .progress(holder.id, Some(&other), Some(&half()), LONG)
        .await;
    assert_eq!(said, Heartbeat::Stale);
    assert_eq!(rig.job(holder.id).await.job.progress, None);
}

#[tokio::test]
async fn progress_without_a_fence_speaks_only_while_a_model_holds_the_job() {
    let rig = Rig::start();
    let id = rig.put("a").await;
    let say = async || rig.progress(id, None, Some(&half()), LONG).await;
    assert_eq!(say().await, Heartbeat::Stale, "queued");
    let holder = rig.take().await;
    assert_eq!(say().await, Heartbeat::Stale, "held by a worker");
    rig.on_to(&holder, Stage::Audio).await;
    rig.park_audio(&holder).await;
    assert_eq!(say().await, Heartbeat::Ok);
    rig.report(id, Stage::Audio, None).await;
    assert_eq!(say().await, Heartbeat::Stale, "delivered");
    rig.cancel(id, "cancelled").await;
    assert_eq!(say().await, Heartbeat::Ended);
    let said = rig.progress(JobId::mint(), None, Some(&half()), LONG).await;
    assert_eq!(said, Heartbeat::Unknown);
}

#[tokio::test]
async fn progress_of_a_job_in_finish_is_stale() {
    let rig = Rig::start();
    let holder = rig.finishing("a").await;
    let said = rig
        .progress(holder.id, Some(&holder.fence), Some(&half()), LONG)
        .await;
    assert_eq!(said, Heartbeat::Stale);
}

#[tokio::test]
async fn a_heartbeat_may_ask_for_less_time_than_before() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    let short = Duration::from_secs(20);
    rig.progress(holder.id, None, Some(&half()), short).await;
    let due = rig
        .due_in(rig.queue.keys().lease(), holder.id)
        .await
        .unwrap();
    assert!(due <= 20_000, "{due}");
}

#[tokio::test]
async fn a_heartbeat_without_figures_only_keeps_the_lease() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    rig.progress(holder.id, None, Some(&half()), LONG).await;
    let before = rig.job(holder.id).await;
    let lease = rig.queue.keys().lease();
    rig.let_pass(lease.clone(), holder.id).await;
    let said = rig
        .progress(holder.id, Some(&holder.fence), None, LONG)
        .await;
    assert_eq!(said, Heartbeat::Ok);
    assert!(rig.due_in(lease, holder.id).await.unwrap() > 590_000);
    assert_eq!(rig.job(holder.id).await, before);
}
