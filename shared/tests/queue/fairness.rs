//! Who is next: order inside a tenant, turns between tenants, levels, caps, slots, pause, hold.

use redis::Cmd;
use shared::job::{JobId, TenantId, UserId};
use shared::priority::Priority;
use shared::queue::{Acquired, Owner, Spent};
use shared::stage::Stage;

use crate::rig::{Rig, new_job, track};

/// Takes `count` jobs one after the other, each to its end, and says whose they were.
async fn turns(rig: &Rig, count: usize) -> String {
    let mut served = String::new();
    for _ in 0..count {
        let (job, holder) = rig.take_job().await;
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
    let served = turns(&rig, 7).await;
    assert!(
        ["abababa", "bababaa"].contains(&served.as_str()),
        "{served}"
    );
}

#[tokio::test]
async fn turns_are_in_audio_seconds_not_in_jobs() {
    let rig = Rig::start();
    for _ in 0..2 {
        let mut long = new_job("a");
        long.cost = 90;
        rig.enqueue(&long).await;
    }
    for _ in 0..4 {
        rig.put("b").await;
    }
    assert_eq!(turns(&rig, 6).await, "abbbab");
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
async fn a_job_given_back_is_not_charged_twice() {
    let rig = Rig::start();
    rig.put("a").await;
    for _ in 0..3 {
        let holder = rig.take().await;
        rig.give_back(&holder).await;
    }
    let key = rig.queue.keys().tenant(&TenantId::new("a"));
    let charged: u64 = rig.raw(&Cmd::hget(key, "v1")).await;
    assert_eq!(charged, 30_000);
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
