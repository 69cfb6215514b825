//! Sweep, expire, settle, and the marks of the reconcile.

use redis::Cmd;
use shared::envelope::Open;
use shared::job::{JobId, JobStatus};
use shared::queue::{Acquired, Cursor, Settled};

use crate::rig::{LONG, Rig, SETTLED, new_job};

#[tokio::test]
async fn the_sweep_rescues_promotes_and_says_how_many_bells_to_ring() {
    let rig = Rig::start();
    rig.put("a").await;
    let lost = rig.take().await;
    rig.put("b").await;
    let delayed = rig.take().await;
    let usage = shared::queue::Spent::default();
    rig.release(&delayed, LONG, "busy", usage).await;
    rig.put("c").await;
    let step = rig.sweep("").await.outcome;
    assert_eq!((step.bells, step.busy), (1, false));
    rig.let_pass(rig.queue.keys().lease(), lost.id).await;
    rig.let_pass(rig.queue.keys().delayed(), delayed.id).await;
    assert_eq!(rig.sweep("").await.outcome.bells, 3);
    assert_eq!(rig.job(lost.id).await.job.attempt, 2);
    assert_eq!(rig.job(delayed.id).await.job.attempt, 1);
}

#[tokio::test]
async fn one_step_rescues_at_most_four_and_says_that_it_is_busy() {
    let rig = Rig::with(20, 20);
    let mut ids = Vec::new();
    for _ in 0..5 {
        rig.put("a").await;
        ids.push(rig.take().await.id);
    }
    for id in ids {
        rig.let_pass(rig.queue.keys().lease(), id).await;
    }
    assert!(rig.sweep("").await.outcome.busy);
    assert_eq!(rig.queue.counts().await.unwrap().running, 1);
    assert!(!rig.sweep("").await.outcome.busy);
    assert_eq!(rig.queue.counts().await.unwrap().running, 0);
}

#[tokio::test]
async fn one_step_promotes_at_most_four_and_says_that_it_is_busy() {
    let rig = Rig::with(20, 20);
    let mut ids = Vec::new();
    for _ in 0..5 {
        rig.put("a").await;
        let holder = rig.take().await;
        let usage = shared::queue::Spent::default();
        rig.release(&holder, LONG, "busy", usage).await;
        ids.push(holder.id);
    }
    for id in ids {
        rig.let_pass(rig.queue.keys().delayed(), id).await;
    }
    assert!(rig.sweep("").await.outcome.busy);
    assert_eq!(rig.queue.counts().await.unwrap().delayed, 1);
    assert!(!rig.sweep("").await.outcome.busy);
}

#[tokio::test]
async fn the_sweep_goes_round_all_tenants_and_heals_ready() {
    let rig = Rig::start();
    for number in 0..20 {
        rig.put(&format!("t{number:02}")).await;
    }
    let _: () = rig.raw(&Cmd::del(rig.queue.keys().ready())).await;
    let step = rig.queue.sweep("").await.unwrap().outcome;
    assert_eq!(step.after, "t07");
    let step = rig.queue.sweep(&step.after).await.unwrap().outcome;
    assert_eq!(step.after, "t15");
    let step = rig.sweep(&step.after).await.outcome;
    assert_eq!(step.after, "");
    assert_eq!(rig.queue.counts().await.unwrap().ready_tenants, 20);
}

#[tokio::test]
async fn the_sweep_forgets_tenants_without_work() {
    let rig = Rig::start();
    let id = rig.put("a").await;
    rig.cancel(id, "cancelled").await;
    rig.sweep("").await;
    let known: Vec<String> = rig
        .raw(&Cmd::zrange(rig.queue.keys().tenants(), 0, -1))
        .await;
    assert_eq!(known, Vec::<String>::new());
}

#[tokio::test]
async fn the_sweep_tells_of_jobs_that_it_ended() {
    let rig = Rig::start();
    let mut job = new_job("a");
    job.max_attempts = 1;
    rig.enqueue(&job).await;
    rig.take().await;
    rig.let_pass(rig.queue.keys().lease(), job.id).await;
    assert_eq!(rig.sweep("").await.debt.ended, [job.id]);
}

#[tokio::test]
async fn an_unsettled_job_is_left_to_its_caller_and_then_shown_to_the_sweep() {
    let rig = Rig::start();
    let id = rig.ended("a", JobStatus::Failed).await;
    assert_eq!(rig.unsettled(9).await, []);
    rig.let_pass(rig.queue.keys().outbox(), id).await;
    assert_eq!(rig.unsettled(9).await, [id]);
}

#[tokio::test]
async fn jobs_that_cannot_be_settled_do_not_hide_the_others() {
    let rig = Rig::start();
    let outbox = rig.queue.keys().outbox();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = rig.ended("a", JobStatus::Cancelled).await;
        rig.let_pass(outbox.clone(), id).await;
        ids.push(id);
    }
    let stuck: std::collections::BTreeSet<_> = rig.unsettled(2).await.into_iter().collect();
    let next = rig.unsettled(2).await;
    assert!(next.len() == 1 && !stuck.contains(&next[0]), "{next:?}");
    // Each take puts it off for longer.
    let id = next[0];
    let mut pauses = Vec::new();
    for _ in 0..3 {
        rig.let_pass(outbox.clone(), id).await;
        assert_eq!(rig.unsettled(2).await, [id]);
        pauses.push(rig.due_in(outbox.clone(), id).await.unwrap());
    }
    assert!(pauses[0] > 5_000 && pauses[1] > 2 * pauses[0] - 1_000);
    assert!(pauses[2] > 2 * pauses[1] - 1_000, "{pauses:?}");
    assert_eq!(rig.settle(id, 0).await, SETTLED);
}

#[tokio::test]
async fn an_unsettled_entry_without_a_job_is_dropped() {
    let rig = Rig::start();
    let outbox = rig.queue.keys().outbox();
    let ghost = JobId::mint().to_string();
    let _: () = rig.raw(&Cmd::zadd(&outbox, ghost, 1)).await;
    assert_eq!(rig.unsettled(9).await, []);
    assert_eq!(rig.queue.counts().await.unwrap().unsettled, 0);
}

#[tokio::test]
async fn one_call_expires_at_most_fifty_of_each_clock() {
    let rig = Rig::start();
    rig.load().await;
    let mut job = new_job("a");
    job.start_by = chrono::Utc::now();
    for _ in 0..60 {
        job.id = JobId::mint();
        rig.queue.enqueue(&job).await.unwrap();
    }
    rig.next_millisecond().await;
    let answer = rig.expire().await;
    assert_eq!((answer.outcome, answer.debt.ended.len()), (50, 50));
    assert_eq!(rig.expire().await.outcome, 10);
}

#[tokio::test]
async fn acquire_expires_a_job_whose_time_to_start_is_over() {
    let rig = Rig::start();
    let late = rig.put("a").await;
    let next = rig.put("a").await;
    rig.let_pass(rig.queue.keys().start_by(), late).await;
    let answer = rig.acquire().await;
    assert!(matches!(&answer.outcome, Acquired::Job(job, ..) if job.id == next));
    assert_eq!(answer.debt.ended, [late]);
    assert_eq!(rig.status(late).await, JobStatus::Expired);
}

#[tokio::test]
async fn acquire_expires_at_most_sixteen_jobs_and_rings_for_the_rest() {
    let rig = Rig::start();
    rig.load().await;
    let mut job = new_job("a");
    job.start_by = chrono::Utc::now();
    for _ in 0..20 {
        job.id = JobId::mint();
        rig.queue.enqueue(&job).await.unwrap();
    }
    let last = rig.put("a").await;
    let answer = rig.acquire().await;
    assert_eq!(answer.outcome, Acquired::Empty);
    assert_eq!((answer.debt.ended.len(), answer.debt.ring), (16, 1));
    let answer = rig.acquire().await;
    assert!(matches!(&answer.outcome, Acquired::Job(job, ..) if job.id == last));
    assert_eq!(answer.debt.ended.len(), 4);
}

#[tokio::test]
async fn a_started_job_is_not_given_out_again_after_its_finish_by() {
    let rig = Rig::start();
    let holder = rig.finishing("a").await;
    rig.give_back(&holder).await;
    rig.let_pass(rig.queue.keys().finish_by(), holder.id).await;
    let answer = rig.acquire().await;
    assert_eq!(answer.outcome, Acquired::Empty);
    assert_eq!(answer.debt.ended, [holder.id]);
}

#[tokio::test]
async fn a_delivery_after_finish_by_ends_the_job() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    rig.let_pass(rig.queue.keys().finish_by(), holder.id).await;
    let answer = rig
        .report(holder.id, shared::stage::Stage::Audio, None)
        .await;
    assert_eq!(answer.outcome, shared::queue::Reported::Ended);
    assert_eq!(answer.debt.ended, [holder.id]);
    assert_eq!(rig.status(holder.id).await, JobStatus::Expired);
}

#[tokio::test]
async fn a_park_after_finish_by_ends_the_job() {
    let rig = Rig::start();
    rig.put("a").await;
    let holder = rig.take().await;
    rig.let_pass(rig.queue.keys().finish_by(), holder.id).await;
    let spent = shared::queue::Spent::default();
    let answer = rig
        .park(&holder, shared::stage::Stage::Plan, LONG, spent)
        .await;
    assert_eq!(answer.outcome, shared::queue::Parked::MovedOn);
    assert_eq!(answer.debt.ended, [holder.id]);
}

#[tokio::test]
async fn an_unstarted_job_expires_at_start_by() {
    let rig = Rig::start();
    let id = rig.put("a").await;
    let started = rig.take().await;
    let next = rig.put("a").await;
    assert_eq!(started.id, id);
    rig.let_pass(rig.queue.keys().start_by(), next).await;
    let answer = rig.expire().await;
    assert_eq!((answer.outcome, answer.debt.ended), (1, vec![next]));
    assert_eq!(rig.status(next).await, JobStatus::Expired);
    assert_eq!(
        rig.due_in(rig.queue.keys().start_by(), id).await,
        None,
        "it has started"
    );
    let page = rig.queue.events(next, 1).await.unwrap().unwrap();
    assert_eq!(page.events[0].reason.as_deref(), Some("start_by"));
    assert_eq!(rig.expire().await.outcome, 0);
}

#[tokio::test]
async fn every_job_expires_at_finish_by_wherever_it_stands() {
    let rig = Rig::start();
    let parked = rig.parked("a").await.id;
    let finishing = rig.finishing("a").await.id;
    rig.put("b").await;
    let holder = rig.take().await;
    rig.release(&holder, LONG, "busy", shared::queue::Spent::default())
        .await;
    let queued = rig.put("b").await;
    for id in [parked, finishing, holder.id, queued] {
        rig.let_pass(rig.queue.keys().finish_by(), id).await;
    }
    assert_eq!(rig.expire().await.outcome, 4);
    for id in [parked, finishing, holder.id, queued] {
        assert_eq!(rig.status(id).await, JobStatus::Expired);
    }
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
}

#[tokio::test]
async fn expiry_frees_a_slot_and_rings() {
    let rig = Rig::with(1, 1);
    rig.put("a").await;
    let holder = rig.take().await;
    rig.put("b").await;
    rig.let_pass(rig.queue.keys().finish_by(), holder.id).await;
    assert_eq!(rig.expire().await.debt.ring, 1);
}

#[tokio::test]
async fn settle_refuses_another_generation_a_live_job_and_an_unknown_one() {
    let rig = Rig::start();
    let id = rig.ended("a", JobStatus::Failed).await;
    assert_eq!(rig.settle(id, 1).await, Settled::Stale);
    let live = rig.put("a").await;
    assert_eq!(rig.settle(live, 0).await, Settled::Stale);
    assert_eq!(rig.settle(JobId::mint(), 0).await, Settled::Stale);
    assert_eq!(rig.queue.counts().await.unwrap().unsettled, 1);
}

#[tokio::test]
async fn an_emptied_redis_is_noticed_until_the_epoch_begins() {
    let rig = Rig::start();
    assert!(!rig.sweep("").await.outcome.epoch);
    rig.queue.begin_epoch().await.unwrap();
    assert!(rig.sweep("").await.outcome.epoch);
    rig.empty_redis().await;
    assert!(!rig.sweep("").await.outcome.epoch);
}

#[tokio::test]
async fn the_reconcile_goes_on_where_it_stopped() {
    let rig = Rig::start();
    assert_eq!(rig.queue.reconcile_cursor().await.unwrap(), None);
    let at = Some(Cursor::Open {
        after: Some(Open {
            id: JobId::mint(),
            generation: 3,
        }),
        again: true,
    });
    rig.queue.set_reconcile_cursor(at).await.unwrap();
    assert_eq!(rig.queue.reconcile_cursor().await.unwrap(), at);
    rig.queue.set_reconcile_cursor(None).await.unwrap();
    assert_eq!(rig.queue.reconcile_cursor().await.unwrap(), None);
}
