//! Redis comes back as it was some time ago: what it forgot is put back, and what it believes wrongly is put right.

use std::time::Duration;

use local::StackOptions;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, PATIENCE, ended, ten_seconds};

async fn admin(app: &App, path: &str, body: Value) {
    let token = app.stack.token("admin", "ops").unwrap();
    let url = format!("{}/admin/{path}", app.stack.api());
    let answer = app
        .http
        .request(Method::POST, url)
        .bearer_auth(token)
        .json(&body);
    let answer = answer.send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
}

#[tokio::test]
async fn a_redis_that_was_rolled_back_loses_no_job_and_runs_no_finished_one_again() {
    let app = App::with(StackOptions {
        sweep_every: Duration::from_secs(2),
        ..StackOptions::default()
    })
    .await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
    admin(&app, "queue/pause", json!({})).await;
    let mut done = Vec::new();
    for _ in 0..3 {
        done.push(app.submit(ten_seconds()).await);
    }
    let cancelled = app.submit(ten_seconds()).await;
    let _: String = app.redis(&["SAVE"]).await;

    // All of this Redis forgets.
    let path = format!("/jobs/{cancelled}/cancel");
    let answer = app
        .request(Method::POST, &path, ALICE)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
    admin(&app, "queue/resume", json!({})).await;
    for id in &done {
        app.until_completed(id).await;
        let settled = local::until(PATIENCE, async || (!app.is_open(id)).then_some(()));
        settled.await.expect("settled");
    }
    admin(&app, "queue/pause", json!({})).await;
    let after = app.submit(ten_seconds()).await;
    let low = app
        .submit(json!({"narrative": "later", "duration": 10, "priority": "low"}))
        .await;
    admin(
        &app,
        &format!("jobs/{low}/priority"),
        json!({"priority": "high"}),
    )
    .await;
    admin(&app, "queue/resume", json!({})).await;
    // Whatever runs now is in the middle of it.
    app.stack.redis().unwrap().restart().await.unwrap();

    for id in done.iter().chain([&after, &low]) {
        let job = app.until(id, PATIENCE, ended).await;
        assert_eq!(job["status"], "completed", "{job:#}");
        let renders = app.calls(Model::Muscgen, id).await;
        let mut keys: Vec<_> = renders.iter().map(|call| &call["idempotencyKey"]).collect();
        keys.dedup();
        assert_eq!(keys.len(), 1, "one render of {id}: {renders:#?}");
    }
    for id in &done {
        assert_eq!(
            app.calls(Model::Muscgen, id).await.len(),
            1,
            "{id} ran once"
        );
    }
    let job = app.until(&cancelled, PATIENCE, ended).await;
    assert_eq!(job["status"], "cancelled", "{job:#}");
    assert!(app.calls(Model::Jen1, &cancelled).await.is_empty());
    assert_eq!(app.job(&low).await["priority"], "high");
    app.stop().await;
}
