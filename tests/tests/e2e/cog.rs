//! A generator that is a real Cog server: the main job in all its ways, and each way in which it ends otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::put;
use bytes::Bytes;
use local::{Cog, CogOptions, StackOptions};
use reqwest::Method;
use serde_json::{Value, json};
use shared::job::sha256_hex;

use crate::app::{ALICE, App, PATIENCE, at, ten_seconds};
use crate::track::check_finished;

/// How long a server may take to notice that a prediction is over.
const SOON: Duration = Duration::from_secs(10);

/// A stack whose generator is this server, with these settings besides.
fn before(cog: &Cog, settings: &[(&str, &str)]) -> StackOptions {
    let api = [("MUSCGEN_API", "cog")];
    let all = api.iter().chain(settings);
    StackOptions {
        muscgen_url: Some(cog.url().to_owned()),
        env: all
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..StackOptions::default()
    }
}

/// A server that tells its inputs.
async fn with_schema() -> Cog {
    let schema = true;
    Cog::start(CogOptions {
        schema,
        ..CogOptions::default()
    })
    .await
    .expect("Cog starts")
}

/// Ten seconds of music, which the model takes `render` seconds to make.
fn slow(render: f64) -> Value {
    let mut job = ten_seconds();
    job["options"] = json!({"render_seconds": render});
    job
}

#[tokio::test]
async fn the_main_job_passes_by_webhook() {
    let cog = Cog::start(CogOptions::default()).await.expect("Cog starts");
    let app = App::with(before(&cog, &[])).await;
    let request = app
        .request(Method::POST, "/jobs", ALICE)
        .header("x-request-id", "rq-of-the-caller");
    let answer = request.json(&ten_seconds()).send().await.unwrap();
    let job: Value = answer.json().await.unwrap();
    let id = job["jobId"].as_str().unwrap();
    let job = app.until_completed(id).await;
    assert_eq!(job["attempt"], 1);
    check_finished(&app, &job).await;
    let reports = app.logged(&["a Cog server reports", id, "rq-of-the-caller"]);
    assert_eq!(reports.len(), 2, "its start and its end");
    assert!(!app.logged(&["parked:", id]).is_empty());
    let up = async || {
        let told: Value = app.get("/compose", ALICE).await.json().await.ok()?;
        (told["services"]["muscgen"]["available"] == true).then_some(())
    };
    assert!(local::until(SOON, up).await.is_some());
    // The address that it calls is a secret.
    let secrets = app.logged(&["hooks/cog/ey"]);
    assert!(secrets.is_empty(), "{secrets:?}");
    app.stop().await;
    cog.stop().await;
}

#[tokio::test]
async fn the_main_job_passes_without_an_address_of_our_own_and_the_wait_is_not_billed() {
    let cog = with_schema().await;
    let app = App::with(StackOptions {
        callbacks: false,
        ..before(&cog, &[])
    })
    .await;
    let id = app.submit(slow(3.0)).await;
    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 1);
    check_finished(&app, &job).await;
    let usage = |name: &str| job["usage"][name].as_u64().unwrap();
    assert!(usage("audioMs") >= 3_000, "{:#}", job["usage"]);
    assert!(usage("billedMs") < 3_000, "{:#}", job["usage"]);
    app.stop().await;
    cog.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_ends_its_prediction_too() {
    let cog = with_schema().await;
    let app = App::with(before(&cog, &[])).await;
    let id = app.submit(slow(300.0)).await;
    app.until(&id, PATIENCE, at("processing", "audio")).await;
    assert!(cog.is("BUSY", SOON).await);
    let path = format!("/jobs/{id}/cancel");
    let answer = app.post(&path, ALICE, &json!(null)).await;
    assert_eq!(answer.status(), 200);
    assert!(cog.is("READY", SOON).await, "it still renders");
    assert_eq!(app.job(&id).await["status"], "cancelled");
    app.stop().await;
    cog.stop().await;
}

#[tokio::test]
async fn two_jobs_share_a_server_that_renders_one_at_a_time() {
    let cog = with_schema().await;
    let app = App::with(before(&cog, &[("SLOTS", "2")])).await;
    let ids = [app.submit(slow(3.0)).await, app.submit(slow(3.0)).await];
    let mut turned_away = 0;
    for id in &ids {
        let job = app.until_completed(id).await;
        assert_eq!(job["attempt"], 1, "{job:#}");
        let events = app.events(id).await;
        turned_away += usize::from(events.iter().any(|e| e["reason"] == "muscgen_busy"));
    }
    assert_eq!(turned_away, 1);
    app.stop().await;
    cog.stop().await;
}

#[tokio::test]
async fn a_prediction_that_fails_is_a_failed_attempt_and_its_inside_is_not_shown() {
    let cog = Cog::start(CogOptions::default()).await.expect("Cog starts");
    let app = App::with(before(&cog, &[("MAX_ATTEMPTS", "2")])).await;
    // Longer than the model can play, and it has no schema that would have said so.
    let mut long = ten_seconds();
    long["duration"] = json!(61);
    let id = app.submit(long).await;
    let job = app.until_ended(&id).await;
    let error = json!({"code": "model_failed", "message": "The model tried and failed.", "stage": "audio", "retryable": true});
    assert_eq!(
        (&job["status"], &job["attempt"], &job["error"]),
        (&json!("failed"), &json!(2), &error)
    );
    assert!(!app.logged(&["ValueError", &id]).is_empty());
    app.stop().await;
    cog.stop().await;
}

#[tokio::test]
async fn what_the_schema_forbids_is_refused_at_once_in_its_own_words() {
    let cog = with_schema().await;
    let app = App::with(before(&cog, &[])).await;
    let mut long = ten_seconds();
    long["duration"] = json!(61);
    let id = app.submit(long).await;
    let job = app.until_ended(&id).await;
    assert_eq!(
        (&job["status"], &job["attempt"], &job["error"]["code"]),
        (&json!("failed"), &json!(1), &json!("muscgen_refused"))
    );
    let message = job["error"]["message"].as_str().unwrap();
    assert!(
        message.ends_with("duration: 61 is greater than the maximum of 60"),
        "{message}"
    );
    app.stop().await;
    cog.stop().await;
}

#[tokio::test]
async fn what_the_model_has_no_place_for_is_refused_and_nothing_is_rendered() {
    let cog = with_schema().await;
    let app = App::with(before(&cog, &[])).await;
    let mut odd = ten_seconds();
    odd["options"] = json!({"tempo_map": "rubato"});
    let id = app.submit(odd).await;
    let job = app.until_ended(&id).await;
    let error = json!({
        "code": "muscgen_unsupported", "stage": "audio", "retryable": false,
        "message": "the model behind muscgen has no place for options.tempo_map",
    });
    assert_eq!((&job["attempt"], &job["error"]), (&json!(1), &error));
    app.stop().await;

    let named = [("COG_INPUTS", "prompt:lines")];
    let app = App::with(before(&cog, &named)).await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_ended(&id).await;
    assert_eq!(
        (&job["attempt"], &job["error"]["code"]),
        (&json!(1), &json!("muscgen_incompatible"))
    );
    app.stop().await;
    cog.stop().await;
}

/// Prediction and bytes, by file name.
type Files = Arc<Mutex<HashMap<String, (String, Bytes)>>>;

/// An object store of the test's own; the base address of its files.
async fn files() -> (String, Files) {
    let keep = async |State(files): State<Files>,
                      Path(name): Path<String>,
                      headers: HeaderMap,
                      body: Bytes| {
        let prediction = headers["x-prediction-id"].to_str().unwrap().to_owned();
        files.lock().unwrap().insert(name, (prediction, body));
    };
    let give = async |State(files): State<Files>, Path(name): Path<String>| {
        let files = files.lock().unwrap();
        let file = files.get(&name).map(|(_, bytes)| bytes.clone());
        file.ok_or(StatusCode::NOT_FOUND)
    };
    let files = Files::default();
    let routes = Router::new()
        .route("/files/{name}", put(keep).get(give))
        .layer(axum::extract::DefaultBodyLimit::max(64 << 20))
        .with_state(files.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://{address}/files"), files)
}

#[tokio::test]
async fn audio_that_the_server_put_elsewhere_is_fetched() {
    let (upload_url, files) = files().await;
    let cog = Cog::start(CogOptions {
        upload_url: Some(upload_url),
        schema: false,
    })
    .await
    .expect("Cog starts");
    let app = App::with(before(&cog, &[])).await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 1);
    check_finished(&app, &job).await;
    let files: Vec<_> = files.lock().unwrap().values().cloned().collect();
    let [(prediction, bytes)] = &files[..] else {
        panic!("{} files", files.len())
    };
    assert_eq!(job["track"]["sha256"], sha256_hex(bytes));
    let render = format!("{id}:audio:{}:0", job["seed"]);
    assert_eq!(*prediction, sha256_hex(render.as_bytes())[..32]);
    app.stop().await;
    cog.stop().await;
}
