//! Report: a model has delivered.

use redis::Cmd;
use shared::job::{JobId, JobStatus, RenderKey};
use shared::queue::{Held, Parked, Reported, Spent};
use shared::stage::Stage;

use crate::rig::{LONG, NOW, Rig, SPENT, error, track};

async fn render(rig: &Rig, id: JobId) -> RenderKey {
    rig.job(id).await.job.render_key(Stage::Audio)
}

#[tokio::test]
async fn a_delivered_audio_frees_the_slot_and_waits_for_finish() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    let parked = rig.queue.keys().job(holder.id);
    let _: () = rig.raw(&Cmd::hincr(parked, "parked_ms", -60_000)).await;
    let key = render(&rig, holder.id).await;
    let answer = rig.report(holder.id, Stage::Audio, Some(&key)).await;
    assert_eq!((answer.outcome, answer.debt.ring), (Reported::Ok, 1));
    let job = rig.job(holder.id).await.job;
    assert_eq!(
        (job.status, job.stage),
        (JobStatus::Processing, Stage::Finish)
    );
    assert_eq!((job.fence, job.parked), (None, false));
    assert!(
        (60_000..65_000).contains(&job.usage.audio_ms),
        "{:?}",
        job.usage
    );
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.running, counts.finishing), (0, 1));
}

#[tokio::test]
async fn a_completed_report_before_park_is_used() {
    let rig = Rig::start();
    rig.put("a").await;
    let holder = rig.take().await;
    rig.on_to(&holder, Stage::Audio).await;
    let key = render(&rig, holder.id).await;
    assert_eq!(
        rig.report(holder.id, Stage::Audio, Some(&key))
            .await
            .outcome,
        Reported::Ok
    );
    let late = rig.park(&holder, Stage::Audio, LONG, SPENT).await;
    assert_eq!(late.outcome, Parked::MovedOn);
    assert_eq!(rig.job(holder.id).await.job.usage.billed_ms, 9);
    let finisher = rig.take().await;
    let done = rig.complete(&finisher, &track(), Spent::default()).await;
    assert_eq!(done.outcome, Held::Ok);
}

#[tokio::test]
async fn a_report_after_the_lease_ran_out_is_used() {
    let rig = Rig::start();
    let lost = rig.parked("a").await;
    let key = render(&rig, lost.id).await;
    rig.let_pass(rig.queue.keys().lease(), lost.id).await;
    rig.sweep("").await;
    assert_eq!(rig.status(lost.id).await, JobStatus::Queued);
    assert_eq!(
        rig.report(lost.id, Stage::Audio, Some(&key)).await.outcome,
        Reported::Ok
    );
    assert_eq!(rig.status(lost.id).await, JobStatus::Processing);
    assert_eq!(rig.take_job().await.0.stage, Stage::Finish);
}

#[tokio::test]
async fn a_report_fences_out_the_worker_that_would_render_the_same_again() {
    let rig = Rig::start();
    let lost = rig.parked("a").await;
    let key = render(&rig, lost.id).await;
    rig.let_pass(rig.queue.keys().lease(), lost.id).await;
    let again = rig.take().await;
    assert_eq!(
        rig.report(lost.id, Stage::Audio, Some(&key)).await.outcome,
        Reported::Ok
    );
    assert_eq!(rig.renew(&again).await, Held::Stale);
}

#[tokio::test]
async fn a_report_ends_the_wait_of_a_delayed_attempt() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    let key = render(&rig, holder.id).await;
    let (fence, why) = (Some(&holder.fence), error(true));
    let (next, usage) = Default::default();
    rig.fail(holder.id, fence, &why, LONG, next, usage).await;
    assert_eq!(
        rig.report(holder.id, Stage::Audio, Some(&key))
            .await
            .outcome,
        Reported::Ok
    );
    assert_eq!(rig.take().await.id, holder.id);
}

#[tokio::test]
async fn a_report_twice_changes_nothing_twice() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    let key = render(&rig, holder.id).await;
    rig.report(holder.id, Stage::Audio, Some(&key)).await;
    let again = async || {
        let before = rig.job(holder.id).await;
        let answer = rig.report(holder.id, Stage::Audio, Some(&key)).await;
        assert_eq!(answer.outcome, Reported::Repeat);
        assert_eq!(rig.job(holder.id).await, before);
    };
    again().await;
    let finisher = rig.take().await;
    again().await;
    assert_eq!(rig.renew(&finisher).await, Held::Ok);
    rig.complete(&finisher, &track(), Spent::default()).await;
    again().await;
}

#[tokio::test]
async fn report_refuses_another_render_key() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    let before = rig.job(holder.id).await;
    for (id, stage, seed, generation) in [
        (JobId::mint(), Stage::Audio, 7, 0),
        (holder.id, Stage::Plan, 7, 0),
        (holder.id, Stage::Audio, 8, 0),
        (holder.id, Stage::Audio, 7, 1),
    ] {
        let key = RenderKey::new(id, stage, seed, generation);
        let answer = rig.report(holder.id, Stage::Audio, Some(&key)).await;
        assert_eq!(answer.outcome, Reported::WrongRender, "{key}");
    }
    assert_eq!(rig.job(holder.id).await, before);
}

#[tokio::test]
async fn a_report_without_a_key_speaks_only_while_a_model_holds_the_job() {
    let rig = Rig::start();
    rig.put("a").await;
    let holder = rig.take().await;
    rig.on_to(&holder, Stage::Audio).await;
    let say = async |stage| rig.report(holder.id, stage, None).await.outcome;
    assert_eq!(say(Stage::Audio).await, Reported::NotParked);
    rig.park_audio(&holder).await;
    assert_eq!(say(Stage::Plan).await, Reported::Repeat);
    assert_eq!(say(Stage::Audio).await, Reported::Ok);
    assert_eq!(say(Stage::Audio).await, Reported::Repeat);
}

#[tokio::test]
async fn a_report_of_an_ended_or_unknown_job_is_told_so() {
    let rig = Rig::start();
    for status in [JobStatus::Failed, JobStatus::Cancelled, JobStatus::Expired] {
        let id = rig.ended("a", status).await;
        let key = render(&rig, id).await;
        let answer = rig.report(id, Stage::Audio, Some(&key)).await;
        assert_eq!(answer.outcome, Reported::Ended, "{status}");
        assert_eq!(rig.status(id).await, status);
    }
    let unknown = rig.report(JobId::mint(), Stage::Audio, None).await;
    assert_eq!(unknown.outcome, Reported::Unknown);
}

#[tokio::test]
async fn a_delivered_plan_puts_the_job_back_in_line_for_its_audio() {
    let rig = Rig::start();
    let first = rig.put("a").await;
    rig.put("a").await;
    let holder = rig.take().await;
    rig.park(&holder, Stage::Plan, LONG, Spent::default()).await;
    let key = rig.job(first).await.job.render_key(Stage::Plan);
    let answer = rig.report(first, Stage::Plan, Some(&key)).await;
    assert_eq!((answer.outcome, answer.debt.ring), (Reported::Ok, 1));
    let (job, _) = rig.take_job().await;
    assert_eq!((job.id, job.stage, job.attempt), (first, Stage::Audio, 1));
    assert_eq!(
        rig.report(first, Stage::Plan, Some(&key)).await.outcome,
        Reported::Repeat
    );
}

#[tokio::test]
async fn a_job_whose_audio_came_early_does_not_expire_as_unstarted() {
    let rig = Rig::start();
    let id = rig.put("a").await;
    let key = render(&rig, id).await;
    assert_eq!(
        rig.report(id, Stage::Audio, Some(&key)).await.outcome,
        Reported::Ok
    );
    assert_eq!(rig.due_in(rig.queue.keys().start_by(), id).await, None);
    let holder = rig.take().await;
    rig.release(&holder, NOW, "x", Spent::default()).await;
    assert_eq!(rig.expire().await.outcome, 0);
}
