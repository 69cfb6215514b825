use reqwest::Client;

use super::*;
use crate::stand_ins::testing::{Inbox, serve};

async fn service(faults: Value) -> String {
    let base = serve(|_| router().unwrap()).await;
    let put = Client::new().put(format!("{base}/faults")).json(&faults);
    assert_eq!(put.send().await.unwrap().status(), 200);
    base
}

async fn post(base: &str, body: Value) -> reqwest::Response {
    let post = Client::new().post(format!("{base}/generate")).json(&body);
    post.header("x-request-id", "req-1").send().await.unwrap()
}

#[tokio::test]
async fn a_narrative_is_answered_with_a_plan() {
    let base = service(json!({})).await;
    let body = json!({"narrative": "a calm piano evening", "duration": 20, "options": {}});
    let plan: Value = post(&base, body).await.json().await.unwrap();
    assert_eq!(plan["title"], "Calm Piano Evening");
    assert!(plan["tempo"].is_number() && plan["sections"][0]["chords"].is_array());
    let health = reqwest::get(format!("{base}/health")).await.unwrap();
    assert_eq!(health.json::<Value>().await.unwrap()["service"], NAME);
}

#[tokio::test]
async fn in_callback_mode_the_plan_is_reported() {
    let mut inbox = Inbox::open(2).await;
    let base = service(json!({"mode": "callback"})).await;
    let body =
        json!({"narrative": "rain", "duration": 20, "jobId": "j1", "callback": inbox.callback()});
    let answer = post(&base, body).await;
    assert_eq!(answer.status(), 202);
    let report = inbox.next().await;
    assert_eq!(report.header("authorization"), "Bearer secret");
    assert_eq!(report.header("x-request-id"), "req-1");
    let report = report.json();
    assert_eq!(
        (&report["jobId"], &report["type"]),
        (&json!("j1"), &json!("completed"))
    );
    assert_eq!(report["payload"]["plan"]["title"], "Rain");
}

#[tokio::test]
async fn an_early_report_is_there_before_the_answer_and_may_come_twice() {
    let mut inbox = Inbox::open(0).await;
    let base = service(json!({"mode": "callback", "earlyReport": true, "reportTwice": true})).await;
    post(
        &base,
        json!({"narrative": "rain", "callback": inbox.callback()}),
    )
    .await;
    assert_eq!(inbox.waiting().len(), 2);
}

#[tokio::test]
async fn it_fails_is_busy_and_talks_nonsense_as_told() {
    let base = service(
        json!({"failTimes": 1, "failStatus": 502, "busyTimes": 1, "busyStatus": 429,
        "retryAfterSeconds": 7, "garbageTimes": 1}),
    )
    .await;
    let body = json!({"narrative": "rain", "duration": 10});
    assert_eq!(post(&base, body.clone()).await.status(), 502);
    let busy = post(&base, body.clone()).await;
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    let garbage = post(&base, body.clone()).await.bytes().await.unwrap();
    assert!(serde_json::from_slice::<Value>(&garbage).is_err());
    assert!(post(&base, body).await.json::<Value>().await.is_ok());
}

#[tokio::test]
async fn calls_are_noted_and_forgotten() {
    let base = service(json!({})).await;
    post(
        &base,
        json!({"narrative": "x".repeat(3_000), "jobId": "j1"}),
    )
    .await;
    post(&base, json!([1])).await;
    let calls = format!("{base}/calls");
    let noted: Value = reqwest::get(&calls).await.unwrap().json().await.unwrap();
    assert_eq!(
        (&noted[0]["jobId"], &noted[0]["requestId"]),
        (&json!("j1"), &json!("req-1"))
    );
    assert!(noted[0]["body"]["narrative"].as_str().unwrap().len() < 1_100);
    assert_eq!(noted[1]["path"], "/generate");
    Client::new().delete(&calls).send().await.unwrap();
    let noted: Value = reqwest::get(&calls).await.unwrap().json().await.unwrap();
    assert_eq!(noted, json!([]));
}

#[tokio::test]
async fn an_unknown_fault_is_refused() {
    let base = service(json!({})).await;
    let put = Client::new().put(format!("{base}/faults"));
    let answer = put.json(&json!({"renderSeconds": 1})).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let state: Value = reqwest::get(format!("{base}/faults"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(state["planSeconds"], 0.0);
}

#[tokio::test]
async fn by_chance_a_plan_is_refused_reported_failed_late_or_never() {
    let mut inbox = Inbox::open(0).await;
    let ask = json!({"narrative": "rain", "jobId": "j1", "callback": inbox.callback()});
    let base = service(json!({"failChance": 1})).await;
    assert_eq!(post(&base, ask.clone()).await.status(), 500);
    for (switches, kind) in [
        (json!({"reportFailedChance": 1}), "failed"),
        (json!({"lateChance": 1, "lateSeconds": 0.1}), "completed"),
    ] {
        let base = service(switches).await;
        assert_eq!(post(&base, ask.clone()).await.status(), 202);
        assert_eq!(inbox.next().await.kind(), kind);
    }
    let base = service(json!({"neverChance": 1})).await;
    assert_eq!(post(&base, ask).await.status(), 202);
    assert!(inbox.waiting().is_empty());
    // Who offers no callback is answered at once.
    assert_eq!(
        post(&base, json!({"narrative": "rain"})).await.status(),
        200
    );
    let calls: Value = reqwest::get(format!("{base}/calls"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(calls[0]["fate"], "never");
}
