//! `POST /hooks/cog/{token}`: a Cog server's word is worth as much as a report, and no more.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use shared::callback::CallbackClaims;
use shared::keyring::{KeyRing, now};

use super::report::{taken, tone};
use super::{callback_token, held_by_the_model, kept, parked, quiet, refused, with_token};
use crate::app::{ALICE, App, Model, PATIENCE};

#[tokio::test]
async fn a_cog_server_speaks_of_its_own_prediction_and_of_nothing_else() {
    let app = App::with(quiet()).await;
    app.stack.sweep().await.unwrap();
    only_a_callback_token_opens_the_door(&app).await;
    what_cannot_be_understood_is_refused_and_changes_nothing(&app).await;
    a_running_prediction_is_a_sign_of_life(&app).await;
    a_prediction_that_brings_no_track_is_a_failed_attempt(&app).await;
    audio_that_is_brought_along_becomes_the_track(&app).await;
    an_ended_job_takes_nothing(&app).await;
    let secrets = app.logged(&["hooks/cog/ey"]);
    assert!(secrets.is_empty(), "{secrets:?}");
    app.stop().await;
}

/// A webhook as Cog sends it.
async fn says(app: &App, token: &str, prediction: &Value) -> Response {
    let path = format!("/hooks/cog/{token}");
    // Of the server's own, where its operator set one; not ours.
    let request = with_token(app, Method::POST, &path, Some("of the server's own"));
    request.json(prediction).send().await.unwrap()
}

fn ended(status: &str) -> Value {
    json!({"id": "p", "status": status, "logs": "", "metrics": {}, "error": "KeyError in /src/predict.py"})
}

fn delivers(audio: &[u8]) -> Value {
    let file = format!("data:audio/wav;base64,{}", BASE64_STANDARD.encode(audio));
    json!({"id": "p", "status": "succeeded", "output": [file], "version": "v7"})
}

async fn only_a_callback_token_opens_the_door(app: &App) {
    let (id, good) = held_by_the_model(app).await;
    let ring = KeyRing::single(app.stack.secret()).unwrap();
    let mut late = CallbackClaims::verify(&ring, &good).unwrap();
    late.exp = now() - 60;
    let (before, files) = (app.job(&id).await, kept(app).await);
    for wrong in [
        app.stack.token("orchestrator", "api").unwrap(),
        app.stack.token("admin", ALICE).unwrap(),
        late.sign(&ring).unwrap(),
        good[..good.len() - 2].to_owned(),
        "x".to_owned(),
    ] {
        for prediction in [ended("failed"), delivers(&tone())] {
            refused(says(app, &wrong, &prediction).await, 401, "unauthenticated").await;
        }
    }
    assert_eq!((app.job(&id).await, kept(app).await), (before, files));
    let path = format!("/hooks/cog/{good}");
    let read = with_token(app, Method::GET, &path, None)
        .send()
        .await
        .unwrap();
    assert!(read.status().is_client_error());
}

async fn what_cannot_be_understood_is_refused_and_changes_nothing(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    let (before, files) = (app.job(&id).await, kept(app).await.0);
    let path = format!("/hooks/cog/{token}");
    for (body, status, code) in [
        ("RIFF".to_owned(), 400, "malformed_json"),
        ("{}".to_owned(), 422, "validation_failed"),
        (
            r#"{"status": "asleep"}"#.to_owned(),
            422,
            "validation_failed",
        ),
        (" ".repeat((6 << 20) + 1), 413, "body_too_large"),
    ] {
        let request = with_token(app, Method::POST, &path, None).body(body);
        refused(request.send().await.unwrap(), status, code).await;
    }
    assert_eq!((app.job(&id).await, kept(app).await.0), (before, files));
}

async fn a_running_prediction_is_a_sign_of_life(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    let deadline = async || -> f64 { app.redis(&["ZSCORE", "{tutti}:lease", &id]).await };
    let (before, seq) = (deadline().await, app.job(&id).await["seq"].clone());
    let running =
        json!({"id": "p", "status": "processing", "output": ["data:audio/wav;base64,UklGRg=="]});
    taken(says(app, &token, &running).await).await;
    assert!(deadline().await > before, "the model is given more time");
    let job = app.job(&id).await;
    assert_eq!((&job["status"], &job["seq"]), (&json!("processing"), &seq));
}

async fn a_prediction_that_brings_no_track_is_a_failed_attempt(app: &App) {
    for (prediction, code) in [
        (ended("failed"), "model_failed"),
        (ended("canceled"), "model_cancelled"),
        (
            json!({"status": "succeeded", "output": "a song"}),
            "muscgen_malformed",
        ),
        (json!({"status": "succeeded"}), "muscgen_malformed"),
    ] {
        let (id, token) = held_by_the_model(app).await;
        app.faults(Model::Muscgen, json!({"neverReportTimes": 1}))
            .await;
        taken(says(app, &token, &prediction).await).await;
        // Sent twice it is one failure.
        taken(says(app, &token, &prediction).await).await;
        let events = app.events(&id).await;
        let failures = events.iter().filter(|e| e["event"] == "job:error");
        let failures: Vec<_> = failures.collect();
        assert_eq!(failures.len(), 1, "{events:#?}");
        let error = &failures[0]["error"];
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!(code), &json!(true))
        );
        assert!(!error.to_string().contains("predict.py"), "{error}");
        parked(app, &id, 2).await;
        let late = callback_token(app, &id).await;
        taken(says(app, &late, &delivers(&tone())).await).await;
        app.until_completed(&id).await;
    }
}

async fn audio_that_is_brought_along_becomes_the_track(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    let audio = tone();
    for _ in 0..2 {
        taken(says(app, &token, &delivers(&audio)).await).await;
    }
    let job = app.until_completed(&id).await;
    assert_eq!(job["track"]["sha256"], shared::job::sha256_hex(&audio));
    assert_eq!(
        (&job["track"]["version"], &job["attempt"]),
        (&json!("v7"), &json!(1))
    );
    taken(says(app, &token, &delivers(&audio)).await).await;

    let (id, token) = held_by_the_model(app).await;
    let dead = format!("{}/files/none.wav", app.stack.muscgen());
    let lies_there = json!({"status": "succeeded", "output": {"audio": dead}});
    app.faults(
        Model::Muscgen,
        json!({"neverReportTimes": 0, "renderSeconds": 0.2}),
    )
    .await;
    taken(says(app, &token, &lies_there).await).await;
    app.until_completed(&id).await;
    let events = app.events(&id).await;
    let event = events.iter().find(|e| e["event"] == "job:error");
    assert_eq!(event.unwrap()["error"]["code"], "audio_url_refused");
}

async fn an_ended_job_takes_nothing(app: &App) {
    let (id, token) = held_by_the_model(app).await;
    app.post(&format!("/jobs/{id}/cancel"), ALICE, &json!(null))
        .await;
    local::until(PATIENCE, async || (!app.is_open(&id)).then_some(()))
        .await
        .expect("it is settled");
    let before = app.objects(&id);
    for prediction in [ended("canceled"), ended("processing"), delivers(&tone())] {
        refused(says(app, &token, &prediction).await, 409, "job_ended").await;
    }
    assert_eq!(app.objects(&id), before);
}
