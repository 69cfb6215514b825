//! A Redis that is there and does not take all it is asked for: full, or a replica.

use std::time::Duration;

use local::StackOptions;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{ALICE, App, PATIENCE, ten_seconds};

#[tokio::test]
async fn a_full_redis_refuses_new_work_alone_and_a_replica_is_not_ready() {
    let app = App::with(StackOptions {
        sweep_every: Duration::from_secs(1),
        ..StackOptions::default()
    })
    .await;
    let before = app.submit(ten_seconds()).await;
    let _: String = app.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    app.until_completed(&before).await;
    everything_is_read(&app, &before).await;
    the_sweep_ends_its_rounds(&app).await;
    new_work_is_refused(&app).await;
    is_down(&app, "full").await;

    let _: String = app.redis(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let after = app.submit(ten_seconds()).await;
    app.until_completed(&after).await;

    let _: String = app.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    is_down(&app, "read only").await;
    let _: String = app.redis(&["REPLICAOF", "NO", "ONE"]).await;
    let up = async || (redis(&app).await["up"] == json!(true)).then_some(());
    local::until(PATIENCE, up).await.expect("it is up again");

    let evict = ["CONFIG", "SET", "maxmemory-policy", "volatile-lru"];
    let _: String = app.redis(&evict).await;
    let warned = async || (redis(&app).await["warning"] == "evicts keys").then_some(());
    local::until(PATIENCE, warned).await.expect("a warning");
    app.stop().await;
}

async fn everything_is_read(app: &App, id: &str) {
    for path in [
        "/jobs".to_owned(),
        "/jobs?tag=x&status=failed".to_owned(),
        format!("/jobs/{id}"),
        format!("/jobs/{id}?wait=1"),
        format!("/jobs/{id}/events"),
        format!("/jobs/{id}/deliveries"),
    ] {
        let answer = app.get(&path, ALICE).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let ticket = app.post("/auth/ticket", ALICE, &json!({})).await;
    assert!(ticket.status().is_success(), "{}", ticket.status());
    let admin = app.stack.token("admin", "admin").unwrap();
    for path in ["/admin/jobs", "/admin/dead", "/admin/overview", "/metrics"] {
        let url = format!("{}{path}", app.stack.api());
        let answer = app.http.request(Method::GET, url).bearer_auth(&admin);
        assert_eq!(
            answer.send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
}

async fn the_sweep_ends_its_rounds(app: &App) {
    let last = async || -> Option<i64> { app.redis(&["HGET", "{tutti}:clock", "swept_ms"]).await };
    let before = last().await;
    let later = async || (last().await > before).then_some(());
    local::until(PATIENCE, later).await.expect("a round");
}

async fn new_work_is_refused(app: &App) {
    let refused = app.post("/jobs", ALICE, &ten_seconds()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "queue_unavailable");
}

async fn redis(app: &App) -> Value {
    app.health_page().await["dependencies"]["redis"].clone()
}

async fn is_down(app: &App, reason: &str) {
    let known = async || (redis(app).await["reason"] == reason).then_some(());
    local::until(PATIENCE, known).await.expect(reason);
    let url = format!("{}/health/ready", app.stack.api());
    let ready = app.http.get(url).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
}
