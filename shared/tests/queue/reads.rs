//! What is read: events, lists, counts, waiting callers.

use std::time::Duration;

use chrono::Utc;
use redis::Cmd;
use shared::event::{Event, EventKind};
use shared::job::{JobId, JobStatus, Progress, TenantId};
use shared::queue::{Counts, Eviction, FAILURES, Owner, Showed, Spent, Waiting};
use shared::stage::Stage;
use uuid::Uuid;

use crate::rig::{LONG, Rig, track};

async fn glance(rig: &Rig, id: JobId) -> (JobStatus, u64) {
    let found = rig.queue.glance(id).await.unwrap().unwrap();
    (found.status, found.seq)
}

#[tokio::test]
async fn the_log_tells_the_whole_way_of_a_job() {
    let rig = Rig::start();
    let holder = rig.parked("alice").await;
    rig.report(holder.id, Stage::Audio, None).await;
    let holder = rig.take().await;
    rig.complete(&holder, &track(), Spent::default()).await;
    let page = rig.queue.events(holder.id, 0).await.unwrap().unwrap();
    let tell = |e: &Event| {
        (
            e.seq,
            e.status,
            e.stage,
            e.reason.clone().unwrap_or_default(),
        )
    };
    let told: Vec<_> = page.events.iter().map(tell).collect();
    let (queued, processing, completed) = (
        JobStatus::Queued,
        JobStatus::Processing,
        JobStatus::Completed,
    );
    let expected = [
        (1, queued, Stage::Plan, "enqueued"),
        (2, processing, Stage::Plan, "acquired"),
        (3, processing, Stage::Audio, "advanced"),
        (4, processing, Stage::Audio, "parked"),
        (5, processing, Stage::Finish, "delivered"),
        (6, processing, Stage::Finish, "acquired"),
        (7, completed, Stage::Finish, ""),
    ]
    .map(|(seq, status, stage, reason)| (seq, status, stage, reason.to_owned()));
    assert_eq!(told, expected);
    assert_eq!((page.seq, page.gap), (7, false));
    assert_eq!(page.events[6].event, EventKind::Completed);
    let now = Utc::now();
    assert!(
        page.events
            .iter()
            .all(|e| (now - e.at).num_seconds().abs() < 10)
    );
}

#[tokio::test]
async fn events_are_read_after_a_number() {
    let rig = Rig::start();
    let id = rig.put("alice").await;
    rig.take().await;
    let seqs = async |after| {
        let page = rig.queue.events(id, after).await.unwrap().unwrap();
        (
            page.events.iter().map(|e| e.seq).collect::<Vec<_>>(),
            page.gap,
        )
    };
    assert_eq!(seqs(0).await, (vec![1, 2], false));
    assert_eq!(seqs(1).await, (vec![2], false));
    assert_eq!(seqs(2).await, (vec![], false));
    assert_eq!(glance(&rig, id).await, (JobStatus::Processing, 2));
    let unknown = JobId::mint();
    assert_eq!(rig.queue.glance(unknown).await.unwrap(), None);
    assert_eq!(rig.queue.events(unknown, 0).await.unwrap(), None);
}

#[tokio::test]
async fn a_long_log_loses_its_beginning_and_says_so() {
    let rig = Rig::start();
    let holder = rig.parked("alice").await;
    let mut progress = Progress {
        current: 0,
        total: 250,
        percentage: 0,
        message: String::new(),
    };
    for step in 1..=250 {
        progress.current = step;
        rig.queue
            .progress(holder.id, None, Some(&progress), LONG, Spent::default())
            .await
            .unwrap();
    }
    let page = rig.queue.events(holder.id, 0).await.unwrap().unwrap();
    assert_eq!((page.events.len(), page.seq, page.gap), (200, 254, true));
    assert_eq!((page.events[0].seq, page.events[199].seq), (55, 254));
    assert_eq!(page.events[199].progress.as_ref().unwrap().current, 250);
    assert!(!rig.queue.events(holder.id, 54).await.unwrap().unwrap().gap);
    assert!(rig.queue.events(holder.id, 53).await.unwrap().unwrap().gap);
    assert_eq!(rig.job(holder.id).await.job.seq, 254);
    assert_eq!(glance(&rig, holder.id).await, (JobStatus::Processing, 254));
}

#[tokio::test]
async fn counts_are_the_sizes_of_the_sets() {
    let rig = Rig::with(8, 8);
    rig.ended("a", JobStatus::Completed).await;
    let failed = rig.ended("a", JobStatus::Failed).await;
    rig.settle(failed, 0).await;
    rig.finishing("a").await;
    rig.put("a").await;
    let delayed = rig.take().await;
    rig.release(&delayed, LONG, "busy", Spent::default()).await;
    rig.parked("a").await;
    rig.put("b").await;
    let expected = Counts {
        sweep_age: None,
        running: 1,
        finishing: 1,
        delayed: 1,
        ready_tenants: 1,
        unsettled: 1,
        dead: 0,
        queued: 2,
        completed: 1,
        failed: 1,
        slots: 8,
    };
    assert_eq!(rig.queue.counts().await.unwrap(), expected);
}

#[tokio::test]
async fn figures_tell_what_happened_how_long_it_took_and_who_waits_longest() {
    let rig = Rig::start();
    let none = rig.queue.figures().await.unwrap();
    assert_eq!((none.oldest_wait_ms, none.breakers_open), (0, 0));
    assert_eq!((none.total("completed"), none.total("plan_n")), (0, 0));
    rig.ended("a", JobStatus::Completed).await;
    rig.ended("a", JobStatus::Failed).await;
    rig.ended("a", JobStatus::Failed).await;
    rig.finishing("a").await;
    let waiting = rig.put("a").await;
    let queued = rig.queue.keys().by_user(&Owner::Everybody, "queued");
    let minute_ago = Utc::now().timestamp_millis() - 60_000;
    let _: () = rig
        .raw(&Cmd::zadd(queued, waiting.to_string(), minute_ago))
        .await;
    for _ in 1..FAILURES {
        rig.breaker("jen1", Showed::Failed, true).await;
    }
    assert_eq!(rig.queue.figures().await.unwrap().breakers_open, 0);
    rig.breaker("jen1", Showed::Failed, true).await;
    let some = rig.queue.figures().await.unwrap();
    assert_eq!((some.total("completed"), some.total("failed")), (1, 2));
    let stages = ["plan", "audio", "finish"].map(|stage| some.total(&format!("{stage}_n")));
    // All four went from the plan to the end of their audio at once, and one is still being finished.
    assert_eq!(stages, [4, 0, 1]);
    assert!((60_000..70_000).contains(&some.oldest_wait_ms), "{some:?}");
    assert_eq!(some.breakers_open, 1);
    assert_eq!(some.counts, rig.queue.counts().await.unwrap());
    rig.breaker("jen1", Showed::Answered, true).await;
    assert_eq!(rig.queue.figures().await.unwrap().breakers_open, 0);
}

#[tokio::test]
async fn only_so_many_callers_wait_at_a_time_and_none_of_a_tenant_that_takes_more_than_it_leaves() {
    let rig = Rig::start();
    let (alice, bob, eve) = ("alice", "bob", "eve");
    let long = Duration::from_secs(25);
    let wait = async |who: u128, tenant, length| {
        let (who, tenant) = (Uuid::from_u128(who), TenantId::new(tenant));
        rig.queue.wait(who, &tenant, length, 4).await.unwrap()
    };
    assert_eq!(wait(1, alice, long).await, Waiting::Ok);
    assert_eq!(wait(2, alice, long).await, Waiting::Ok);
    assert_eq!(wait(3, alice, long).await, Waiting::Full, "half of all");
    assert_eq!(wait(1, alice, long).await, Waiting::Ok, "counted already");
    assert_eq!(wait(4, bob, long).await, Waiting::Ok);
    assert_eq!(wait(5, bob, long).await, Waiting::Full);
    assert_eq!(wait(6, eve, long).await, Waiting::Ok, "the last place");
    assert_eq!(wait(7, "carl", long).await, Waiting::Full);
    assert_eq!(wait(1, alice, Duration::ZERO).await, Waiting::Ok, "leaves");
    assert_eq!(wait(7, "carl", long).await, Waiting::Ok);
    let keys = rig.queue.keys();
    for list in [keys.waiters(), keys.waiters_of(&TenantId::new(alice))] {
        let gone = Cmd::zadd(list, Uuid::from_u128(2).to_string(), 1);
        let _: () = rig.raw(&gone).await;
    }
    let again = wait(3, alice, long).await;
    assert_eq!(again, Waiting::Ok, "one gave up without a word");
}

#[tokio::test]
async fn a_probe_writes_and_tells_whether_keys_are_evicted() {
    let rig = Rig::start();
    assert_eq!(rig.queue.probe().await.unwrap(), Eviction::Never);
    let mut evict = redis::cmd("CONFIG");
    evict.arg(&["SET", "maxmemory-policy", "volatile-lru"]);
    let _: () = rig.raw(&evict).await;
    assert_eq!(rig.queue.probe().await.unwrap(), Eviction::WhenFull);
}

#[tokio::test]
async fn an_end_that_only_redis_knows_of_is_marked_until_it_is_on_record() {
    let rig = Rig::start();
    let live = rig.put("alice").await;
    assert!(!rig.job(live).await.unrecorded);
    rig.cancel(live, "cancelled").await;
    for status in [JobStatus::Completed, JobStatus::Failed] {
        let id = rig.ended("alice", status).await;
        assert!(rig.job(id).await.unrecorded);
        rig.settle(id, 0).await;
        assert!(!rig.job(id).await.unrecorded);
    }
}
