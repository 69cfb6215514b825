//! Without its limits and its truth nobody signs in, and nobody waits long to hear so.

use std::time::{Duration, Instant};

use local::{Artifacts, Signal, StackOptions};
use reqwest::Method;
use serde_json::Value;

use super::{PASSWORD, ask, login, refresh, refresh_token, session, user};
use crate::app::App;
use crate::doors::refused;

/// What a caller may be left to wait for a Redis that does not answer: two seconds, and more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(6);

#[tokio::test]
async fn without_redis_nobody_signs_in_and_the_answer_comes_soon() {
    let app = App::start().await;
    user(&app, "ann@example.com").await;
    let ann = session(login(&app, "ann@example.com", PASSWORD).await).await;
    let redis = app.stack.redis().unwrap();
    redis.signal(Signal::SIGSTOP).await.unwrap();
    for _ in 0..2 {
        let from = Instant::now();
        let answer = login(&app, "ann@example.com", PASSWORD).await;
        assert_eq!(answer.headers()["retry-after"], "2");
        refused(answer, 503, "queue_unavailable").await;
        assert!(from.elapsed() < PATIENCE, "{:?}", from.elapsed());
    }
    let answer = refresh(&app, refresh_token(&ann)).await;
    refused(answer, 503, "queue_unavailable").await;
    redis.signal(Signal::SIGCONT).await.unwrap();
    session(refresh(&app, refresh_token(&ann)).await).await;
    app.stop().await;
}

#[tokio::test]
async fn without_the_store_nobody_signs_in() {
    let app = App::with(StackOptions {
        artifacts: Artifacts::S3 {
            endpoint: "http://127.0.0.1:9".to_owned(),
            bucket: "b".to_owned(),
            prefix: "p".to_owned(),
        },
        ..StackOptions::default()
    })
    .await;
    let answer = login(&app, "ann@example.com", PASSWORD).await;
    refused(answer, 503, "store_unavailable").await;
    let answer = ask(&app, Method::GET, "/auth/users", Value::Null).await;
    refused(answer, 503, "store_unavailable").await;
    app.stop().await;
}
