//! What a waiting job is told: its place, why it waits, and for how long; and the limits and the cache on its way in.

use std::time::Duration;

use chrono::TimeDelta;
use redis::Cmd;
use shared::job::{JobId, JobStatus, TenantId};
use shared::queue::{Admission, Enqueued, Found, Next, Policy, Queue, Spent};
use shared::stage::Stage;

use crate::rig::{LONG, RETENTION, Rig, error, new_job, track};

async fn why(rig: &Rig, id: JobId) -> (String, Option<u64>) {
    let waiting = rig.job(id).await.waiting.expect("it waits");
    (waiting.code, waiting.ahead)
}

fn code(text: &str, ahead: u64) -> (String, Option<u64>) {
    (text.to_owned(), Some(ahead))
}

#[tokio::test]
async fn why_a_job_waits_is_true_when_it_is_read() {
    let rig = Rig::with(2, 2);
    rig.load().await;
    let first = rig.put("a").await;
    assert_eq!(why(&rig, first).await, code("starting", 0));
    let second = rig.put("a").await;
    assert_eq!(why(&rig, second).await, code("line", 1));
    rig.set_tenant("a", "cap", 1).await;
    rig.take().await;
    assert_eq!(why(&rig, second).await, code("cap", 0));
    assert!(rig.job(first).await.waiting.is_none(), "it runs");

    let other = rig.put("b").await;
    rig.take().await;
    let third = rig.put("c").await;
    assert_eq!(why(&rig, third).await, code("slots", 0));
    assert!(rig.job(other).await.waiting.is_none());

    let hold = rig.queue.keys().hold();
    let _: () = rig.raw(&Cmd::pset_ex(&hold, 1, 60_000)).await;
    let waiting = rig.job(third).await.waiting.unwrap();
    assert_eq!(waiting.code, "hold");
    let left = waiting.until_ms.unwrap() - chrono::Utc::now().timestamp_millis();
    assert!((50_000..=60_000).contains(&left), "{left}");
    assert!(rig.job(third).await.eta.is_none(), "nobody knows");
    let _: () = rig.raw(&Cmd::del(hold)).await;

    rig.set_tenant("c", "paused", 1).await;
    assert_eq!(why(&rig, third).await, code("tenant_paused", 0));
    let _: () = rig
        .raw(&Cmd::hset(rig.queue.keys().control(), "paused", 1))
        .await;
    assert_eq!(why(&rig, second).await, code("queue_paused", 0));
}

#[tokio::test]
async fn another_tenants_turn_is_said_to_be_one() {
    let rig = Rig::with(1, 1);
    rig.load().await;
    rig.put("a").await;
    let second = rig.put("b").await;
    assert_eq!(why(&rig, second).await, code("turn", 0));
}

#[tokio::test]
async fn a_delayed_retry_says_until_when() {
    let rig = Rig::start();
    rig.put("a").await;
    let holder = rig.take().await;
    let (fence, none) = (Some(&holder.fence), Spent::default());
    rig.fail(holder.id, fence, &error(true), LONG, Next::default(), none)
        .await;
    let found = rig.job(holder.id).await;
    let waiting = found.waiting.unwrap();
    assert_eq!(
        (waiting.code.as_str(), waiting.ahead),
        ("retry_delay", None)
    );
    assert_eq!(
        waiting.until_ms,
        found.job.delayed_until.map(|at| at.timestamp_millis())
    );
    let eta = found.eta.unwrap();
    assert!(eta.p50 >= 590_000 && eta.p90 >= eta.p50, "{eta:?}");
}

#[tokio::test]
async fn no_start_is_guessed_while_nothing_is_given_out() {
    let rig = Rig::start();
    let told = async |id| {
        let found = rig.job(id).await;
        (found.waiting.unwrap().code, found.eta.is_some())
    };
    let first = rig.put("a").await;
    assert_eq!(told(first).await, ("loading".to_owned(), false));
    let holder = rig.take().await;
    rig.release(&holder, LONG, "busy", Spent::default()).await;
    assert_eq!(told(first).await, ("retry_delay".to_owned(), true));
    let control = rig.queue.keys().control();
    let _: () = rig.raw(&Cmd::hset(&control, "paused", 1)).await;
    assert_eq!(told(first).await, ("queue_paused".to_owned(), false));
    let _: () = rig.raw(&Cmd::hset(&control, "paused", 0)).await;
    rig.set_tenant("a", "paused", 1).await;
    assert_eq!(told(first).await, ("tenant_paused".to_owned(), false));
}

#[tokio::test]
async fn the_guess_grows_with_the_work_ahead_and_shrinks_with_the_slots() {
    let rig = Rig::with(2, 9);
    for _ in 0..2 {
        rig.put("a").await;
        rig.take().await;
    }
    let near = rig.put("a").await;
    for _ in 0..8 {
        rig.put("a").await;
    }
    let far = rig.put("a").await;
    let eta = async |id| rig.job(id).await.eta.unwrap();
    let (soon, late) = (eta(near).await, eta(far).await);
    assert!(
        late.p50 > soon.p50 && late.p90 > late.p50,
        "{soon:?} {late:?}"
    );
    let _: () = rig
        .raw(&Cmd::hset(rig.queue.keys().control(), "slots", 20))
        .await;
    assert!(eta(far).await.p50 < late.p50);
}

#[tokio::test]
async fn what_waits_turned_out_to_be_changes_the_next_guess() {
    let rig = Rig::with(1, 1);
    rig.put("a").await;
    let running = rig.take().await;
    let id = rig.put("a").await;
    let before = rig.job(id).await.eta.unwrap();
    // Started at once, and so far too early for what was guessed.
    rig.cancel(running.id, "cancelled").await;
    let holder = rig.take().await;
    assert_eq!(holder.id, id);
    let again = rig.put("a").await;
    let after = rig.job(again).await.eta.unwrap();
    assert!(after.p50 < before.p50, "{after:?} after {before:?}");
}

#[tokio::test]
async fn a_tenant_that_submits_too_fast_is_told_when_to_come_again() {
    let rig = Rig::start();
    let policy = Policy::new(4, 2, 100, RETENTION).limited(3, 2);
    let queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let mut last = None;
    for _ in 0..3 {
        let job = new_job("a");
        assert_eq!(
            queue.enqueue(&job).await.unwrap().outcome,
            Enqueued::Enqueued
        );
        last = Some(job);
    }
    let outcome = queue.enqueue(&new_job("a")).await.unwrap().outcome;
    let Enqueued::Limited { retry_ms } = outcome else {
        panic!("{outcome:?}")
    };
    assert!((15_000..=20_000).contains(&retry_ms), "{retry_ms}");
    // Asked before anything is stored, it says the same and counts nothing.
    for _ in 0..2 {
        let asked = queue.admits(&TenantId::new("a")).await.unwrap();
        let Admission::Limited { retry_ms: told } = asked.outcome else {
            panic!("{asked:?}")
        };
        assert!(told <= retry_ms && told > 0, "{told}");
        assert_eq!(asked.left.unwrap().remaining, 0);
    }
    let other = queue.enqueue(&new_job("b")).await.unwrap().outcome;
    assert_eq!(other, Enqueued::Enqueued, "others are unaffected");
    let known = queue.enqueue(&last.unwrap()).await.unwrap().outcome;
    assert_eq!(known, Enqueued::Exists, "a repeat is not counted");
}

#[tokio::test]
async fn a_tenant_that_reads_too_fast_is_told_when_to_come_again() {
    let rig = Rig::start();
    let id = rig.put("a").await;
    let policy = Policy::new(4, 2, 100, RETENTION).limited(3, 2);
    let queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let tenant = TenantId::new("a");
    for _ in 0..2 {
        let (found, _) = queue.read_for(id, &tenant).await.unwrap();
        assert!(matches!(found, Found::Job(_)));
    }
    let (found, _) = queue.read_for(id, &tenant).await.unwrap();
    let Found::Limited { retry_ms } = found else {
        panic!("{found:?}")
    };
    assert!((25_000..=30_000).contains(&retry_ms), "{retry_ms}");
    assert!(
        queue.read(id).await.unwrap().is_some(),
        "our own reads are not counted"
    );
    let unknown = queue.read_for(JobId::mint(), &TenantId::new("b")).await;
    assert_eq!(unknown.unwrap().0, Found::Unknown);
}

#[tokio::test]
async fn every_counted_call_says_what_its_limit_has_left() {
    let rig = Rig::start();
    let id = rig.put("a").await;
    let policy = Policy::new(4, 2, 100, RETENTION).limited(3, 2);
    let queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let tenant = TenantId::new("a");
    let mut reads = Vec::new();
    for id in [id, JobId::mint(), id] {
        reads.push(queue.read_for(id, &tenant).await.unwrap().1.unwrap());
    }
    let remaining: Vec<_> = reads.iter().map(|left| left.remaining).collect();
    assert_eq!(remaining, [1, 0, 0], "an unknown job is counted too");
    assert!((29_000..=30_000).contains(&reads[0].reset_ms), "{reads:?}");
    assert!((55_000..=60_000).contains(&reads[2].reset_ms), "{reads:?}");
    let mut remaining = Vec::new();
    for _ in 0..4 {
        let answer = queue.enqueue(&new_job("a")).await.unwrap();
        remaining.push(answer.left.unwrap().remaining);
    }
    assert_eq!(remaining, [2, 1, 0, 0]);
    let answer = rig.enqueue(&new_job("b")).await;
    assert_eq!(answer.left, None, "there is no limit");
}

#[tokio::test]
async fn a_result_is_found_again_by_its_tenant_for_as_long_as_it_is_kept() {
    let rig = Rig::start();
    let holder = rig.finishing("a").await;
    let digests = ["d1".to_owned(), "d2".to_owned()];
    let (track, spent) = (track(), Spent::default());
    let done = rig.queue.complete(&holder, &track, spent, &digests).await;
    done.unwrap();
    let (a, b) = (TenantId::new("a"), TenantId::new("b"));
    for digest in &digests {
        assert_eq!(rig.queue.cached(&a, digest).await.unwrap(), Some(holder.id));
        assert_eq!(rig.queue.cached(&b, digest).await.unwrap(), None);
        let ttl: i64 = rig.raw(&Cmd::ttl(rig.queue.keys().cache(&a, digest))).await;
        let kept = i64::try_from(RETENTION.as_secs()).unwrap();
        assert!((kept - 5..=kept).contains(&ttl), "{ttl}");
    }
}

#[tokio::test]
async fn a_job_that_the_cache_answered_is_completed_and_runs_nothing() {
    let rig = Rig::start();
    let job = new_job("a");
    let answer = rig.enqueue_cached(&job, &track()).await;
    assert_eq!(answer.outcome, Enqueued::Enqueued);
    assert_eq!((answer.debt.ring, answer.debt.ended), (0, vec![job.id]));
    let found = rig.job(job.id).await;
    assert_eq!(
        (found.job.status, found.job.stage),
        (JobStatus::Completed, Stage::Finish)
    );
    assert!(found.job.cached && found.outcome.is_some());
    let page = rig.queue.events(job.id, 0).await.unwrap().unwrap();
    let seqs: Vec<u64> = page.events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [1, 2]);
    rig.settle(job.id, 0).await;
    assert_eq!(rig.queue.overview().await.unwrap().happened("cached", 2), 1);
}

#[tokio::test]
async fn the_overview_shows_what_waits_and_what_runs() {
    let rig = Rig::with(3, 2);
    rig.parked("a").await;
    let held = rig.put("b").await;
    rig.take().await;
    let oldest = rig.put("b").await;
    let mut low = new_job("c");
    low.priority = shared::priority::Priority::Low;
    rig.enqueue(&low).await;
    rig.put("b").await;
    let seen = rig.queue.overview().await.unwrap();
    let jobs: Vec<u64> = seen.levels.iter().map(|level| level.jobs).collect();
    assert_eq!(jobs, [0, 2, 1]);
    assert_eq!(seen.levels[1].cost, 60);
    assert_eq!((seen.slots, seen.paused, seen.hold_ms), (3, false, None));
    assert_eq!(
        (seen.sizes.lease, seen.sizes.backlog, seen.sizes.ready),
        (2, 2, 2)
    );
    assert_eq!(seen.oldest.unwrap().id, oldest);
    assert_eq!(
        (seen.tenants[0].tenant.as_str(), seen.tenants[0].queued),
        ("b", 2)
    );
    assert_eq!(seen.tenants[0].running, 1);
    let running: Vec<_> = seen.running.iter().map(|job| job.holder.as_str()).collect();
    assert_eq!(
        running,
        ["worker", "model"],
        "the first lease to run out first"
    );
    assert_eq!(seen.running[0].id, held);
    assert_eq!(seen.happened("submitted", 60), 5);
    let nothing = Rig::start().queue.overview().await.unwrap();
    assert!(nothing.oldest.is_none() && nothing.tenants.is_empty());
}

#[tokio::test]
async fn live_jobs_are_paged_through_by_the_end_of_their_time() {
    let rig = Rig::start();
    let mut jobs: Vec<_> = (0..7).map(|_| new_job("a")).collect();
    let end = jobs[0].finish_by;
    for (number, job) in jobs.iter_mut().enumerate() {
        // Six at one and the same time.
        job.finish_by = end + TimeDelta::milliseconds(i64::from(number == 6));
        rig.enqueue(job).await;
    }
    let at = end.timestamp_millis();
    assert_eq!(rig.queue.live_page(0, 4).await.unwrap(), [at; 4]);
    assert_eq!(rig.queue.live_page(at + 1, 4).await.unwrap(), [at + 1]);
    let mut seen = rig.queue.live_between(0, at).await.unwrap();
    seen.sort_unstable();
    let last = rig.queue.live_between(at + 1, at + 1).await.unwrap();
    let mut ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(last, ids.split_off(6));
    ids.sort_unstable();
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn the_guess_counts_on_more_work_that_goes_first_where_much_of_it_came_of_late() {
    let rig = Rig::with(1, 9);
    let mut low = new_job("a");
    low.priority = shared::priority::Priority::Low;
    rig.put("a").await;
    rig.take().await;
    rig.put("a").await;
    rig.enqueue(&low).await;
    let before = rig.job(low.id).await.eta.unwrap();
    for _ in 0..20 {
        let id = rig.put("b").await;
        rig.cancel(id, "cancelled").await;
    }
    let after = rig.job(low.id).await.eta.unwrap();
    assert!(after.p50 > before.p50, "{after:?} after {before:?}");
}

#[cfg(feature = "simulation")]
#[tokio::test]
async fn a_simulation_is_as_far_ahead_of_the_clock_as_it_says() {
    let rig = Rig::start();
    let job = new_job("a");
    let hour = Duration::from_secs(3_600);
    let later = rig.queue.ahead(hour);
    let done = later.enqueue(&job).await.unwrap();
    assert_eq!(done.outcome, Enqueued::Enqueued);
    let queued = rig.job(job.id).await.job.updated_at - chrono::Utc::now();
    assert!((3_590..=3_600).contains(&queued.num_seconds()), "{queued}");
}
