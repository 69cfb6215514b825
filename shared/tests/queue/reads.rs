//! What is read: events, lists, counts, waiting callers.

use std::time::Duration;

use chrono::Utc;
use redis::Cmd;
use shared::event::{Event, EventKind};
use shared::job::{JobId, JobStatus, Progress, UserId};
use shared::priority::Priority;
use shared::queue::{Counts, FAILURES, Owner, Position, Showed, Spent, Waiting};
use shared::stage::Stage;
use uuid::Uuid;

use crate::rig::{LONG, Rig, new_job, track};

async fn ids(rig: &Rig, owner: &Owner, filter: Option<&str>) -> Vec<JobId> {
    let page = rig.queue.list(owner, filter, None, 100).await.unwrap();
    page.into_iter().map(|position| position.id).collect()
}

async fn glance(rig: &Rig, id: JobId) -> (JobStatus, u64) {
    let found = rig.queue.glance(id).await.unwrap().unwrap();
    (found.status, found.seq)
}

fn alice() -> Owner {
    Owner::User(UserId::new("alice"))
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
async fn a_list_is_newest_first_and_its_cursor_passes_jobs_of_one_millisecond() {
    let rig = Rig::with(30, 30);
    let now = Utc::now();
    let mut expected = Vec::new();
    for step in 0..3 {
        for _ in 0..7 {
            let mut job = new_job("alice");
            job.created_at = now - chrono::TimeDelta::seconds(step);
            rig.enqueue(&job).await;
            expected.push((-step, job.id));
        }
    }
    expected.sort();
    expected.reverse();
    let expected: Vec<JobId> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids(&rig, &alice(), None).await, expected);
    assert_eq!(paged(&rig, Some("queued"), 2).await, expected);
    // Every third runs, every third is cancelled: no status has neighbours.
    for id in expected.iter().skip(1).step_by(3) {
        rig.cancel(*id, "cancelled").await;
    }
    for id in expected.iter().step_by(3) {
        rig.reprioritise(*id, Priority::High, "first").await;
        assert_eq!(rig.take().await.id, *id);
    }
    for limit in [1, 2, 5, 20, 21] {
        assert_eq!(paged(&rig, None, limit).await, expected, "pages of {limit}");
    }
}

/// All of alice's list, page by page; only the last page may be short.
async fn paged(rig: &Rig, filter: Option<&str>, limit: usize) -> Vec<JobId> {
    let mut seen = Vec::new();
    let mut cursor: Option<Position> = None;
    loop {
        let page = rig.queue.list(&alice(), filter, cursor, limit).await;
        let page = page.unwrap();
        assert!(page.len() <= limit);
        cursor = page.last().copied();
        let last = page.len() < limit;
        seen.extend(page.into_iter().map(|position| position.id));
        if last {
            return seen;
        }
    }
}

#[tokio::test]
async fn lists_are_by_owner_status_and_tag() {
    let rig = Rig::start();
    let mut tagged = new_job("alice");
    tagged.tags = vec!["calm".to_owned(), "queued".to_owned()];
    rig.enqueue(&tagged).await;
    let running = rig.take().await.id;
    let queued = rig.put("alice").await;
    let other = rig.put("bob").await;
    let everybody = Owner::Everybody;
    assert_eq!(ids(&rig, &alice(), Some("processing")).await, [running]);
    assert_eq!(ids(&rig, &alice(), Some("queued")).await, [queued]);
    assert_eq!(ids(&rig, &alice(), Some("#calm")).await, [tagged.id]);
    assert_eq!(
        ids(&rig, &alice(), Some("#queued")).await,
        [tagged.id],
        "no status"
    );
    assert_eq!(ids(&rig, &alice(), None).await.len(), 2);
    assert_eq!(ids(&rig, &everybody, None).await.len(), 3);
    assert_eq!(ids(&rig, &everybody, Some("#calm")).await, [tagged.id]);
    let bob = Owner::User(UserId::new("bob"));
    assert_eq!(ids(&rig, &bob, None).await, [other]);
    assert_eq!(ids(&rig, &bob, Some("#calm")).await, []);
}

#[tokio::test]
async fn jobs_are_read_together_without_the_forgotten() {
    let rig = Rig::start();
    let (first, second) = (rig.put("alice").await, rig.put("alice").await);
    let asked = [second, JobId::mint(), first];
    let found = rig.queue.read_all(&asked).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|s| (s.job.id, s.position)).collect();
    assert_eq!(found, [(second, Some(1)), (first, Some(0))]);
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
async fn only_so_many_callers_wait_at_a_time() {
    let rig = Rig::start();
    let [first, second, third] = [(); 3].map(|()| Uuid::new_v4());
    let long = Duration::from_secs(25);
    let wait = async |who, length| rig.queue.wait(who, length, 2).await.unwrap();
    assert_eq!(wait(first, long).await, Waiting::Ok);
    assert_eq!(wait(second, long).await, Waiting::Ok);
    assert_eq!(wait(third, long).await, Waiting::Full);
    assert_eq!(wait(first, long).await, Waiting::Ok, "counted already");
    assert_eq!(wait(first, Duration::ZERO).await, Waiting::Ok, "leaves");
    assert_eq!(wait(third, long).await, Waiting::Ok);
    let gone = redis::Cmd::zadd(rig.queue.keys().waiters(), second.to_string(), 1);
    let _: () = rig.raw(&gone).await;
    assert_eq!(
        wait(first, long).await,
        Waiting::Ok,
        "one gave up without a word"
    );
}

#[tokio::test]
async fn a_ping_is_answered() {
    Rig::start().queue.ping().await.unwrap();
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
