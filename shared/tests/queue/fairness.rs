//! Who is next: order inside a tenant, turns between tenants, levels, caps, slots, pause, hold.

use redis::Cmd;
use shared::job::{JobId, TenantId, UserId};
use shared::priority::Priority;
use shared::queue::{Acquired, Mended, Owner, Spent};
use shared::stage::Stage;

use crate::rig::{Rig, error, new_job, track};

/// Takes `count` jobs one after the other, each to its end after 30 s, and says whose they were.
async fn turns(rig: &Rig, count: usize) -> String {
    turns_of(rig, count, |_| 30).await
}

/// The same where a tenant's jobs hold their slot for so many seconds.
async fn turns_of(rig: &Rig, count: usize, seconds: impl Fn(&str) -> u32) -> String {
    let mut served = String::new();
    for _ in 0..count {
        let (job, holder) = rig.take_job().await;
        let ms = 1000 * seconds(job.tenant.as_str());
        rig.held_for(&job.tenant, job.id, ms).await;
        rig.on_to(&holder, Stage::Finish).await;
        rig.complete(&holder, &track(), Spent::default()).await;
        served.push_str(job.tenant.as_str());
    }
    served
}

#[tokio::test]
async fn first_in_first_out_within_a_tenant() {
    let rig = Rig::with(9, 9);
    let mut ids = Vec::new();
    let now = chrono::Utc::now();
    for _ in 0..6 {
        let mut job = new_job("a");
        job.created_at = now; // all in one millisecond, under names that do not sort by time
        job.id = uuid::Uuid::new_v4().to_string().parse().unwrap();
        rig.enqueue(&job).await;
        ids.push(job.id);
    }
    for (place, id) in ids.iter().enumerate() {
        assert_eq!(rig.job(*id).await.position, Some(place as u64));
    }
    for id in ids {
        assert_eq!(rig.take().await.id, id);
    }
}

#[tokio::test]
async fn two_tenants_take_turns() {
    let rig = Rig::start();
    for _ in 0..6 {
        rig.put("a").await;
    }
    assert_eq!(turns(&rig, 2).await, "aa");
    for _ in 0..3 {
        rig.put("b").await;
    }
    // Times are measured: where both have had as much, a millisecond decides.
    let served = turns(&rig, 7).await;
    for turns in 1..=6 {
        let b = served[..turns].matches('b').count();
        assert!((turns - b).abs_diff(b) <= 2, "{served}");
    }
    assert_eq!(served.matches('b').count(), 3, "{served}");
}

#[tokio::test]
async fn turns_are_by_slot_time_and_not_by_jobs() {
    let rig = Rig::start();
    for _ in 0..2 {
        rig.put("a").await;
    }
    for _ in 0..6 {
        rig.put("b").await;
    }
    let seconds = |tenant: &str| if tenant == "a" { 95 } else { 30 };
    let served = turns_of(&rig, 8, seconds).await;
    assert_eq!(served, "abbbbabb");
}

#[tokio::test]
async fn turns_are_by_slot_time_and_not_by_what_was_asked() {
    let rig = Rig::start();
    for _ in 0..8 {
        for (tenant, cost) in [("alice", 60), ("mallory", 1)] {
            let mut job = new_job(tenant);
            job.cost = cost;
            rig.enqueue(&job).await;
        }
    }
    // Each job of either holds its slot for 2 s.
    let served = turns_of(&rig, 12, |_| 2).await;
    let alice = served.matches("alice").count();
    assert!((5..=7).contains(&alice), "{served}");
}

#[tokio::test]
async fn every_way_out_of_a_slot_is_charged_by_its_time() {
    for way in [
        "finish",
        "park",
        "fail",
        "fail for good",
        "cancel",
        "expire",
        "reap",
    ] {
        let rig = Rig::start();
        rig.put("a").await;
        let (job, holder) = rig.take_job().await;
        rig.held_for(&job.tenant, job.id, 70_000).await;
        match way {
            "finish" => rig.on_to(&holder, Stage::Finish).await,
            "park" => {
                rig.on_to(&holder, Stage::Audio).await;
                rig.park_audio(&holder).await;
                rig.report(job.id, Stage::Audio, None).await;
            }
            "fail" => drop(rig.fail_now(&holder, &error(true)).await),
            "fail for good" => drop(rig.fail_now(&holder, &error(false)).await),
            "cancel" => drop(rig.cancel(job.id, "cancelled").await),
            "expire" => {
                rig.let_pass(rig.queue.keys().finish_by(), job.id).await;
                rig.expire().await;
            }
            _ => {
                rig.let_pass(rig.queue.keys().lease(), job.id).await;
                rig.sweep("").await;
            }
        }
        let charged = charged(&rig).await;
        assert!((70_000..75_000).contains(&charged), "{way}: {charged}");
    }
}

#[tokio::test]
async fn a_job_that_leaves_its_slot_at_once_still_costs_a_turn() {
    let rig = Rig::start();
    rig.put("a").await;
    let holder = rig.take().await;
    rig.fail_now(&holder, &error(false)).await;
    assert_eq!(charged(&rig).await, rig.queue.policy().turn_ms);
}

#[tokio::test]
async fn a_turn_whose_places_were_evicted_costs_nothing() {
    let a = TenantId::new("a");
    for evicts_the_slot_time in [false, true] {
        let rig = Rig::start();
        rig.put("a").await;
        let holder = rig.take().await;
        assert!(charged(&rig).await > 0);
        let keys = rig.queue.keys();
        let _: () = rig.raw(&Cmd::del(keys.lease())).await;
        if evicts_the_slot_time {
            let _: () = rig.raw(&Cmd::del(keys.running(&a))).await;
        }
        let mended = rig.queue.mend(holder.id).await.unwrap().outcome;
        assert_eq!((mended, charged(&rig).await), (Mended::Mended, 0));
        assert_eq!(rig.take().await.id, holder.id);
    }
}

/// Virtual time of tenant `a`.
async fn charged(rig: &Rig) -> u64 {
    let key = rig.queue.keys().tenant(&TenantId::new("a"));
    rig.raw(&Cmd::hget(key, "v1")).await
}

#[tokio::test]
async fn a_heavier_tenant_has_more_turns() {
    let rig = Rig::start();
    rig.set_tenant("b", "weight", 2).await;
    for _ in 0..3 {
        rig.put("a").await;
        rig.put("b").await;
        rig.put("b").await;
    }
    let served = turns(&rig, 6).await;
    assert_eq!(served.matches('b').count(), 4, "{served}");
}

#[tokio::test]
async fn a_job_given_back_is_not_charged() {
    let rig = Rig::start();
    rig.put("a").await;
    for _ in 0..3 {
        let holder = rig.take().await;
        rig.give_back(&holder).await;
    }
    assert_eq!(charged(&rig).await, 0);
}

#[tokio::test]
async fn a_better_level_goes_first_whoever_had_fewer_turns() {
    let rig = Rig::start();
    for _ in 0..3 {
        rig.put("a").await;
    }
    turns(&rig, 2).await;
    rig.put("b").await;
    let mut high = new_job("a");
    high.priority = Priority::High;
    rig.enqueue(&high).await;
    assert_eq!(rig.take().await.id, high.id);
    assert_eq!(rig.take_job().await.0.tenant.as_str(), "b");
}

#[tokio::test]
async fn a_tenant_at_its_cap_is_not_in_ready() {
    let rig = Rig::start();
    for _ in 0..3 {
        rig.put("a").await;
    }
    rig.take().await;
    assert!(rig.is_ready("a").await);
    let holder = rig.take().await;
    assert!(!rig.is_ready("a").await);
    let answer = rig.acquire().await;
    assert_eq!((answer.outcome, answer.debt.ring), (Acquired::Empty, 0));
    let answer = rig.advance(&holder, Stage::Finish, Spent::default()).await;
    assert_eq!(answer.debt.ring, 1, "there is room again");
    assert!(rig.is_ready("a").await);
}

#[tokio::test]
async fn a_cap_of_its_own_binds_a_tenant() {
    let rig = Rig::start();
    rig.set_tenant("a", "cap", 1).await;
    rig.put("a").await;
    rig.put("a").await;
    rig.take().await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
    rig.set_tenant("a", "cap", 2).await;
    rig.take().await;
}

#[tokio::test]
async fn a_paused_tenant_waits() {
    let rig = Rig::start();
    rig.set_tenant("a", "paused", 1).await;
    rig.put("a").await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
    rig.set_tenant("a", "paused", 0).await;
    rig.take().await;
}

#[tokio::test]
async fn no_more_jobs_run_than_there_are_slots() {
    let rig = Rig::with(2, 2);
    for tenant in ["a", "b", "c"] {
        rig.put(tenant).await;
    }
    rig.take().await;
    let holder = rig.take().await;
    let answer = rig.acquire().await;
    assert_eq!((answer.outcome, answer.debt.ring), (Acquired::Saturated, 0));
    let answer = rig
        .release(&holder, std::time::Duration::ZERO, "x", Spent::default())
        .await;
    assert_eq!(answer.debt.ring, 1);
    rig.take().await;
}

#[tokio::test]
async fn a_queue_on_hold_gives_out_nothing_and_rings_for_nothing() {
    let rig = Rig::start();
    rig.put("a").await;
    let hold = rig.queue.keys().hold();
    let _: () = rig.raw(&Cmd::set(&hold, 1)).await;
    let answer = rig.acquire().await;
    assert_eq!((answer.outcome, answer.debt.ring), (Acquired::Held, 0));
    assert_eq!(rig.sweep("").await.outcome.bells, 0);
    let _: () = rig.raw(&Cmd::del(hold)).await;
    assert_eq!(rig.sweep("").await.outcome.bells, 1);
    rig.take().await;
}

#[tokio::test]
async fn a_place_in_line_without_a_job_is_passed_over() {
    let rig = Rig::start();
    rig.load().await;
    let lost = rig.put("a").await;
    let next = rig.put("a").await;
    let lose = async |id, tenant: &str| {
        let keys = rig.queue.keys();
        let lists = [Owner::User(UserId::new(tenant)), Owner::Everybody];
        let [own, all] = lists.map(|owner| keys.by_user(&owner, "queued"));
        let _: () = rig.raw(&Cmd::del(&[keys.job(id), own, all])).await;
    };
    lose(lost, "a").await;
    // What the lost job asked for is unknown: the sum of what waits is wrong until the line is empty.
    let taken = rig.queue.acquire().await.unwrap().outcome;
    assert!(matches!(taken, Acquired::Job(job, ..) if job.id == next));
    let only = rig.put("b").await;
    lose(only, "b").await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
    assert!(!rig.is_ready("b").await);
}

#[tokio::test]
async fn what_forgotten_jobs_left_behind_does_not_stay() {
    let rig = Rig::start();
    let keys = rig.queue.keys();
    for place in [keys.lease(), keys.finish(), keys.start_by()] {
        let forgotten = Cmd::zadd(place, JobId::mint().to_string(), 1);
        let _: () = rig.raw(&forgotten).await;
    }
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.running, counts.finishing), (0, 0));
    assert_eq!(rig.expire().await.outcome, 1);
    assert_eq!(rig.expire().await.outcome, 0);
}
