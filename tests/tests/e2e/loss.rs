//! Redis emptied, and Redis gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use local::{Signal, StackOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, PATIENCE, at, ended, ten_seconds};

const WORKERS: usize = 6;

#[tokio::test]
async fn an_emptied_redis_loses_no_job_and_runs_no_finished_one_again() {
    let sweep_every = Duration::from_secs(2);
    let app = App::with(StackOptions {
        sweep_every,
        workers: WORKERS,
        ..StackOptions::default()
    })
    .await;
    // Three have ended; of four slots three render and one plans; the rest wait.
    let mut finished = BTreeMap::new();
    for _ in 0..3 {
        let (id, job) = app
            .compose(json!({"mode": "callback", "renderSeconds": 0.3}))
            .await;
        let settled = local::until(PATIENCE, async || (!app.is_open(&id)).then_some(()));
        settled.await.expect("settled");
        finished.insert(id, job["track"]["sha256"].clone());
    }
    let mut ids: Vec<String> = finished.keys().cloned().collect();
    for seconds in [4, 8, 8] {
        app.faults(Model::Muscgen, json!({"renderSeconds": seconds}))
            .await;
        let id = app.submit(ten_seconds()).await;
        app.until(&id, PATIENCE, at("processing", "audio")).await;
        ids.push(id);
    }
    app.faults(Model::Jen1, json!({"planSeconds": 2})).await;
    for _ in 0..4 {
        ids.push(app.submit(ten_seconds()).await);
    }
    app.until(&ids[6], PATIENCE, at("processing", "plan")).await;
    // With every worker frozen, the first render is delivered and nobody comes to finish it.
    for index in 0..WORKERS {
        app.stack.kill("worker", index, Signal::SIGSTOP).unwrap();
    }
    app.until(&ids[3], PATIENCE, at("processing", "finish"))
        .await;
    let mut stages = Vec::new();
    for id in &ids {
        let job = app.job(id).await;
        stages.push(format!(
            "{}/{}",
            job["status"].as_str().unwrap(),
            job["stage"].as_str().unwrap()
        ));
    }
    let expected = [
        ["completed/finish"; 3].as_slice(),
        &["processing/finish", "processing/audio", "processing/audio"],
        &[
            "processing/plan",
            "queued/plan",
            "queued/plan",
            "queued/plan",
        ],
    ];
    assert_eq!(stages, expected.concat());

    app.redis::<()>(&["FLUSHALL"]).await;
    let emptied = Instant::now();
    for index in 0..WORKERS {
        app.stack.kill("worker", index, Signal::SIGCONT).unwrap();
    }
    for id in &ids {
        app.until_completed(id).await;
    }
    assert!(
        emptied.elapsed() < Duration::from_secs(60),
        "{:?}",
        emptied.elapsed()
    );
    for (id, sha256) in &finished {
        assert_eq!(app.job(id).await["track"]["sha256"], *sha256);
        assert_eq!(
            app.calls(Model::Muscgen, id).await.len(),
            1,
            "a finished job is not run again"
        );
    }
    // What was delivered, or still renders, is not asked for under another name: no GPU second is spent twice.
    for id in &ids[3..6] {
        let calls = app.calls(Model::Muscgen, id).await;
        assert!(
            calls
                .iter()
                .all(|call| call["idempotencyKey"] == calls[0]["idempotencyKey"])
        );
    }
    assert_eq!(app.calls(Model::Muscgen, &ids[3]).await.len(), 1);
    for id in &ids {
        let names = app.objects(id);
        assert_eq!(
            names.iter().filter(|n| n.starts_with("track-")).count(),
            1,
            "{names:?}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn without_redis_callers_get_a_quick_503_and_then_all_is_well_again() {
    let app = App::start().await;
    let id = app.submit(ten_seconds()).await;
    app.until_completed(&id).await;
    app.stack.redis().unwrap().stop().await;

    let mut unknown = Vec::new();
    for (method, path) in [
        (Method::POST, "/jobs"),
        (Method::POST, "/jobs"),
        (Method::POST, "/compose"),
        (Method::GET, "/jobs"),
        (Method::GET, "/jobs/{id}"),
    ] {
        let from = Instant::now();
        let request = app.request(method.clone(), &path.replace("{id}", &id), ALICE);
        let request = if method == Method::POST {
            request.json(&ten_seconds())
        } else {
            request
        };
        let response = request.send().await.unwrap();
        assert!(
            from.elapsed() < Duration::from_secs(6),
            "{method} {path} took {:?}",
            from.elapsed()
        );
        assert_eq!(
            response.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{method} {path}"
        );
        assert!(
            response.headers().contains_key("retry-after"),
            "{method} {path}"
        );
        let problem: Value = response.json().await.unwrap();
        assert_eq!(
            (&problem["code"], &problem["retryable"]),
            (&json!("queue_unavailable"), &json!(true))
        );
        unknown.extend(problem["jobId"].as_str().map(str::to_owned));
    }
    // What Redis never heard of is not kept; what it may have heard of is named in the answer, and runs.
    let open = app.stack.folder().join("artifacts/open");
    let kept: Vec<_> = std::fs::read_dir(open)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(kept, unknown);

    app.stack.redis().unwrap().restart().await.unwrap();
    let again = app.submit(ten_seconds()).await;
    for id in unknown.iter().chain([&again]) {
        app.until_completed(id).await;
    }
    assert!(
        unknown.len() < 4,
        "a Redis that is known to be gone is known not to have heard"
    );
    assert!(
        ended(&app.job(&id).await),
        "the first job is read from its manifest"
    );
    app.stop().await;
}
