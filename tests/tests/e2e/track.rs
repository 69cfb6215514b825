//! The main job: narrative in, checked track out, over every doorbell, store and way of answering.

use std::io::Cursor;

use local::{Artifacts, Bells, Moto, StackOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, PATIENCE, ten_seconds};

/// What a listener and a machine expect of every finished job.
pub(crate) async fn check_finished(app: &App, job: &Value) {
    let id = job["jobId"].as_str().unwrap();
    let track = &job["track"];
    let asked = job["duration"].as_f64().unwrap();
    let heard = track["durationSeconds"].as_f64().unwrap();
    assert!(
        (heard - asked).abs() <= asked * 0.02,
        "{heard} s of {asked} s"
    );
    let loudness = track["loudnessLufs"].as_f64().unwrap();
    assert!((-24.0..=-10.0).contains(&loudness), "{loudness} LUFS");
    assert_eq!(track["warnings"], json!([]));
    assert_eq!(track["waveform"].as_array().unwrap().len(), 400);
    assert!(job["plan"]["title"].is_string(), "{job:#}");

    let response = app.get(&format!("/jobs/{id}/audio"), ALICE).await;
    let response = match response.headers().get("location") {
        Some(url) => app.http.get(url.to_str().unwrap()).send().await.unwrap(),
        None => response,
    };
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = response.bytes().await.unwrap();
    assert_eq!(
        shared::job::sha256_hex(&bytes),
        track["sha256"].as_str().unwrap()
    );
    let wav = hound::WavReader::new(Cursor::new(&bytes)).unwrap();
    assert_eq!(
        f64::from(wav.duration()) / f64::from(wav.spec().sample_rate),
        heard
    );
    let peak = wav
        .into_samples::<i16>()
        .map(|s| s.unwrap().unsigned_abs())
        .max()
        .unwrap();
    assert!((3_000..32_767).contains(&peak), "peak {peak}");
}

async fn one_job_in_each_mode(app: App) {
    for mode in ["sync", "json", "url", "callback"] {
        let (id, job) = app
            .compose(json!({"mode": mode, "renderSeconds": 0.3}))
            .await;
        assert_eq!(job["attempt"], 1, "mode {mode}");
        check_finished(&app, &job).await;
        assert_eq!(app.calls(Model::Muscgen, &id).await.len(), 1, "mode {mode}");
    }
    app.faults(Model::Jen1, json!({"mode": "callback"})).await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_completed(&id).await;
    assert_eq!(
        (&job["attempt"], app.calls(Model::Jen1, &id).await.len()),
        (&json!(1), 1)
    );
    check_finished(&app, &job).await;
    app.stop().await;
}

#[tokio::test]
async fn the_main_job_passes_over_the_redis_stream_and_files() {
    one_job_in_each_mode(App::start().await).await;
}

#[tokio::test]
async fn the_upload_beside_a_finished_track_is_removed() {
    let app = App::start().await;
    for mode in ["sync", "url", "callback"] {
        let (id, _) = app
            .compose(json!({"mode": mode, "renderSeconds": 0.1}))
            .await;
        let gone = local::until(PATIENCE, async || {
            let objects = app.objects(&id);
            let upload = objects.iter().any(|name| name.contains("upload-"));
            assert!(objects.iter().any(|name| name.contains("track-")));
            (!upload).then_some(())
        });
        assert!(gone.await.is_some(), "{mode}: {:?}", app.objects(&id));
    }
    app.stop().await;
}

#[tokio::test]
async fn the_manifest_says_what_a_track_was_made_from_and_by_whom() {
    let app = App::start().await;
    let (id, job) = app.compose(json!({"renderSeconds": 0.1})).await;
    let manifest = app.manifest(&id).await;
    let made = &manifest["provenance"];
    let call = &app.calls(Model::Muscgen, &id).await[0]["body"];
    assert_eq!(
        (&made["prompt"], &made["seed"]),
        (&call["prompt"], &call["seed"])
    );
    assert_eq!(made["planner"]["service"], "jen1");
    assert_eq!(made["generator"]["model"], "muscgen-stand-in");
    assert_eq!(made["generator"]["version"], job["track"]["version"]);
    let digest = |text: &str| json!(shared::job::sha256_hex(text.as_bytes()));
    assert_eq!(
        made["sha256"]["prompt"],
        digest(call["prompt"].as_str().unwrap())
    );
    assert_eq!(made["sha256"]["track"], job["track"]["sha256"]);
    assert_eq!(made["sha256"]["request"], manifest["request"]["digest"]);
    assert_eq!(made["sha256"]["plan"].as_str().unwrap().len(), 64);
    app.stop().await;
}

#[tokio::test]
async fn the_main_job_passes_over_sqs_and_s3() {
    let moto = Moto::start().await.expect("moto starts");
    let options = StackOptions {
        bells: moto.bells(),
        artifacts: Artifacts::S3 {
            endpoint: moto.endpoint().to_owned(),
            bucket: "artifacts".to_owned(),
            prefix: "tutti".to_owned(),
        },
        ..StackOptions::default()
    };
    one_job_in_each_mode(App::with(options).await).await;
    moto.stop().await;
}

#[tokio::test]
async fn the_main_job_passes_over_the_redis_stream_and_s3_and_over_sqs_and_files() {
    let moto = Moto::start().await.expect("moto starts");
    let s3 = Artifacts::S3 {
        endpoint: moto.endpoint().to_owned(),
        bucket: "artifacts".to_owned(),
        prefix: String::new(),
    };
    for (bells, artifacts) in [(Bells::Stream, s3), (moto.bells(), Artifacts::Own)] {
        let is_s3 = matches!(artifacts, Artifacts::S3 { .. });
        let app = App::with(StackOptions {
            bells,
            artifacts,
            ..StackOptions::default()
        })
        .await;
        app.faults(Model::Muscgen, json!({"renderSeconds": 0.3}))
            .await;
        let id = app.submit(ten_seconds()).await;
        check_finished(&app, &app.until_completed(&id).await).await;
        let upload = &app.calls(Model::Muscgen, &id).await[0]["body"]["upload"];
        let url = upload["url"].as_str().unwrap();
        let by_our_door = !app.logged(&["PUT /jobs/{id}/audio answered"]).is_empty();
        if is_s3 {
            assert!(url.starts_with(moto.endpoint()), "{url}");
            let headers = json!({"Content-Type": "application/octet-stream"});
            assert_eq!((&upload["headers"], by_our_door), (&headers, false));
        } else {
            assert!(url.starts_with(app.stack.api()) && by_our_door, "{url}");
        }
        app.stop().await;
    }
    moto.stop().await;
}

#[tokio::test]
async fn compose_answers_with_the_finished_track_to_a_caller_who_waits() {
    let app = App::start().await;
    let compose = |prefer: &'static str| {
        let request = app
            .request(Method::POST, "/compose", ALICE)
            .header("prefer", prefer);
        request.json(&ten_seconds()).send()
    };
    let response = compose("wait=20").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let job: Value = response.json().await.unwrap();
    assert_eq!(job["status"], "completed");
    check_finished(&app, &app.job(job["jobId"].as_str().unwrap()).await).await;

    let response = compose("respond-async").await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let job: Value = response.json().await.unwrap();
    assert_eq!(
        location,
        format!("/jobs/{}", job["jobId"].as_str().unwrap())
    );
    app.until_completed(job["jobId"].as_str().unwrap()).await;
    app.stop().await;
}

#[tokio::test]
async fn twenty_jobs_at_once_all_complete() {
    let app = App::start().await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
    let submits = (0..20)
        .map(|n| app.submit(json!({"narrative": format!("song number {n}"), "duration": 5})));
    let ids = futures_util::future::join_all(submits).await;
    for id in &ids {
        let job = app.until_completed(id).await;
        assert_eq!(job["attempt"], 1, "{job:#}");
        let settled = async || (!app.is_open(id)).then_some(());
        local::until(PATIENCE, settled)
            .await
            .expect("it is settled");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_calls_back_costs_the_worker_no_waiting() {
    let app = App::start().await;
    app.faults(
        Model::Muscgen,
        json!({"mode": "callback", "renderSeconds": 10}),
    )
    .await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_completed(&id).await;
    let billed = job["usage"]["billedMs"].as_u64().unwrap();
    // On a quiet machine about 30 ms; here it only must not follow the render.
    assert!((1..9_000).contains(&billed), "{:#}", job["usage"]);
    assert!(
        job["usage"]["audioMs"].as_u64().unwrap() >= 9_000,
        "{:#}",
        job["usage"]
    );

    // The invocation that parked the job was over long before the render was.
    let at = |words: &[&str]| -> chrono::DateTime<chrono::Utc> {
        let line = app
            .logged(words)
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no log line with {words:?}"));
        line["timestamp"].as_str().unwrap().parse().unwrap()
    };
    let (parked, finished) = (at(&["parked:", &id]), at(&["track finished", &id]));
    let over: Vec<chrono::DateTime<chrono::Utc>> = app
        .logged(&["invocation over"])
        .iter()
        .map(|line| line["timestamp"].as_str().unwrap().parse().unwrap())
        .collect();
    let next = over.into_iter().filter(|at| *at >= parked).min().unwrap();
    assert!(
        (next - parked).num_milliseconds() < 1_000,
        "over {next}, parked {parked}"
    );
    assert!(
        (finished - next).num_seconds() >= 8,
        "over {next}, finished {finished}"
    );
    app.stop().await;
}
