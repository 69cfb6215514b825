//! Something is dead for 20 seconds, under load: the health page says what, and all goes on afterwards though nobody lifts a hand.

mod load;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use local::{Moto, RedisChoice, StackOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, PATIENCE, ten_seconds};
use load::Load;

/// How long it is dead: killed, and kept from coming back.
const DEAD: Duration = Duration::from_secs(20);

const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// As `local/up` starts it, but for the ports and the pace of the sweep.
fn options() -> StackOptions {
    StackOptions {
        redis: RedisChoice::Own { durable: true },
        sweep_every: SWEEP_EVERY,
        ..StackOptions::default()
    }
}

/// A system under load.
async fn under_load(options: StackOptions) -> (App, Load, tokio::task::JoinSet<()>) {
    let app = App::with(options).await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.5}))
        .await;
    let (load, callers) = Load::start(&app);
    load.goes_on(2).await;
    (app, load, callers)
}

/// What was down is said while it is down.
async fn said_meanwhile(app: &App, from: Instant, said: impl FnMut(&Value) -> bool) -> Value {
    let page = app.page_until(said).await;
    assert!(
        from.elapsed() < DEAD,
        "after {:?}: {page:#}",
        from.elapsed()
    );
    page
}

/// Its last round is longer ago than five of its rounds take: what it shows long before it is called down.
fn is_late(sweep: &Value) -> bool {
    let at: Option<DateTime<Utc>> = sweep["lastRoundAt"].as_str().and_then(|at| at.parse().ok());
    at.is_some_and(|at| (Utc::now() - at).to_std().unwrap_or_default() > 5 * SWEEP_EVERY)
}

/// All processes of these names run.
async fn are_back(app: &App, names: &[&str]) {
    let run = |name: &&str| app.stack.pids(name).iter().all(Option::is_some);
    let back = local::until(DEAD + PATIENCE, async || {
        names.iter().all(run).then_some(())
    });
    back.await.expect("they are started again");
}

fn is_well(page: &Value) -> bool {
    let all_up = |part: &Value| {
        part.as_object()
            .unwrap()
            .values()
            .all(|one| one["up"] == true)
    };
    let known = page["functions"].as_object().unwrap().len();
    page["status"] == "ready"
        && all_up(&page["dependencies"])
        && all_up(&page["functions"])
        && known == 10
}

/// The page is well, new jobs end, and every job that was accepted was run once to its end.
async fn all_is_well_again(app: App, load: Load, callers: tokio::task::JoinSet<()>) {
    app.page_until(is_well).await;
    load.goes_on(3).await;
    let accepted = load.stop(callers).await;
    for id in &accepted {
        let job = app.job(id).await;
        assert_eq!(job["status"], "completed", "{job:#}");
        let objects = app.objects(id);
        let tracks = objects.iter().filter(|name| name.starts_with("track-"));
        assert_eq!(tracks.count(), 1, "{id}: {objects:?}");
        let events = app.events(id).await;
        let ends = events.iter().filter(|e| e["event"] == "job:completed");
        assert_eq!(ends.count(), 1, "{id}: {events:#?}");
        let calls = app.calls(Model::Muscgen, id).await;
        let renders: BTreeSet<_> = calls
            .iter()
            .map(|call| call["idempotencyKey"].to_string())
            .collect();
        assert_eq!(renders.len(), 1, "one render in all: {calls:#?}");
    }
    let once: BTreeSet<_> = accepted.iter().collect();
    assert_eq!(once.len(), accepted.len(), "one job for each order");
    app.page_until(is_well).await;
    app.stop().await;
}

#[tokio::test]
async fn functions_that_are_dead_for_20_seconds_are_named_and_come_back() {
    let (app, load, callers) = under_load(options()).await;
    let mut feed = app.listen(ALICE).await;
    feed.say(&json!({"action": "jobs:subscribe:user"})).await;
    while feed.next(PATIENCE).await["event"] != "subscribed:user" {}
    let victims = ["report", "health", "auth", "live", "notify", "sweep"];
    let from = Instant::now();
    for name in victims {
        app.stack.hold_down(name, DEAD).unwrap();
    }
    // Its events are news that `notify` does not tell.
    let unheard = app.submit(ten_seconds()).await;
    let mut named = BTreeSet::new();
    let page = said_meanwhile(&app, from, |page| {
        let functions = &page["functions"];
        named.extend(victims.into_iter().filter(|name| {
            let reason = functions[*name]["reason"].as_str();
            match *name {
                "sweep" => is_late(&functions["sweep"]),
                "notify" => reason == Some("notices wait"),
                _ => reason == Some("timeout"),
            }
        }));
        named.len() == victims.len()
    })
    .await;
    assert_eq!(page["status"], "ready", "jobs are accepted all the same");
    are_back(&app, &victims).await;
    let mut fresh = app.listen(ALICE).await;
    let job = app.submit(ten_seconds()).await;
    fresh.subscribe(&job, 0).await;
    let heard = fresh.until_ended(&job).await;
    app.until_completed(&unheard).await;
    assert_eq!(heard.last().unwrap()["status"], "completed");
    all_is_well_again(app, load, callers).await;
}

#[tokio::test]
async fn the_doors_of_jobs_dead_for_20_seconds_are_named_and_open_again() {
    let (app, load, callers) = under_load(options()).await;
    let victims = ["compose", "jobs"];
    let from = Instant::now();
    for name in victims {
        app.stack.hold_down(name, DEAD).unwrap();
    }
    let page = said_meanwhile(&app, from, |page| {
        let functions = &page["functions"];
        victims.iter().all(|name| functions[*name]["up"] == false)
    })
    .await;
    for name in victims {
        assert_eq!(page["functions"][name]["reason"], "timeout", "{page:#}");
    }
    are_back(&app, &victims).await;
    all_is_well_again(app, load, callers).await;
}

#[tokio::test]
async fn workers_that_are_dead_for_20_seconds_are_missed_and_lose_no_job() {
    let (app, load, callers) = under_load(options()).await;
    let from = Instant::now();
    app.stack.hold_down("worker", DEAD).unwrap();
    let page = said_meanwhile(&app, from, |page| {
        page["functions"]["worker"]["up"] == false
    })
    .await;
    assert_eq!(page["functions"]["worker"]["reason"], "jobs wait");
    are_back(&app, &["worker"]).await;
    all_is_well_again(app, load, callers).await;
}

#[tokio::test]
async fn an_admin_that_is_dead_for_20_seconds_shows_its_page_again() {
    let (app, load, callers) = under_load(options()).await;
    app.page_until(is_well).await;
    let from = Instant::now();
    app.stack.hold_down("admin", DEAD).unwrap();
    assert_eq!(app.try_health_page().await, None);
    load.goes_on(2).await;
    assert!(from.elapsed() < DEAD, "nobody else needs it");
    are_back(&app, &["admin"]).await;
    all_is_well_again(app, load, callers).await;
}

#[tokio::test]
async fn a_redis_that_is_dead_for_20_seconds_is_named_and_nothing_is_lost() {
    let (app, load, callers) = under_load(options()).await;
    let from = Instant::now();
    app.stack.redis().unwrap().hold_down(DEAD).await.unwrap();
    let page = said_meanwhile(&app, from, |page| {
        page["dependencies"]["redis"]["reason"] == "refused"
    })
    .await;
    assert_eq!(page["status"], "unavailable");
    all_is_well_again(app, load, callers).await;
}

#[tokio::test]
async fn an_sqs_that_is_dead_for_20_seconds_is_named_and_its_bells_are_rung_again() {
    let moto = Moto::start().await.expect("moto starts");
    let options = StackOptions {
        bells: moto.bells(),
        ..options()
    };
    let (app, load, callers) = under_load(options).await;
    let from = Instant::now();
    moto.hold_down(DEAD);
    let page = said_meanwhile(&app, from, |page| {
        let dependencies = &page["dependencies"];
        // A look that was under way when it died loses its connection.
        let down = |name: &&str| dependencies[*name]["reason"] == "refused";
        ["queue", "notices"].iter().all(down)
    })
    .await;
    assert_eq!(page["status"], "ready", "jobs are accepted all the same");
    let job = app.submit(ten_seconds()).await;
    assert!(from.elapsed() < DEAD);
    app.until_completed(&job).await;
    let said = app.get(&format!("/jobs/{job}/audio"), ALICE).await;
    assert_eq!(said.status(), StatusCode::OK);
    all_is_well_again(app, load, callers).await;
    moto.stop().await;
}
