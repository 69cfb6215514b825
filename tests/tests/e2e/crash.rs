//! Processes that die, and reports that come at the wrong moment.

use std::time::{Duration, Instant};

use local::{Signal, StackOptions};
use serde_json::json;

use crate::app::{App, Model, PATIENCE, at, ten_seconds};

fn tracks(app: &App, id: &str) -> usize {
    app.objects(id)
        .iter()
        .filter(|name| name.starts_with("track-"))
        .count()
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_the_audio_stage_costs_an_attempt_and_nothing_else() {
    let sweep_every = Duration::from_secs(5);
    let app = App::with(StackOptions {
        workers: 1,
        sweep_every,
        ..StackOptions::default()
    })
    .await;
    let render = Duration::from_secs(4);
    app.faults(
        Model::Muscgen,
        json!({"mode": "sync", "renderSeconds": render.as_secs()}),
    )
    .await;
    let id = app.submit(ten_seconds()).await;
    app.until(&id, PATIENCE, at("processing", "audio")).await;
    local::until(PATIENCE, async || {
        (app.calls(Model::Muscgen, &id).await.len() == 1).then_some(())
    })
    .await
    .unwrap();
    let killed = Instant::now();
    app.stack.kill("worker", 0, Signal::SIGKILL).unwrap();
    let job = app.until_completed(&id).await;
    let limit = shared::queue::LEASE + sweep_every + render + Duration::from_secs(5);
    assert!(
        killed.elapsed() <= limit,
        "{:?} of {limit:?}",
        killed.elapsed()
    );
    assert_eq!(job["attempt"], 2);
    assert_eq!(
        app.calls(Model::Jen1, &id).await.len(),
        1,
        "a finished stage is not repeated"
    );
    assert_eq!(tracks(&app, &id), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_report_before_the_park_or_twice_is_used_once() {
    let app = App::start().await;
    for switch in ["earlyReport", "reportTwice"] {
        app.faults(
            Model::Muscgen,
            json!({"mode": "callback", "renderSeconds": 0.3, switch: true}),
        )
        .await;
        let id = app.submit(ten_seconds()).await;
        let job = app.until_completed(&id).await;
        assert_eq!(job["attempt"], 1, "{switch}");
        assert_eq!(app.calls(Model::Muscgen, &id).await.len(), 1, "{switch}");
        assert_eq!(tracks(&app, &id), 1, "{switch}");
        let events = app.events(&id).await;
        let delivered = events.iter().filter(|e| e["reason"] == "delivered").count();
        let completed = events
            .iter()
            .filter(|e| e["event"] == "job:completed")
            .count();
        assert_eq!((delivered, completed), (1, 1), "{switch}: {events:#?}");
        app.faults(Model::Muscgen, json!({switch: false})).await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_report_after_the_lease_ran_out_is_used() {
    // The lease runs out after two seconds, the retry is busy elsewhere, and the late report brings the audio.
    let app = App::impatient().await;
    let late = json!({"mode": "callback", "renderSeconds": 0.3, "reportDelaySeconds": 5});
    app.faults(Model::Muscgen, late).await;
    let id = app.submit(ten_seconds()).await;
    app.until(&id, PATIENCE, |job| job["attempt"] == 2).await;
    app.faults(
        Model::Muscgen,
        json!({"busyTimes": 1000, "busyStatus": 503, "retryAfterSeconds": 60}),
    )
    .await;
    let job = app.until_completed(&id).await;
    assert!(job["attempt"].as_u64().unwrap() >= 2, "{job:#}");
    let keys: std::collections::BTreeSet<_> = app
        .calls(Model::Muscgen, &id)
        .await
        .iter()
        .map(|c| c["idempotencyKey"].to_string())
        .collect();
    assert_eq!(keys.len(), 1, "one render in all");
    assert_eq!(tracks(&app, &id), 1);
    app.stop().await;
}
