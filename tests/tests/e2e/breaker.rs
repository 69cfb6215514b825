//! A model service that is down: its breaker opens, the line waits, and no job pays for the outage.

use serde_json::{Value, json};

use crate::app::{App, Model, PATIENCE, ten_seconds};

#[tokio::test]
async fn jobs_outlast_a_muscgen_that_is_down_and_say_what_they_wait_for() {
    let app = App::start().await;
    app.faults(
        Model::Muscgen,
        json!({"failChance": 1, "mode": "sync", "renderSeconds": 0.1}),
    )
    .await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(app.submit(ten_seconds()).await);
    }
    for id in &ids {
        let waits =
            |job: &Value| job["waiting"]["code"] == "hold" && job["waiting"]["until"].is_string();
        let job = app.until(id, PATIENCE, waits).await;
        assert!(job["attempt"].as_u64().unwrap() <= 3, "{job:#}");
    }
    let overview = operator(&app).await;
    // Calls that were on their way as it opened count as well.
    let failures = overview["breakers"]["muscgen"]["failures"]
        .as_u64()
        .unwrap();
    assert!((5..=8).contains(&failures), "{overview:#}");
    assert!(overview["heldUntil"].is_string() && overview["running"] == 0);

    // A minute later one call tries the service, in vain; and it does so at nobody's cost.
    let attempts = async || {
        let mut all = Vec::new();
        for id in &ids {
            all.push(app.job(id).await["attempt"].clone());
        }
        all
    };
    let (before, calls) = (attempts().await, calls(&app, &ids).await);
    a_minute_passes(&app).await;
    local::until(PATIENCE, async || {
        (operator(&app).await["breakers"]["muscgen"]["failures"] == failures + 1).then_some(())
    })
    .await
    .expect("one call tries the service");
    assert_eq!(self::calls(&app, &ids).await, calls + 1);
    assert_eq!(attempts().await, before);

    app.faults(Model::Muscgen, json!({"failChance": 0})).await;
    a_minute_passes(&app).await;
    for id in &ids {
        app.until_completed(id).await;
    }
    assert_eq!(operator(&app).await["breakers"], json!({}));
    app.stop().await;
}

/// The breaker's minute is over, as far as Redis knows, and the sweep comes round.
async fn a_minute_passes(app: &App) {
    let _: u64 = app
        .redis(&["HSET", "{tutti}:breaker", "muscgen:until", "1"])
        .await;
    let _: u64 = app.redis(&["DEL", "{tutti}:hold"]).await;
    app.stack.sweep().await.unwrap();
}

async fn operator(app: &App) -> Value {
    let token = app.stack.token("admin", "operator").unwrap();
    let url = format!("{}/admin/overview", app.stack.api());
    let asked = app.http.get(url).bearer_auth(token).send().await;
    asked.unwrap().json().await.unwrap()
}

async fn calls(app: &App, ids: &[String]) -> usize {
    let mut all = 0;
    for id in ids {
        all += app.calls(Model::Muscgen, id).await.len();
    }
    all
}
