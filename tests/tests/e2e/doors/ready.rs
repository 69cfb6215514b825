//! Whether the system lives, whether it is ready, how busy it is, and what can be composed with.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{held_by_the_model, quiet, refused, with_role, with_token};
use crate::app::{App, PATIENCE, ten_seconds};

#[tokio::test]
async fn the_system_says_how_it_is() {
    let app = App::with(quiet()).await;
    anybody_may_ask_whether_it_lives_and_what_it_can_do(&app).await;
    the_metrics_count_the_jobs(&app).await;
    only_an_admin_sees_the_dependencies(&app).await;
    a_sweep_that_does_not_come_is_noticed(&app).await;
    without_redis_it_lives_and_is_not_ready(&app).await;
    app.stop().await;
}

async fn anonymous(app: &App, path: &str) -> reqwest::Response {
    with_token(app, Method::GET, path, None)
        .send()
        .await
        .unwrap()
}

async fn anybody_may_ask_whether_it_lives_and_what_it_can_do(app: &App) {
    let health = anonymous(app, "/health").await;
    assert_eq!(health.status(), StatusCode::OK);
    assert_eq!(health.headers()["content-type"], "application/json");
    assert_eq!(
        health.json::<Value>().await.unwrap(),
        json!({"status": "ok"})
    );
    let can: Value = anonymous(app, "/compose").await.json().await.unwrap();
    assert_eq!(can["models"], json!({"jen1": {"maxSeconds": 300}}));
    assert_eq!(can["defaults"], json!({"model": "jen1", "duration": 30}));
    assert_eq!(can["limits"]["narrativeCharacters"], 4000);
    for (service, there) in [("jen1", true), ("muscgen", true), ("ollama", false)] {
        let service = &can["services"][service];
        assert_eq!(
            (&service["configured"], &service["available"]),
            (&json!(there), &json!(there))
        );
        assert!(service["checkedAt"].is_string());
    }
    let again: Value = anonymous(app, "/compose").await.json().await.unwrap();
    assert_eq!(again, can, "asking again is no new probe");
}

async fn metrics(app: &App) -> BTreeMap<String, f64> {
    let answer = with_role(app, Method::GET, "/metrics", "admin")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = answer.text().await.unwrap();
    assert!(text.ends_with('\n'));
    let mut figures = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once(' ').unwrap();
        let family = name.split('{').next().unwrap();
        let family = family.trim_end_matches("_sum").trim_end_matches("_count");
        assert!(text.contains(&format!("# TYPE {family} ")), "{name}");
        assert!(text.contains(&format!("# HELP {family} ")), "{name}");
        figures.insert(name.to_owned(), value.parse().unwrap());
    }
    figures
}

async fn the_metrics_count_the_jobs(app: &App) {
    let none = metrics(app).await;
    assert_eq!(
        (
            none["tutti_slots"],
            none["tutti_jobs_running"],
            none["tutti_jobs_completed"]
        ),
        (4.0, 0.0, 0.0)
    );
    let done = app.submit(ten_seconds()).await;
    app.until_completed(&done).await;
    held_by_the_model(app).await;
    let some = metrics(app).await;
    assert_eq!(
        (some["tutti_jobs_running"], some["tutti_jobs_completed"]),
        (1.0, 1.0)
    );
    assert_eq!(
        (some["tutti_jobs_queued"], some["tutti_jobs_failed"]),
        (0.0, 0.0)
    );
    let over = ["queue", "plan", "audio", "finish"].map(|stage| {
        let took = some[&format!("tutti_{stage}_seconds_sum")];
        (some[&format!("tutti_{stage}_seconds_count")], took < 60.0)
    });
    // The second job waited and was planned, and is being rendered.
    assert_eq!(over, [(2.0, true), (2.0, true), (1.0, true), (1.0, true)]);
    assert_eq!(some["tutti_jobs_ended{outcome=\"completed\"}"], 1.0);
    assert_eq!(some["tutti_breakers_open"], 0.0);
}

async fn only_an_admin_sees_the_dependencies(app: &App) {
    let answer = anonymous(app, "/health/ready").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"status": "ready"})
    );
    for role in ["user", "worker"] {
        let answer = with_role(app, Method::GET, "/health/ready", role)
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.json::<Value>().await.unwrap(),
            json!({"status": "ready"}),
            "{role}"
        );
    }
    let ready = app.health_page().await;
    let names: Vec<_> = ready["dependencies"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["jen1", "muscgen", "redis", "store"]);
    for (name, dependency) in ready["dependencies"].as_object().unwrap() {
        assert_eq!(dependency["up"], true, "{name}");
        assert!(dependency["latencyMs"].is_u64(), "{name}");
        assert_eq!(
            dependency["needed"],
            json!(["redis", "store"].contains(&name.as_str()))
        );
    }
    let functions = ready["functions"].as_object().unwrap();
    let names: Vec<_> = functions.keys().collect();
    assert_eq!(
        names,
        [
            "auth", "compose", "deliver", "health", "jobs", "live", "notify", "report", "sweep",
            "worker"
        ]
    );
    for (name, function) in functions {
        assert_eq!(function["up"], true, "{name}: {ready:#}");
        assert_eq!(function.get("reason"), None, "{name}");
        let asked = !["deliver", "notify", "sweep", "worker"].contains(&name.as_str());
        assert_eq!(function["latencyMs"].is_u64(), asked, "{name}");
    }
    assert!(functions["sweep"]["lastRoundAt"].is_string());
}

async fn a_sweep_that_does_not_come_is_noticed(app: &App) {
    assert!(metrics(app).await["tutti_sweep_age_seconds"] < 180.0);
    let long_ago = chrono::Utc::now() - chrono::TimeDelta::minutes(4);
    let ms = long_ago.timestamp_millis().to_string();
    let clock = format!("{{{}}}:clock", app.stack.partition());
    app.redis::<()>(&["HSET", &clock, "swept_ms", &ms]).await;
    assert!(metrics(app).await["tutti_sweep_age_seconds"] >= 240.0);
    let page = app
        .page_until(|page| page["functions"]["sweep"]["up"] == false)
        .await;
    let sweep = &page["functions"]["sweep"];
    assert_eq!(sweep["reason"], "no round");
    let at = sweep["lastRoundAt"].as_str().unwrap();
    let at: chrono::DateTime<chrono::Utc> = at.parse().unwrap();
    assert_eq!(at.timestamp_millis(), long_ago.timestamp_millis());
    assert_eq!(page["status"], "ready", "no job is refused for that");
    app.stack.sweep().await.unwrap();
    app.page_until(|page| page["functions"]["sweep"]["up"] == true)
        .await;
}

async fn without_redis_it_lives_and_is_not_ready(app: &App) {
    app.stack.redis().unwrap().stop().await;
    let down = local::until(PATIENCE, async || {
        Some(anonymous(app, "/health/ready").await)
            .filter(|answer| answer.status() != StatusCode::OK)
    });
    let down = down.await.expect("it notices when its last look is old");
    assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(down.headers()["retry-after"], "5");
    assert_eq!(
        down.json::<Value>().await.unwrap(),
        json!({"status": "unavailable"})
    );
    // That the connection broke off, or that a new one was refused.
    let words = [json!("connection lost"), json!("refused")];
    let refused_us = |page: &Value| words.contains(&page["dependencies"]["redis"]["reason"]);
    // The functions of the page may have been asked for just before.
    let all_at_once = |page: &Value| refused_us(page) && page["functions"].get("deliver").is_none();
    let ready = app.page_until(all_at_once).await;
    let redis = &ready["dependencies"]["redis"];
    assert_eq!(redis["up"], false);
    assert!(redis["lastUpAt"].is_string());
    assert!(!ready.to_string().contains("127.0.0.1"), "{ready:#}");
    for name in ["deliver", "notify", "sweep", "worker"] {
        let nothing = ready["functions"].get(name);
        assert_eq!(nothing, None, "nobody knows");
    }
    assert_eq!(ready["functions"]["jobs"]["up"], true);
    assert_eq!(ready["dependencies"]["store"]["up"], true);
    let metrics = with_role(app, Method::GET, "/metrics", "admin")
        .send()
        .await
        .unwrap();
    refused(metrics, 503, "queue_unavailable").await;
    assert_eq!(anonymous(app, "/health").await.status(), StatusCode::OK);

    app.stack.redis().unwrap().restart().await.unwrap();
    local::until(PATIENCE, async || {
        (anonymous(app, "/health/ready").await.status() == StatusCode::OK).then_some(())
    })
    .await
    .expect("it is ready again");
}
