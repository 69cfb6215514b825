//! What operators set: slots, pause, tenants, levels; and that an emptied Redis gives out nothing before it is told again.

use shared::job::{JobStatus, TenantId};
use shared::priority::Priority;
use shared::queue::{Acquired, QueueSettings, Reprioritised, Revised, Settings, TenantSettings};

use crate::rig::{Rig, new_job};

impl Rig {
    async fn set_queue(&self, revision: u64, settings: QueueSettings) -> (u32, u32) {
        let queue = Some(Revised { revision, settings });
        let answer = self
            .configure(&Settings {
                queue,
                ..Settings::default()
            })
            .await;
        (answer.outcome, answer.debt.ring)
    }

    async fn set(&self, tenant: &str, revision: u64, settings: TenantSettings) -> (u32, u32) {
        let tenants = vec![(TenantId::new(tenant), Revised { revision, settings })];
        let answer = self
            .configure(&Settings {
                tenants,
                ..Settings::default()
            })
            .await;
        (answer.outcome, answer.debt.ring)
    }
}

fn slots(n: u32) -> QueueSettings {
    QueueSettings {
        slots: Some(n),
        paused: false,
    }
}

const PAUSED: QueueSettings = QueueSettings {
    slots: None,
    paused: true,
};

#[tokio::test]
async fn an_emptied_redis_gives_out_nothing_before_it_was_told_what_operators_set() {
    let rig = Rig::start();
    rig.put("a").await;
    let answer = rig.queue.acquire().await.unwrap();
    assert_eq!(
        (answer.outcome, answer.debt.ring),
        (Acquired::Unconfigured, 1)
    );
    rig.load().await;
    rig.take().await;
}

#[tokio::test]
async fn slots_take_effect_on_the_next_acquire() {
    let rig = Rig::with(1, 9);
    for _ in 0..3 {
        rig.put("a").await;
    }
    rig.take().await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Saturated);
    assert_eq!(rig.set_queue(1, slots(3)).await, (1, 1));
    rig.take().await;
    assert_eq!(rig.set_queue(2, slots(1)).await, (1, 0));
    assert_eq!(rig.acquire().await.outcome, Acquired::Saturated, "two run");
    assert_eq!(rig.set_queue(3, QueueSettings::default()).await, (1, 0));
    assert_eq!(rig.acquire().await.outcome, Acquired::Saturated);
}

#[tokio::test]
async fn a_paused_queue_gives_out_nothing_but_what_is_to_be_finished() {
    let rig = Rig::start();
    let finishing = rig.finishing("a").await;
    rig.give_back(&finishing).await;
    rig.put("a").await;
    assert_eq!(rig.set_queue(1, PAUSED).await, (1, 1), "the finish is due");
    assert_eq!(rig.take().await.id, finishing.id);
    let answer = rig.acquire().await;
    assert_eq!((answer.outcome, answer.debt.ring), (Acquired::Paused, 0));
    assert_eq!(rig.sweep("").await.outcome.bells, 0);
    assert_eq!(rig.set_queue(2, QueueSettings::default()).await, (1, 1));
    rig.take().await;
}

#[tokio::test]
async fn a_queue_that_was_let_go_is_rung_for_several_times() {
    let rig = Rig::with(20, 20);
    rig.set_queue(1, PAUSED).await;
    for n in 0..14 {
        rig.put(&format!("tenant-{n}")).await;
    }
    assert_eq!(rig.set_queue(2, QueueSettings::default()).await, (1, 10));
}

#[tokio::test]
async fn an_older_revision_changes_nothing() {
    let rig = Rig::start();
    assert_eq!(rig.set_queue(5, slots(2)).await.0, 1);
    assert_eq!(rig.set_queue(5, slots(7)).await.0, 0, "sent twice");
    assert_eq!(rig.set_queue(4, slots(7)).await.0, 0);
    assert_eq!(rig.queue.overview().await.unwrap().slots, 2);
    let cap = |cap| TenantSettings {
        cap: Some(cap),
        ..TenantSettings::default()
    };
    assert_eq!(rig.set("a", 2, cap(1)).await.0, 1);
    assert_eq!(rig.set("a", 1, cap(9)).await.0, 0);
    let tenants = ["a", "b"].map(TenantId::new);
    let known = rig.queue.revisions(&tenants).await.unwrap();
    assert_eq!(known, (Some(5), vec![Some(2), None]));
}

#[tokio::test]
async fn a_tenants_cap_and_pause_take_effect_at_once_and_are_taken_back() {
    let rig = Rig::start();
    for _ in 0..3 {
        rig.put("a").await;
    }
    let one = TenantSettings {
        cap: Some(1),
        ..TenantSettings::default()
    };
    rig.set("a", 1, one).await;
    rig.take().await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
    assert_eq!(rig.set("a", 2, TenantSettings::default()).await, (1, 1));
    rig.take().await;
    let paused = TenantSettings {
        paused: true,
        cap: Some(9),
        ..TenantSettings::default()
    };
    assert_eq!(rig.set("a", 3, paused).await, (1, 0));
    assert_eq!(rig.acquire().await.outcome, Acquired::Empty);
}

#[tokio::test]
async fn a_tenant_without_work_and_settings_is_forgotten_and_one_with_settings_is_not() {
    let rig = Rig::start();
    let weight = TenantSettings {
        weight: Some(3),
        ..TenantSettings::default()
    };
    rig.set("set", 1, weight).await;
    for tenant in ["plain", "set"] {
        rig.put(tenant).await;
        let holder = rig.take().await;
        rig.cancel(holder.id, "cancelled").await;
    }
    rig.sweep("").await;
    let ttl = async |tenant: &str| -> i64 {
        let key = rig.queue.keys().tenant(&TenantId::new(tenant));
        rig.raw(&redis::Cmd::pttl(key)).await
    };
    assert!(ttl("plain").await > 0);
    assert_eq!(ttl("set").await, -1);
    rig.put("plain").await;
    assert_eq!(ttl("plain").await, -1, "it is back");
}

#[tokio::test]
async fn another_priority_moves_a_waiting_job_and_takes_effect_on_the_next_acquire() {
    let rig = Rig::start();
    let first = rig.put("a").await;
    let last = rig.put("a").await;
    let answer = rig.reprioritise(last, Priority::High, "high by ops").await;
    assert_eq!((answer.outcome, answer.debt.ring), (Reprioritised::Ok, 1));
    assert_eq!(rig.job(first).await.position, Some(1));
    let seq = rig.job(last).await.job.seq;
    let again = rig.reprioritise(last, Priority::High, "again").await;
    assert_eq!(again.outcome, Reprioritised::Same);
    let job = rig.job(last).await.job;
    assert_eq!((job.priority, job.seq), (Priority::High, seq), "sent twice");
    assert_eq!(rig.take().await.id, last);
}

#[tokio::test]
async fn a_delayed_and_a_running_job_keep_their_new_priority_for_later() {
    let rig = Rig::start();
    let holder = rig.parked("a").await;
    rig.reprioritise(holder.id, Priority::High, "x").await;
    rig.put("a").await;
    rig.fail_now(&holder, &crate::rig::error(true)).await;
    assert_eq!(rig.job(holder.id).await.position, Some(0));
}

#[tokio::test]
async fn an_ended_or_unknown_job_has_no_other_priority() {
    let rig = Rig::start();
    let id = rig.ended("a", JobStatus::Completed).await;
    let status = JobStatus::Completed;
    let answer = rig.reprioritise(id, Priority::Low, "x").await.outcome;
    assert_eq!(answer, Reprioritised::Ended { status });
    let answer = rig.reprioritise(new_job("a").id, Priority::Low, "x").await;
    assert_eq!(answer.outcome, Reprioritised::Unknown);
}
