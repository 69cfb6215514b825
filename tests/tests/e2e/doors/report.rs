//! `POST /jobs/report` and `PUT /jobs/{id}/audio`: what a model may say, when, and about which run of which job.

use std::f32::consts::TAU;
use std::io::Cursor;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{callback_token, held_by_the_model, parked, quiet, refused, report, with_token};
use crate::app::{ALICE, App, Model, ended, ten_seconds};

#[tokio::test]
async fn a_model_speaks_of_its_own_run_and_of_nothing_else() {
    let app = App::with(quiet()).await;
    progress_shows_in_the_job(&app).await;
    a_token_is_good_for_its_own_job_only(&app).await;
    a_completed_report_needs_its_audio_and_may_be_repeated(&app).await;
    an_earlier_run_is_not_listened_to_but_its_audio_is_used(&app).await;
    a_late_plan_for_an_ended_job_is_refused_and_not_kept(&app).await;
    audio_that_is_not_the_one_reported_is_rendered_again(&app).await;
    more_audio_than_is_ever_read_is_refused(&app).await;
    app.stop().await;
}

/// A report's body.
pub(super) fn says(id: &str, kind: &str, payload: Value) -> Value {
    json!({"jobId": id, "type": kind, "progress": {"percentage": 50}, "payload": payload})
}

/// The answer says that the report was taken.
pub(super) async fn taken(answer: Response) {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!((status.as_u16(), text.as_str()), (200, r#"{"ok":true}"#));
}

pub(super) async fn upload(app: &App, id: &str, token: &str, audio: Vec<u8>) -> Response {
    let request = with_token(app, Method::PUT, &format!("/jobs/{id}/audio"), Some(token));
    let request = request.header("content-type", "audio/wav");
    request.body(audio).send().await.unwrap()
}

/// Ten seconds of a steady tone.
pub(crate) fn tone() -> Vec<u8> {
    let rate = 22_050;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut wav = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..10 * rate {
        let phase = TAU * (n * 440 % rate) as f32 / rate as f32;
        wav.write_sample((phase.sin() * 8_000.0) as i16).unwrap();
    }
    wav.finalize().unwrap();
    bytes.into_inner()
}

async fn progress_shows_in_the_job(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    let seq = app.job(&id).await["seq"].as_u64().unwrap();
    let progress = json!({"current": 3, "total": 4, "message": "rendering the bridge"});
    taken(
        report(
            app,
            &token,
            json!({"jobId": id, "type": "progress", "progress": progress}),
        )
        .await,
    )
    .await;
    let job = app.job(&id).await;
    let shown =
        json!({"current": 3, "total": 4, "percentage": 75, "message": "rendering the bridge"});
    assert_eq!((&job["progress"], &job["seq"]), (&shown, &json!(seq + 1)));
    let event = app.events(&id).await.pop().unwrap();
    assert_eq!(
        (&event["event"], &event["progress"]),
        (&json!("job:progress"), &shown)
    );
    // A sign of life without figures leaves the last ones.
    taken(report(app, &token, json!({"jobId": id, "type": "status"})).await).await;
    assert_eq!(app.job(&id).await["progress"], shown);
    taken(
        report(
            app,
            &token,
            says(
                &id,
                "failed",
                json!({"code": "out_of_ideas", "message": "No more."}),
            ),
        )
        .await,
    )
    .await;
    let job = app.until_ended(&id).await;
    let error = json!({"code": "out_of_ideas", "message": "No more.", "stage": "audio", "retryable": false});
    assert_eq!((&job["status"], &job["error"]), (&json!("failed"), &error));
    assert!(job["progress"].is_null(), "{job:#}");
}

async fn a_token_is_good_for_its_own_job_only(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    let (other, _) = held_by_the_model(app).await;
    let nobodys = uuid::Uuid::now_v7().to_string();
    let before = (app.job(&other).await, app.objects(&other));
    for id in [&other, &nobodys] {
        for kind in ["status", "progress", "failed", "completed"] {
            let answer = report(app, &token, says(id, kind, json!({"uploaded": true}))).await;
            refused(answer, 403, "forbidden").await;
        }
        refused(upload(app, id, &token, tone()).await, 403, "forbidden").await;
    }
    let role = app.stack.token("orchestrator", "api").unwrap();
    for kind in ["status", "progress", "failed", "completed"] {
        let answer = report(app, &role, says(&nobodys, kind, json!({"uploaded": true}))).await;
        refused(answer, 404, "unknown_job").await;
    }
    refused(
        upload(app, &nobodys, &role, tone()).await,
        404,
        "unknown_job",
    )
    .await;
    assert_eq!((app.job(&other).await, app.objects(&other)), before);
    for id in [id, other] {
        taken(report(app, &role, says(&id, "failed", json!({}))).await).await;
    }
}

async fn a_completed_report_needs_its_audio_and_may_be_repeated(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    let completed = says(
        &id,
        "completed",
        json!({"uploaded": true, "seed": 17, "model": "mine", "version": "2"}),
    );
    refused(
        report(app, &token, completed.clone()).await,
        409,
        "not_uploaded",
    )
    .await;
    refused(
        upload(app, &id, &token, Vec::new()).await,
        400,
        "empty_body",
    )
    .await;
    refused(
        report(app, &token, completed.clone()).await,
        409,
        "not_uploaded",
    )
    .await;
    let plan = says(&id, "completed", json!({"plan": {"title": "Another"}}));
    refused(report(app, &token, plan).await, 409, "not_planning").await;
    assert_eq!(app.job(&id).await["status"], "processing");

    let audio = tone();
    let answer: Value = upload(app, &id, &token, audio.clone())
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(answer, json!({"ok": true, "bytes": audio.len()}));
    taken(report(app, &token, completed.clone()).await).await;
    taken(report(app, &token, completed.clone()).await).await;
    let job = app.until_completed(&id).await;
    assert_eq!(job["track"]["sha256"], shared::job::sha256_hex(&audio));
    assert_eq!(job["track"]["seed"], 17);

    let before = app.job(&id).await["seq"].clone();
    taken(report(app, &token, completed).await).await;
    for kind in ["status", "progress", "failed"] {
        refused(
            report(app, &token, says(&id, kind, json!({}))).await,
            409,
            "job_ended",
        )
        .await;
    }
    refused(
        upload(app, &id, &token, b"RIFF".to_vec()).await,
        409,
        "job_ended",
    )
    .await;
    assert_eq!(app.job(&id).await["seq"], before);
}

async fn an_earlier_run_is_not_listened_to_but_its_audio_is_used(app: &App) {
    let (id, first) = held_by_the_model(app).await;
    app.faults(Model::Muscgen, json!({"neverReportTimes": 1}))
        .await;
    taken(report(app, &first, says(&id, "failed", json!({"retryable": true}))).await).await;
    parked(app, &id, 2).await;
    let second = callback_token(app, &id).await;
    assert_ne!(first, second);

    let before = app.job(&id).await;
    for kind in ["status", "progress", "failed"] {
        refused(
            report(app, &first, says(&id, kind, json!({}))).await,
            409,
            "stale_fence",
        )
        .await;
    }
    assert_eq!(app.job(&id).await, before);
    taken(report(app, &second, says(&id, "progress", json!(null))).await).await;

    // It is the same render: what it brings late is as good.
    assert_eq!(upload(app, &id, &first, tone()).await.status(), 200);
    taken(
        report(
            app,
            &first,
            says(&id, "completed", json!({"uploaded": true})),
        )
        .await,
    )
    .await;
    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 2);
    taken(
        report(
            app,
            &second,
            says(&id, "completed", json!({"uploaded": true})),
        )
        .await,
    )
    .await;
}

async fn audio_that_is_not_the_one_reported_is_rendered_again(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    assert_eq!(upload(app, &id, &token, tone()).await.status(), 200);
    let told = |sha256: String| {
        says(
            &id,
            "completed",
            json!({"uploaded": true, "sha256": sha256}),
        )
    };
    taken(report(app, &token, told("A".repeat(64))).await).await;
    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 2);
    let events = app.events(&id).await;
    let error = events.iter().find(|event| event["event"] == "job:error");
    assert_eq!(error.unwrap()["error"]["code"], "audio_damaged");
}

/// A signed upload goes by no door of ours that could bound it.
async fn more_audio_than_is_ever_read_is_refused(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    let seed = &app.job(&id).await["seed"];
    let folder = app.stack.folder().join("artifacts/jobs").join(&id);
    let file = std::fs::File::create(folder.join(format!("upload-audio-{seed}-0"))).unwrap();
    file.set_len(shared::models::MAX_AUDIO as u64 + 1).unwrap();
    let completed = says(&id, "completed", json!({"uploaded": true}));
    refused(report(app, &token, completed).await, 413, "body_too_large").await;
}

async fn a_late_plan_for_an_ended_job_is_refused_and_not_kept(app: &App) {
    app.faults(
        Model::Jen1,
        json!({"mode": "callback", "neverReportTimes": 1}),
    )
    .await;
    let id = app.submit(ten_seconds()).await;
    parked(app, &id, 1).await;
    let calls = app.calls(Model::Jen1, &id).await;
    let token = calls[0]["body"]["callback"]["token"].as_str().unwrap();
    app.post(&format!("/jobs/{id}/cancel"), ALICE, &json!(null))
        .await;
    let before = app.objects(&id);
    let plan = says(&id, "completed", json!({"plan": {"title": "Too late"}}));
    refused(report(app, token, plan.clone()).await, 409, "job_ended").await;
    assert_eq!(app.objects(&id), before);

    // Nor is it the plan of the run that follows.
    app.faults(Model::Jen1, json!({"mode": "sync", "planSeconds": 3}))
        .await;
    app.faults(
        Model::Muscgen,
        json!({"mode": "callback", "renderSeconds": 0.2}),
    )
    .await;
    let retry = app
        .post(&format!("/jobs/{id}/retry"), ALICE, &json!(null))
        .await;
    assert_eq!(retry.status(), 202);
    refused(report(app, token, plan).await, 409, "wrong_render").await;
    let job = app.until(&id, Duration::from_secs(60), ended).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    assert_ne!(job["plan"]["title"], "Too late");
}
