//! Cancel, retry, delete: what each does to a job in each state, and to its slot, its model and its files.

use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{callback_token, parked, quiet, refused, report, with_token};
use crate::app::{ALICE, App, Model, PATIENCE, at, ten_seconds};

#[tokio::test]
async fn owners_cancel_retry_and_delete_their_jobs() {
    let mut options = quiet();
    options.env = vec![("SLOTS".to_owned(), "1".to_owned())];
    let app = App::with(options).await;
    let rendering = a_render_is_cancelled_and_its_slot_is_free_at_once(&app).await;
    a_job_in_line_is_cancelled_and_never_runs(&app, &rendering).await;
    a_cancelled_job_is_retried_as_a_fresh_run(&app, &rendering).await;
    let failed = a_failed_job_is_retried_as_a_fresh_run(&app).await;
    a_completed_job_is_neither_cancelled_nor_retried(&app, &failed).await;
    a_live_job_is_not_deleted_and_an_ended_one_leaves_nothing(&app, &failed).await;
    app.stop().await;
}

async fn change(app: &App, id: &str, verb: &str) -> Response {
    let path = format!("/jobs/{id}/{verb}");
    app.request(Method::POST, &path, ALICE)
        .send()
        .await
        .unwrap()
}

async fn delete(app: &App, id: &str) -> Response {
    let path = format!("/jobs/{id}");
    app.request(Method::DELETE, &path, ALICE)
        .send()
        .await
        .unwrap()
}

async fn cancelled(app: &App, id: &str) -> Value {
    let answer = change(app, id, "cancel").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let job: Value = answer.json().await.unwrap();
    assert_eq!(job["status"], "cancelled", "{job:#}");
    job
}

async fn retried(app: &App, id: &str) -> Value {
    let answer = change(app, id, "retry").await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.headers()["location"], format!("/jobs/{id}").as_str());
    let job: Value = answer.json().await.unwrap();
    assert_eq!(job["attempt"], 1, "{job:#}");
    assert!(
        ["queued", "processing"].contains(&job["status"].as_str().unwrap()),
        "{job:#}"
    );
    assert!(
        job["error"].is_null() && job["completedAt"].is_null(),
        "{job:#}"
    );
    job
}

/// Render keys of a job's calls to muscgen with this method.
async fn renders(app: &App, id: &str, method: &str) -> Vec<String> {
    let calls = app.calls(Model::Muscgen, id).await;
    let key = |call: &Value| call["idempotencyKey"].as_str().unwrap().to_owned();
    calls
        .iter()
        .filter(|call| call["method"] == method)
        .map(key)
        .collect()
}

/// Returns the job that took the slot over and holds it.
async fn a_render_is_cancelled_and_its_slot_is_free_at_once(app: &App) -> String {
    app.faults(
        Model::Muscgen,
        json!({"mode": "callback", "renderSeconds": 300}),
    )
    .await;
    let id = app.submit(ten_seconds()).await;
    parked(app, &id, 1).await;
    let token = callback_token(app, &id).await;
    let next = app.submit(ten_seconds()).await;
    let waits = app.job(&next).await;
    assert_eq!(
        (&waits["status"], &waits["position"]),
        (&json!("queued"), &json!(1))
    );

    let from = Instant::now();
    cancelled(app, &id).await;
    parked(app, &next, 1).await;
    assert!(
        from.elapsed() < Duration::from_secs(10),
        "{:?}",
        from.elapsed()
    );
    local::until(PATIENCE, async || {
        (renders(app, &id, "DELETE").await == renders(app, &id, "POST").await).then_some(())
    })
    .await
    .expect("the model is told to stop this very render");

    let before = app.job(&id).await;
    let says = |kind: &str, payload: Value| json!({"jobId": id, "type": kind, "progress": {"percentage": 50}, "payload": payload});
    for body in [
        says("progress", json!(null)),
        says("status", json!(null)),
        says("failed", json!({"code": "x", "retryable": true})),
        says("completed", json!({"uploaded": true})),
        says("completed", json!({"audioUrl": "http://127.0.0.1:9/a.wav"})),
    ] {
        refused(report(app, &token, body).await, 409, "job_ended").await;
    }
    let upload = with_token(app, Method::PUT, &format!("/jobs/{id}/audio"), Some(&token));
    refused(upload.body("RIFF").send().await.unwrap(), 409, "job_ended").await;
    assert_eq!(app.job(&id).await, before);
    assert_eq!(cancelled(app, &id).await, before, "again changes nothing");
    assert!(!app.is_open(&id));
    next
}

/// `busy` has the slot, and is cancelled after it.
async fn a_job_in_line_is_cancelled_and_never_runs(app: &App, busy: &str) {
    let id = app.submit(ten_seconds()).await;
    let job = cancelled(app, &id).await;
    assert!(
        job["position"].is_null() && job["startedAt"].is_null(),
        "{job:#}"
    );
    assert!(job["completedAt"].is_string(), "{job:#}");
    assert_eq!(app.objects(&id), ["manifest-0.json", "request.json"]);
    assert!(!app.is_open(&id));
    cancelled(app, busy).await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
    let after = app.submit(ten_seconds()).await;
    app.until_completed(&after).await;
    for model in [Model::Jen1, Model::Muscgen] {
        assert_eq!(app.calls(model, &id).await.len(), 0);
    }
    assert_eq!(app.job(&id).await, job);
    // From the line, too, it comes back.
    retried(app, &id).await;
    app.until_completed(&id).await;
}

async fn a_cancelled_job_is_retried_as_a_fresh_run(app: &App, id: &str) {
    let before = app.job(id).await;
    let job = retried(app, id).await;
    assert_eq!(job["stage"], "audio", "the plan is kept");
    assert!(job["startBy"].as_str() > before["startBy"].as_str());
    assert!(app.is_open(id));
    let job = app.until_completed(id).await;
    assert_eq!(job["attempt"], 1, "{job:#}");
    assert!(job["seq"].as_u64() > before["seq"].as_u64());
    let keys = renders(app, id, "POST").await;
    assert_eq!(keys.len(), 2);
    assert!(
        keys[0].ends_with(":0") && keys[1].ends_with(":1"),
        "a render of its own: {keys:?}"
    );
    assert_eq!(app.calls(Model::Jen1, id).await.len(), 1);
    let events = app.events(id).await;
    assert!(
        events
            .iter()
            .any(|event| event["reason"] == "retried by user"),
        "{events:#?}"
    );
}

async fn a_failed_job_is_retried_as_a_fresh_run(app: &App) -> String {
    app.faults(Model::Jen1, json!({"failTimes": 1, "failStatus": 400}))
        .await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_ended(&id).await;
    assert_eq!(
        (&job["status"], &job["attempt"]),
        (&json!("failed"), &json!(1))
    );
    assert_eq!(
        (&job["error"]["stage"], &job["error"]["retryable"]),
        (&json!("plan"), &json!(false))
    );
    refused(change(app, &id, "cancel").await, 409, "already_ended").await;
    retried(app, &id).await;
    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 1);
    assert!(job["error"].is_null(), "{job:#}");
    let key = renders(app, &id, "POST").await.remove(0);
    assert!(key.ends_with(":1"), "{key}");
    id
}

async fn a_completed_job_is_neither_cancelled_nor_retried(app: &App, id: &str) {
    let before = (app.events(id).await, app.objects(id));
    refused(change(app, id, "cancel").await, 409, "already_ended").await;
    refused(change(app, id, "retry").await, 409, "already_completed").await;
    assert_eq!((app.events(id).await, app.objects(id)), before);
}

async fn a_live_job_is_not_deleted_and_an_ended_one_leaves_nothing(app: &App, completed: &str) {
    app.faults(Model::Muscgen, json!({"renderSeconds": 300}))
        .await;
    let mut body = ten_seconds();
    body["tags"] = json!(["short-lived"]);
    let running = app.submit(body.clone()).await;
    app.until(&running, PATIENCE, at("processing", "audio"))
        .await;
    let waiting = app.submit(body).await;
    for id in [&waiting, &running] {
        let status = app.job(id).await["status"].clone();
        refused(delete(app, id).await, 409, "not_ended").await;
        refused(change(app, id, "retry").await, 409, "not_ended").await;
        assert_eq!(app.job(id).await["status"], status);
        assert!(app.is_open(id));
    }
    cancelled(app, &waiting).await;
    cancelled(app, &running).await;
    for id in [waiting.as_str(), running.as_str(), completed] {
        let answer = delete(app, id).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.text().await.unwrap(), "");
        assert_eq!(app.objects(id), Vec::<String>::new());
        assert!(!app.is_open(id));
        for path in [
            format!("/jobs/{id}"),
            format!("/jobs/{id}/events"),
            format!("/jobs/{id}/audio"),
        ] {
            refused(app.get(&path, ALICE).await, 404, "unknown_job").await;
        }
        for verb in ["cancel", "retry"] {
            refused(change(app, id, verb).await, 404, "unknown_job").await;
        }
        // As if the delete had broken off: its repeat ends it.
        let left = app.stack.folder().join(format!("artifacts/jobs/{id}"));
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("plan.json"), "{}").unwrap();
        refused(delete(app, id).await, 404, "unknown_job").await;
        assert_eq!(app.objects(id), Vec::<String>::new());
        refused(delete(app, id).await, 404, "unknown_job").await;
        let of_job: Vec<String> = app.redis(&["KEYS", &format!("*{id}*")]).await;
        let dead = |key: &String| key.ends_with(&format!(":refused:{id}"));
        assert!(of_job.iter().all(dead), "only that it is dead: {of_job:?}");
        for query in [
            "limit=100",
            "limit=100&tag=short-lived",
            "limit=100&status=cancelled",
        ] {
            let list = app.get(&format!("/jobs?{query}"), ALICE).await;
            assert!(!list.text().await.unwrap().contains(id), "{query}");
        }
    }
}
