//! What is on record of an act that changed something, changed nothing, was refused, or was cut
//! short.

use std::path::PathBuf;

use super::*;
use crate::config::Config;

/// Clients over a folder of their own, removed with them; no Redis.
struct Place {
    clients: Clients,
    dir: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("audit-{}", Uuid::now_v7()));
        let artifacts = format!("file://{}", dir.display());
        let read = |name: &str| match name {
            "REDIS_URL" => Some("redis://127.0.0.1:1".to_owned()),
            "ARTIFACTS_URL" => Some(artifacts.clone()),
            "JWT_SECRET" => Some("a-secret-of-more-than-thirty-two-bytes".to_owned()),
            _ => None,
        };
        let clients = Clients::new(Config::read(read).unwrap()).unwrap();
        Self { clients, dir }
    }

    async fn act(&self, change: Result<Effect<u8>, Problem>) -> Result<u8, Problem> {
        let act = Act::new("queue.pause", "queue", Value::Null, Value::Null);
        let change = async { change };
        operator("ops").act(&self.clients, act, change).await
    }

    async fn entries(&self) -> Vec<(String, Outcome)> {
        let page = self.clients.store.audit_page::<Entry>(None, 100).await;
        let entries = page.unwrap().into_iter().map(|(_, entry)| entry);
        entries.map(|entry| (entry.action, entry.outcome)).collect()
    }

    async fn intents(&self) -> Vec<Entry> {
        self.clients.store.intents(100).await.unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn operator(who: &str) -> Operator {
    Operator {
        who: who.to_owned(),
        request_id: "a-request".to_owned(),
    }
}

fn paused(outcome: Outcome) -> Vec<(String, Outcome)> {
    vec![("queue.pause".to_owned(), outcome)]
}

#[tokio::test]
async fn an_act_leaves_one_entry_if_it_changed_something_and_none_if_not() {
    let place = Place::new();
    assert_eq!(place.act(Ok(Effect::Unchanged(1))).await.unwrap(), 1);
    let refusal = || Problem::conflict("already_ended", "the job is completed");
    assert!(place.act(Err(refusal())).await.is_err());
    assert_eq!(
        (place.entries().await, place.intents().await),
        (vec![], vec![])
    );
    assert_eq!(place.act(Ok(Effect::Changed(2))).await.unwrap(), 2);
    assert_eq!(place.entries().await, paused(Outcome::Done));
    assert_eq!(place.intents().await, []);
}

#[tokio::test]
async fn nothing_is_done_that_cannot_be_put_on_record() {
    let place = Place::new();
    std::fs::write(place.dir.join("intents"), "in the way").unwrap();
    let act = Act::new("queue.pause", "queue", Value::Null, Value::Null);
    let change = async { panic!("it was done") };
    let refused = operator("ops").act::<()>(&place.clients, act, change).await;
    assert_eq!(refused.unwrap_err().code(), "store_unavailable");
}

#[tokio::test]
async fn an_act_that_nobody_told_the_end_of_is_on_record_after_two_minutes() {
    let place = Place::new();
    let lost = Problem::unavailable("queue_unavailable", "gone", Duration::from_secs(1));
    assert!(place.act(Err(lost)).await.is_err());
    assert_eq!(
        keep_abandoned(&place.clients).await.unwrap(),
        0,
        "it may live"
    );
    let mut intents = place.intents().await;
    let mut old = intents.remove(0);
    old.at -= TimeDelta::minutes(3);
    place.clients.store.put_intent(old.id, &old).await.unwrap();
    std::fs::write(place.dir.join("intents/0.json"), "{").unwrap();
    assert_eq!(keep_abandoned(&place.clients).await.unwrap(), 1);
    assert_eq!(keep_abandoned(&place.clients).await.unwrap(), 0);
    assert_eq!(place.entries().await, paused(Outcome::Unknown));
}

#[tokio::test]
async fn a_process_that_comes_back_late_does_not_write_a_second_entry() {
    let place = Place::new();
    let act = Act::new("queue.pause", "queue", Value::Null, Value::Null);
    let change = async {
        // The sweep takes it for abandoned meanwhile.
        let mut entry = place.intents().await.remove(0);
        entry.outcome = Outcome::Unknown;
        keep(&place.clients, &entry).await.unwrap();
        Ok(Effect::Changed(()))
    };
    operator("ops")
        .act(&place.clients, act, change)
        .await
        .unwrap();
    assert_eq!(place.entries().await, paused(Outcome::Unknown));
    assert_eq!(place.intents().await, []);
}

#[tokio::test]
async fn a_look_is_on_record_once_an_hour_for_each_who_looks_and_each_thing() {
    let place = Place::new();
    let look = async |who: &str, action, target: &str| {
        operator(who)
            .look(&place.clients, action, target)
            .await
            .unwrap();
    };
    let before = Utc::now().duration_trunc(TimeDelta::hours(1)).unwrap();
    for _ in 0..3 {
        look("ann", "job.read", "1").await;
    }
    let kept = place.entries().await.len();
    let same_hour = Utc::now().duration_trunc(TimeDelta::hours(1)).unwrap() == before;
    assert!(kept == 1 || !same_hour, "{kept}");
    look("ann", "job.read", "2").await;
    look("ann", "job.audio", "1").await;
    look("bob", "job.read", "1").await;
    assert_eq!(place.entries().await.len(), kept + 3);
}
