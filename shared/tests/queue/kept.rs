//! Ended jobs that are kept for a while: so many of a tenant, and nothing of them when they are let go.

use std::collections::BTreeSet;

use redis::Cmd;
use shared::job::{JobId, JobStatus, TenantId};
use shared::queue::{DeliveryState, Mended, Policy, Queue, Settled, Spent};
use shared::stage::Stage;

use crate::delivery::{JOB, due, outcome};
use crate::rig::{RETENTION, Rig, SETTLED, error, new_job, track};

fn keeping(kept: u32) -> Rig {
    let mut rig = Rig::start();
    let policy = Policy::new(4, 2, 100, RETENTION).keeping(kept);
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    rig
}

/// A job with tags that ended, and is settled.
async fn settled(rig: &Rig, tenant: &str) -> JobId {
    let mut job = new_job(tenant);
    (job.tags, job.max_attempts) = (vec!["calm".to_owned()], 1);
    rig.enqueue(&job).await;
    let holder = rig.take().await;
    rig.fail_now(&holder, &error(true)).await;
    assert_eq!(rig.settle(holder.id, 0).await, SETTLED);
    holder.id
}

/// The keys that name one of these jobs or have it as a member.
async fn traces(rig: &Rig, ids: &[JobId]) -> BTreeSet<String> {
    let names: Vec<String> = rig.raw(redis::cmd("KEYS").arg("*")).await;
    let mut found = BTreeSet::new();
    for name in names {
        let kind: String = rig.raw(redis::cmd("TYPE").arg(&name)).await;
        for id in ids.iter().map(ToString::to_string) {
            let inside: Option<f64> = match kind.as_str() {
                "zset" => rig.raw(&Cmd::zscore(&name, &id)).await,
                _ => None,
            };
            // An answer of `acquire` goes by itself within a minute.
            if name.contains(&id) || inside.is_some() && !name.contains(":call:") {
                found.insert(name.clone());
            }
        }
    }
    found
}

#[tokio::test]
async fn settle_lets_the_oldest_of_too_many_go_with_all_that_led_to_them() {
    let rig = keeping(2);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(settled(&rig, "alice").await);
        rig.next_millisecond().await;
    }
    let other = settled(&rig, "bob").await;
    assert_eq!(traces(&rig, &ids[..2]).await, BTreeSet::new());
    for id in [ids[2], ids[3], other] {
        assert_eq!(rig.status(id).await, JobStatus::Failed);
    }
    assert_eq!(rig.queue.counts().await.unwrap().dead, 3);
}

#[tokio::test]
async fn sweep_lets_go_of_what_was_kept_for_long_enough() {
    let rig = keeping(100);
    let keys = rig.queue.keys();
    let ids = [settled(&rig, "alice").await, settled(&rig, "alice").await];
    let own = keys.kept_of(&TenantId::new("alice"));
    let due = rig.due_in(own.clone(), ids[0]).await.unwrap();
    let retention = i64::try_from(RETENTION.as_millis()).unwrap();
    assert!((retention - 5_000..=retention).contains(&due), "{due}");
    rig.sweep("").await;
    assert_eq!(rig.queue.counts().await.unwrap().dead, 2);
    for (list, member) in [(own, ids[0].to_string()), (keys.kept(), "alice".to_owned())] {
        let _: () = rig.raw(&Cmd::zadd(list, member, 1)).await;
    }
    rig.sweep("").await;
    assert_eq!(traces(&rig, &ids[..1]).await, BTreeSet::new());
    assert_eq!(rig.status(ids[1]).await, JobStatus::Failed);
    // The next one has its time, too.
    let next: f64 = rig.raw(&Cmd::zscore(keys.kept(), "alice")).await;
    let own: f64 = rig
        .raw(&Cmd::zscore(
            keys.kept_of(&TenantId::new("alice")),
            ids[1].to_string(),
        ))
        .await;
    assert!((next - own).abs() < 1.0);
}

#[tokio::test]
async fn the_log_of_deliveries_goes_with_its_job_unless_a_message_is_still_owed() {
    let mut rig = Rig::start();
    let policy = Policy::new(4, 2, 100, 24 * RETENTION).keeping(1);
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    let deliver = async || {
        let message = rig.taken().await;
        rig.note(&message, &outcome(DeliveryState::Delivered)).await;
    };
    let owing = async |over: bool| {
        let id = settled(&rig, "alice").await;
        rig.owe_all(id, &due(0, &[JOB])).await;
        if over {
            deliver().await;
        }
        id
    };
    let delivered = owing(true).await;
    rig.next_millisecond().await;
    let owed = owing(false).await;
    assert_eq!(traces(&rig, &[delivered]).await, BTreeSet::new());
    rig.next_millisecond().await;
    settled(&rig, "alice").await;
    let log = rig.queue.keys().delivery(owed);
    let left = async || -> i64 { rig.raw(&Cmd::ttl(&log)).await };
    assert_eq!(left().await, -1, "a message is owed");
    deliver().await;
    assert!((1..=3600).contains(&left().await));
}

#[tokio::test]
async fn a_kept_job_that_is_retried_is_not_let_go() {
    let rig = keeping(1);
    let id = settled(&rig, "alice").await;
    let new = new_job("alice");
    rig.retry(id, 1, new.start_by, new.finish_by, "again").await;
    for _ in 0..2 {
        let other = rig.put("alice").await;
        rig.cancel(other, "cancelled").await;
        rig.settle(other, 0).await;
    }
    assert_eq!(rig.status(id).await, JobStatus::Queued);
}

#[tokio::test]
async fn a_settled_track_has_no_waveform_and_answers_its_cache_until_it_goes() {
    let rig = keeping(1);
    let mut first = track();
    first.model = Some("\"waveform\":[[0]]".to_owned());
    let complete = async || {
        let holder = rig.finishing("alice").await;
        let cache = ["ab".repeat(32)];
        let done = rig
            .queue
            .complete(&holder, &first, Spent::default(), &cache);
        done.await.unwrap();
        assert_eq!(rig.settle(holder.id, 0).await, SETTLED);
        assert_eq!(
            rig.settle(holder.id, 0).await,
            Settled::Ok { first: false },
            "sent twice"
        );
        holder.id
    };
    let id = complete().await;
    let kept = rig.job(id).await.outcome.unwrap();
    let mut expected = first.clone();
    expected.measured.waveform.clear();
    assert_eq!(kept, serde_json::to_string(&expected).unwrap());
    let alice = TenantId::new("alice");
    let cached = async || rig.queue.cached(&alice, &"ab".repeat(32)).await.unwrap();
    assert_eq!(cached().await, Some(id));
    rig.ended("alice", JobStatus::Cancelled).await; // not settled: the other is still kept
    assert_eq!(cached().await, Some(id));
    let newer = complete().await;
    assert_eq!(cached().await, Some(newer), "the older took only its own");
    settled(&rig, "alice").await;
    assert_eq!(cached().await, None);
}

/// As if Redis had chosen this key to make room.
async fn evict(rig: &Rig, key: String) {
    let gone: u32 = rig.raw(&Cmd::del(&key)).await;
    assert_eq!(gone, 1, "{key} was not there");
}

#[tokio::test]
async fn mend_puts_a_job_back_whose_places_were_evicted() {
    let rig = Rig::start();
    let keys = rig.queue.keys();
    let alice = TenantId::new("alice");
    let id = rig.put("alice").await;
    assert_eq!(rig.mend(id).await.outcome, Mended::Whole);
    for key in [
        keys.line(&alice),
        keys.ready(),
        keys.finish_by(),
        keys.start_by(),
    ] {
        evict(&rig, key).await;
    }
    evict(&rig, "{p}:by_user:alice:queued".to_owned()).await;
    for counted in [
        keys.load(),
        keys.backlog(),
        keys.tenants(),
        keys.tenant(&alice),
    ] {
        evict(&rig, counted).await;
    }
    let answer = rig.queue.mend(id).await.unwrap();
    assert_eq!((answer.outcome, answer.debt.ring), (Mended::Mended, 1));
    let holder = rig.take().await;
    assert_eq!(holder.id, id);
    evict(&rig, keys.lease()).await;
    evict(&rig, keys.running(&alice)).await;
    assert_eq!(rig.queue.mend(id).await.unwrap().outcome, Mended::Mended);
    let holder = rig.take().await;
    rig.on_to(&holder, Stage::Finish).await;
    rig.complete(&holder, &track(), Spent::default()).await;
    evict(&rig, keys.outbox()).await;
    assert_eq!(rig.mend(id).await.outcome, Mended::Whole);
    assert!(matches!(
        rig.settle(id, 0).await,
        Settled::Ok { first: true, .. }
    ));
    assert_eq!(rig.mend(JobId::mint()).await.outcome, Mended::Unknown);
}

#[tokio::test]
async fn evicted_keys_end_the_epoch_as_an_emptied_redis_does() {
    let rig = Rig::start();
    rig.sweep("").await;
    rig.queue.begin_epoch().await.unwrap();
    assert!(rig.sweep("").await.outcome.epoch);
    let set = async |name: &str, value: &str| {
        let mut config = redis::cmd("CONFIG");
        config.arg(&["SET", name, value]);
        let _: () = rig.raw(&config).await;
    };
    // One key may go, and Redis makes room for another.
    let _: () = rig.raw(&Cmd::pset_ex("{p}:ticket:x", 1, 600_000)).await;
    set("maxmemory-policy", "volatile-lru").await;
    set("maxmemory", "1").await;
    let _: Result<(), _> = rig.queue.redis().run(&Cmd::set("{p}:probe", 1)).await;
    set("maxmemory", "0").await;
    let gone: Option<u32> = rig.raw(&Cmd::get("{p}:ticket:x")).await;
    assert_eq!(gone, None);
    assert!(!rig.sweep("").await.outcome.epoch);
    rig.queue.begin_epoch().await.unwrap();
    assert!(rig.sweep("").await.outcome.epoch);
}
