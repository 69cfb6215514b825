//! Models that fail, are gone, or deliver what nobody wants to hear.

use local::StackOptions;
use serde_json::{Value, json};

use crate::app::{App, Model, PATIENCE, ended, ten_seconds};

/// Milliseconds between the failure of each attempt and the start of the next.
fn pauses(events: &[Value]) -> Vec<i64> {
    let at = |event: &Value| {
        event["at"]
            .as_str()
            .unwrap()
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
    };
    let mut pauses = Vec::new();
    let mut failed = None;
    for event in events {
        if event["event"] == "job:error" {
            failed = Some(at(event));
        } else if event["reason"] == "acquired"
            && let Some(failed) = failed.take()
        {
            pauses.push((at(event) - failed).num_milliseconds());
        }
    }
    pauses
}

#[tokio::test]
async fn jen1_failing_twice_then_well_completes_at_the_third_attempt_after_growing_delays() {
    let app = App::start().await;
    app.faults(Model::Jen1, json!({"failTimes": 2})).await;
    let (id, job) = app.compose(json!({"renderSeconds": 0.2})).await;
    assert_eq!(job["attempt"], 3);
    assert!(job["error"].is_null(), "{:#}", job["error"]);
    let pauses = pauses(&app.events(&id).await);
    let [first, second] = pauses[..] else {
        panic!("{pauses:?}")
    };
    assert!((1_000..3_500).contains(&first), "{pauses:?}");
    assert!((2_000..5_500).contains(&second), "{pauses:?}");
    assert_eq!(app.calls(Model::Jen1, &id).await.len(), 3);
    app.stop().await;
}

#[tokio::test]
async fn a_jen1_that_is_gone_fails_the_job_with_a_clear_code_after_its_attempts() {
    let nobody = local::free_port().unwrap();
    let jen1_url = Some(format!("http://127.0.0.1:{nobody}"));
    let app = App::with(StackOptions {
        jen1_url,
        ..StackOptions::default()
    })
    .await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_ended(&id).await;
    assert_eq!(
        (&job["status"], &job["attempt"], &job["maxAttempts"]),
        (&json!("failed"), &json!(3), &json!(3))
    );
    assert_eq!(
        (&job["error"]["code"], &job["error"]["stage"]),
        (&json!("jen1_unavailable"), &json!("plan"))
    );
    assert!(
        !job["error"]["message"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1"),
        "{job:#}"
    );
    local::until(PATIENCE, async || (!app.is_open(&id)).then_some(()))
        .await
        .expect("the job is settled");
    app.stop().await;
}

#[tokio::test]
async fn silent_audio_is_played_again_with_another_seed() {
    let app = App::start().await;
    let (id, job) = app
        .compose(json!({"silentTimes": 1, "renderSeconds": 0.2}))
        .await;
    assert_eq!(job["attempt"], 2);
    let calls = app.calls(Model::Muscgen, &id).await;
    let seeds: Vec<_> = calls
        .iter()
        .map(|call| call["body"]["seed"].clone())
        .collect();
    assert_eq!(seeds.len(), 2);
    assert_ne!(seeds[0], seeds[1]);
    assert_eq!(job["seed"], seeds[1]);
    let refused = app
        .events(&id)
        .await
        .into_iter()
        .find(|e| e["event"] == "job:error")
        .unwrap();
    assert_eq!(refused["error"]["code"], "audio_silent");
    let kept = app.objects(&id);
    let tracks: Vec<_> = kept
        .iter()
        .filter(|name| name.starts_with("track-"))
        .collect();
    assert_eq!(tracks.len(), 1, "what was refused is no track: {kept:?}");
    assert_eq!(
        app.calls(Model::Jen1, &id).await.len(),
        1,
        "the plan is kept"
    );
    app.stop().await;
}

/// A planner that knows the key of a request may answer again what it answered before.
#[tokio::test]
async fn a_plan_that_could_not_be_used_is_asked_for_under_another_key() {
    let app = App::start().await;
    app.faults(Model::Jen1, json!({"garbageTimes": 1})).await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 2);
    let calls = app.calls(Model::Jen1, &id).await;
    let keys: Vec<_> = calls.iter().map(|call| &call["idempotencyKey"]).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    app.stop().await;
}

#[tokio::test]
async fn a_seed_that_the_caller_fixed_is_kept_whatever_it_sounds_like() {
    let app = App::start().await;
    app.faults(
        Model::Muscgen,
        json!({"silentTimes": 9, "renderSeconds": 0.2, "mode": "sync"}),
    )
    .await;
    let mut body = ten_seconds();
    body["seed"] = json!(7);
    let id = app.submit(body).await;
    let job = app.until_ended(&id).await;
    assert_eq!(
        (&job["status"], &job["error"]["code"], &job["seed"]),
        (&json!("failed"), &json!("audio_silent"), &json!(7))
    );
    for call in app.calls(Model::Muscgen, &id).await {
        assert_eq!(call["body"]["seed"], 7);
    }
    app.stop().await;
}

#[tokio::test]
async fn short_and_undecodable_audio_are_refused_attempts() {
    let app = App::start().await;
    for (switch, code) in [
        ("shortTimes", "audio_too_short"),
        ("garbageTimes", "audio_undecodable"),
    ] {
        app.faults(Model::Muscgen, json!({switch: 1, "renderSeconds": 0.2}))
            .await;
        let id = app.submit(ten_seconds()).await;
        let job = app.until_completed(&id).await;
        assert_eq!(job["attempt"], 2, "{switch}");
        let refused = app
            .events(&id)
            .await
            .into_iter()
            .find(|e| e["event"] == "job:error")
            .unwrap();
        assert_eq!(refused["error"]["code"], code);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_is_always_too_short_renders_twice_and_no_more() {
    let app = App::start().await;
    let short = json!({"shortTimes": 9, "renderSeconds": 0.2});
    app.faults(Model::Muscgen, short).await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_ended(&id).await;
    let error = &job["error"];
    assert_eq!(
        (&job["status"], &error["code"], &error["retryable"]),
        (&json!("failed"), &json!("audio_too_short"), &json!(false))
    );
    assert_eq!(app.calls(Model::Muscgen, &id).await.len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_busy_model_gives_the_job_back_without_using_up_an_attempt() {
    let app = App::start().await;
    for status in [503, 429] {
        let busy = json!({"busyTimes": 2, "busyStatus": status, "retryAfterSeconds": 1, "renderSeconds": 0.2});
        app.faults(Model::Muscgen, busy).await;
        let id = app.submit(ten_seconds()).await;
        let job = app.until_completed(&id).await;
        assert_eq!(job["attempt"], 1, "{status}");
        assert_eq!(app.calls(Model::Muscgen, &id).await.len(), 3, "{status}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_failure_that_a_model_reports_is_a_failed_attempt() {
    let app = App::start().await;
    let (_, job) = app
        .compose(json!({"mode": "callback", "reportFailedTimes": 1, "renderSeconds": 0.2}))
        .await;
    assert_eq!(job["attempt"], 2);
    app.stop().await;
}

#[tokio::test]
async fn a_render_whose_model_was_silent_to_the_end_is_cancelled() {
    let app = App::impatient().await;
    app.faults(
        Model::Muscgen,
        json!({"mode": "callback", "neverChance": 1}),
    )
    .await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until(&id, PATIENCE, ended).await;
    assert_eq!(job["error"]["code"], "model_silent", "{job:#}");
    let cancelled = async || {
        let calls = app.calls(Model::Muscgen, &id).await;
        let told = calls.iter().any(|call| call["method"] == "DELETE");
        told.then_some(())
    };
    local::until(PATIENCE, cancelled)
        .await
        .expect("the model is told");
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_never_reports_is_asked_again_under_the_same_render_key() {
    let app = App::impatient().await;
    app.faults(
        Model::Muscgen,
        json!({"mode": "callback", "neverReportTimes": 1, "renderSeconds": 0.5}),
    )
    .await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until(&id, PATIENCE, ended).await;
    assert_eq!(
        (&job["status"], &job["attempt"]),
        (&json!("completed"), &json!(2)),
        "{job:#}"
    );
    let keys: Vec<_> = app
        .calls(Model::Muscgen, &id)
        .await
        .iter()
        .map(|c| c["idempotencyKey"].clone())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    app.stop().await;
}

#[tokio::test]
async fn a_model_whose_audio_address_is_dead_is_asked_again() {
    let app = App::start().await;
    app.faults(
        Model::Muscgen,
        json!({"mode": "callback", "neverReportTimes": 1}),
    )
    .await;
    let id = app.submit(ten_seconds()).await;
    let parked = |job: &Value| job["stage"] == "audio" && job["status"] == "processing";
    app.until(&id, PATIENCE, parked).await;
    local::until(PATIENCE, async || {
        (!app.logged(&["parked:", &id]).is_empty()).then_some(())
    })
    .await
    .unwrap();
    let dead = json!({"audioUrl": format!("{}/files/none.wav", app.stack.muscgen())});
    let report = json!({"jobId": id, "type": "completed", "payload": dead});
    let token = app.stack.token("orchestrator", "operator").unwrap();
    let url = format!("{}/jobs/report", app.stack.api());
    let answer = app
        .http
        .post(url)
        .bearer_auth(token)
        .json(&report)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 2);
    let refused = app
        .events(&id)
        .await
        .into_iter()
        .find(|e| e["event"] == "job:error")
        .unwrap();
    assert_eq!(refused["error"]["code"], "audio_url_refused");
    app.stop().await;
}
