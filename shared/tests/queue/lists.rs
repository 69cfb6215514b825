//! Lists: one script a page, whatever is asked for.

use chrono::{TimeDelta, Utc};
use redis::{Cmd, Value};
use shared::job::{JobId, JobStatus, TenantId, UserId};
use shared::priority::Priority;
use shared::queue::{Listed, Owner, Page, Policy, Position, Queue, Snapshot};

use crate::rig::{RETENTION, Rig, new_job};

fn alice() -> Owner {
    Owner::User(UserId::new("alice"))
}

fn all(owner: &Owner) -> Listed<'_> {
    let (status, tag) = (None, None);
    Listed::Jobs { owner, status, tag }
}

fn of_status(owner: &Owner, status: JobStatus) -> Listed<'_> {
    let (status, tag) = (Some(status), None);
    Listed::Jobs { owner, status, tag }
}

fn of_tag<'a>(owner: &'a Owner, tag: &'a str, status: Option<JobStatus>) -> Listed<'a> {
    let tag = Some(tag);
    Listed::Jobs { owner, status, tag }
}

async fn page(
    rig: &Rig,
    listed: &Listed<'_>,
    from: Option<Position>,
    limit: usize,
) -> (Vec<Snapshot>, Option<Position>) {
    let reader = TenantId::new("reader");
    let (found, _) = rig.queue.list(&reader, listed, from, limit).await.unwrap();
    match found {
        Page::Page { jobs, next } => (jobs, next),
        Page::Limited { .. } => panic!("nobody limits the reader"),
    }
}

async fn ids(rig: &Rig, listed: &Listed<'_>) -> Vec<JobId> {
    let (jobs, next) = page(rig, listed, None, 100).await;
    assert_eq!(next, None);
    jobs.into_iter().map(|snapshot| snapshot.job.id).collect()
}

/// The whole list, page by page; every page goes on behind the one before.
async fn paged(rig: &Rig, listed: &Listed<'_>, limit: usize) -> Vec<JobId> {
    let mut seen = Vec::new();
    let mut from: Option<Position> = None;
    loop {
        let (jobs, next) = page(rig, listed, from, limit).await;
        assert!(jobs.len() <= limit);
        seen.extend(jobs.into_iter().map(|snapshot| snapshot.job.id));
        let Some(next) = next else { return seen };
        assert!(from.is_none_or(|from| next < from), "the cursor advances");
        from = Some(next);
    }
}

#[tokio::test]
async fn a_list_is_newest_first_and_its_cursor_passes_jobs_of_one_millisecond() {
    let rig = Rig::with(30, 30);
    let now = Utc::now();
    let mut expected = Vec::new();
    for step in 0..3 {
        for _ in 0..7 {
            let mut job = new_job("alice");
            job.created_at = now - TimeDelta::seconds(step);
            rig.enqueue(&job).await;
            expected.push((-step, job.id));
        }
    }
    expected.sort();
    expected.reverse();
    let expected: Vec<JobId> = expected.into_iter().map(|(_, id)| id).collect();
    let (owner, queued) = (alice(), JobStatus::Queued);
    assert_eq!(ids(&rig, &all(&owner)).await, expected);
    assert_eq!(paged(&rig, &of_status(&owner, queued), 2).await, expected);
    // Every third runs, every third is cancelled: no status has neighbours.
    for id in expected.iter().skip(1).step_by(3) {
        rig.cancel(*id, "cancelled").await;
    }
    for id in expected.iter().step_by(3) {
        rig.reprioritise(*id, Priority::High, "first").await;
        assert_eq!(rig.take().await.id, *id);
    }
    for limit in [1, 2, 5, 20, 21] {
        let found = paged(&rig, &all(&owner), limit).await;
        assert_eq!(found, expected, "pages of {limit}");
    }
}

#[tokio::test]
async fn lists_are_by_owner_status_and_tag_and_have_what_is_known_of_each_job() {
    let rig = Rig::start();
    let mut tagged = new_job("alice");
    tagged.tags = vec!["calm".to_owned(), "queued".to_owned()];
    rig.enqueue(&tagged).await;
    let running = rig.take().await.id;
    let queued = rig.put("alice").await;
    let other = rig.put("bob").await;
    let (alice, everybody) = (alice(), Owner::Everybody);
    let bob = Owner::User(UserId::new("bob"));
    let processing = JobStatus::Processing;
    assert_eq!(ids(&rig, &of_status(&alice, processing)).await, [running]);
    assert_eq!(
        ids(&rig, &of_status(&alice, JobStatus::Queued)).await,
        [queued]
    );
    for owner in [&alice, &everybody] {
        assert_eq!(ids(&rig, &of_tag(owner, "calm", None)).await, [running]);
        let no_status = of_tag(owner, "queued", None);
        assert_eq!(ids(&rig, &no_status).await, [running], "no status");
        let both = of_tag(owner, "calm", Some(processing));
        assert_eq!(ids(&rig, &both).await, [running]);
        let none = of_tag(owner, "calm", Some(JobStatus::Failed));
        assert_eq!(ids(&rig, &none).await, []);
    }
    assert_eq!(ids(&rig, &all(&alice)).await.len(), 2);
    assert_eq!(ids(&rig, &all(&everybody)).await.len(), 3);
    assert_eq!(ids(&rig, &all(&bob)).await, [other]);
    assert_eq!(ids(&rig, &of_tag(&bob, "calm", None)).await, []);

    // As the one that stands first.
    let failed = rig.ended("alice", JobStatus::Failed).await;
    let (found, _) = page(&rig, &of_status(&everybody, JobStatus::Failed), None, 1).await;
    assert_eq!(found, [rig.job(failed).await]);
    assert!(found[0].unrecorded && found[0].outcome.is_some());
    let (waiting, _) = page(&rig, &of_status(&everybody, JobStatus::Queued), None, 1).await;
    let whole = rig.job(waiting[0].job.id).await;
    assert!(whole.eta.is_some() && whole.position.is_some());
    let without = Snapshot {
        eta: None,
        waiting: None,
        ..whole
    };
    assert_eq!(waiting, [without]);
}

#[tokio::test]
async fn the_dead_are_listed_by_their_end_and_leave_with_their_records() {
    let rig = Rig::start();
    let mut dead = Vec::new();
    for _ in 0..3 {
        let mut job = new_job("a");
        job.max_attempts = 1;
        rig.enqueue(&job).await;
        rig.fail_now(&rig.take().await, &crate::rig::error(true))
            .await;
        dead.insert(0, job.id);
        rig.next_millisecond().await;
    }
    assert_eq!(paged(&rig, &Listed::Dead, 2).await, dead);
    rig.delete(dead[0]).await;
    assert_eq!(ids(&rig, &Listed::Dead).await, dead[1..]);
}

/// EVALSHA calls and other commands that Redis has run, those of scripts included.
async fn calls(rig: &Rig) -> (u64, u64) {
    let mut ask = redis::cmd("INFO");
    // A cluster answers a text for each of its nodes, of which there is one.
    let stats = match rig.raw(ask.arg("commandstats")).await {
        Value::Map(mut nodes) => nodes.remove(0).1,
        text => text,
    };
    let stats: String = redis::from_redis_value(stats).unwrap();
    let of = |line: &str| -> Option<(bool, u64)> {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split(',').next()?.parse().ok()?;
        Some((name == "evalsha", calls))
    };
    let all: Vec<_> = stats.lines().filter_map(of).collect();
    let sum = |scripts| all.iter().filter(|c| c.0 == scripts).map(|c| c.1).sum();
    (sum(true), sum(false))
}

#[tokio::test]
async fn a_filter_without_a_hit_costs_one_script_whatever_the_list_holds() {
    let rig = Rig::over(crate::redis::Server::start(), 4, 2);
    let owner = alice();
    for n in 0..90 {
        let mut job = new_job("alice");
        job.tags = vec!["t".to_owned()];
        rig.queue.enqueue(&job).await.unwrap();
        if n == 45 {
            rig.cancel(job.id, "cancelled").await;
        }
    }
    let listed = of_tag(&owner, "t", Some(JobStatus::Failed));
    page(&rig, &listed, None, 100).await; // the script is loaded
    let before = calls(&rig).await;
    assert_eq!(page(&rig, &listed, None, 100).await, (vec![], None));
    let after = calls(&rig).await;
    assert_eq!(after.0 - before.0, 1);
    assert!(
        after.1 - before.1 < 20,
        "the shorter list is walked: {after:?}"
    );
    let one = of_tag(&owner, "t", Some(JobStatus::Cancelled));
    assert_eq!(page(&rig, &one, None, 100).await.0.len(), 1);
}

#[tokio::test]
async fn a_page_counts_as_as_many_reads_as_it_has_jobs() {
    let mut rig = Rig::start();
    let policy = Policy::new(4, 2, 100, RETENTION).limited(0, 30);
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    for _ in 0..20 {
        rig.put("alice").await;
    }
    let (owner, reader) = (alice(), TenantId::new("alice"));
    let listed = all(&owner);
    let list = async |limit| rig.queue.list(&reader, &listed, None, limit).await.unwrap();
    let (first, left) = list(20).await;
    assert!(matches!(first, Page::Page { next: None, .. }));
    assert_eq!(left.unwrap().remaining, 10);
    let (second, left) = list(20).await;
    assert!(
        matches!(second, Page::Page { .. }),
        "one read is left for it"
    );
    assert_eq!(left.unwrap().remaining, 0);
    let (third, _) = list(1).await;
    let Page::Limited { retry_ms } = third else {
        panic!("{third:?}");
    };
    assert!((18_000..=22_000).contains(&retry_ms), "{retry_ms}");
}

#[tokio::test]
async fn an_entry_whose_record_was_evicted_is_passed_over() {
    let rig = Rig::start();
    let (first, lost) = (rig.put("alice").await, rig.put("alice").await);
    let _: () = rig.raw(&Cmd::del(rig.queue.keys().job(lost))).await;
    assert_eq!(paged(&rig, &all(&alice()), 1).await, [first]);
}
