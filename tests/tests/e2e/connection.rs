//! Redis over TLS, Redis as a cluster, and a Redis that has stopped answering.

use std::time::{Duration, Instant};

use local::{RedisChoice, RedisKind, Signal, StackOptions};
use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{ALICE, App, ten_seconds};

/// What the contract leaves a caller to wait for a Redis that does not answer.
const PATIENCE: Duration = Duration::from_secs(6);

async fn over(kind: RedisKind) -> App {
    App::with(StackOptions {
        redis: RedisChoice::Kind(kind),
        sweep_every: Duration::from_secs(2),
        ..StackOptions::default()
    })
    .await
}

/// From the submission to the bytes of the track.
async fn a_job_is_composed(app: &App) {
    let id = app.submit(ten_seconds()).await;
    app.until_completed(&id).await;
    let audio = app.get(&format!("/jobs/{id}/audio"), ALICE).await;
    assert_eq!(audio.status(), StatusCode::OK);
    assert!(audio.bytes().await.unwrap().starts_with(b"RIFF"));
}

#[tokio::test]
async fn a_job_is_composed_over_tls_with_a_password_that_no_log_shows() {
    let app = over(RedisKind::Tls).await;
    a_job_is_composed(&app).await;
    let address = reqwest::Url::parse(app.stack.redis_url()).unwrap();
    // What follows the characters that an address escapes.
    let secret = address.password().unwrap().rsplit("%2F").next().unwrap();
    // No log when they cannot reach it, either.
    app.stack.redis().unwrap().stop().await;
    let refused = app.post("/jobs", ALICE, &ten_seconds()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let log = std::fs::read_to_string(app.stack.logs()).unwrap();
    assert!(log.contains("queue_unavailable") && !log.contains(secret));
    app.stop().await;
}

#[tokio::test]
async fn a_job_is_composed_with_a_cluster() {
    let app = over(RedisKind::Cluster).await;
    a_job_is_composed(&app).await;
    app.stop().await;
}

async fn silence_is_a_503_soon(kind: RedisKind) {
    let app = over(kind).await;
    let known = app.submit(ten_seconds()).await;
    app.until_completed(&known).await;

    let redis = app.stack.redis().unwrap();
    redis.signal(Signal::SIGSTOP).await.unwrap();
    // The first call has the old connection, the second has none. Redis is asked before anything is
    // stored, so neither leaves a job.
    for _ in 0..2 {
        let from = Instant::now();
        let refused = app.post("/jobs", ALICE, &ten_seconds()).await;
        let took = from.elapsed();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(took < PATIENCE, "{kind:?}: {took:?}");
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["code"], "queue_unavailable");
        assert_eq!(problem["jobId"], Value::Null, "{kind:?}");
    }

    redis.signal(Signal::SIGCONT).await.unwrap();
    let from = Instant::now();
    let id = app.submit(ten_seconds()).await;
    let took = from.elapsed();
    assert!(took < PATIENCE, "{kind:?}: {took:?}");
    app.until_completed(&id).await;
    app.stop().await;
}

#[tokio::test]
async fn a_redis_that_answers_nobody_is_a_503_soon_until_it_goes_on() {
    silence_is_a_503_soon(RedisKind::Plain).await;
}

#[tokio::test]
async fn a_cluster_that_answers_nobody_is_a_503_soon_over_tls() {
    silence_is_a_503_soon(RedisKind::TlsCluster).await;
}
