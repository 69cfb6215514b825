//! Plans by Ollama: streamed, mended, and in place of a jen1 that is down.

use local::stand_ins::ollama::{DIGEST, MODEL};
use local::{OllamaChoice, StackOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, ten_seconds};
use crate::track::check_finished;

async fn with_ollama(options: StackOptions) -> App {
    let app = App::with(StackOptions {
        ollama: OllamaChoice::StandIn,
        ..options
    })
    .await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
    app
}

fn by_ollama() -> Value {
    let mut job = ten_seconds();
    job["model"] = json!("ollama");
    job
}

fn nobody() -> String {
    format!("http://127.0.0.1:{}", local::free_port().unwrap())
}

async fn assert_failed(app: &App, id: &str, code: &str) {
    let job = app.until_ended(id).await;
    assert_eq!(
        (&job["status"], &job["attempt"], &job["error"]["code"]),
        (&json!("failed"), &json!(3), &json!(code)),
        "{job:#}"
    );
    assert_eq!(job["error"]["stage"], "plan");
}

#[tokio::test]
async fn a_job_planned_by_ollama_becomes_a_checked_track_and_its_manifest_names_the_model() {
    let app = with_ollama(StackOptions::default()).await;
    let mut body = by_ollama();
    body["narrative"] = json!("ein ruhiger Abend über Köln, 雨の中のピアノ");
    body["seed"] = json!(4_000_000_000_u32);
    let id = app.submit(body).await;
    let job = app.until_completed(&id).await;
    assert_eq!(
        (&job["attempt"], &job["model"]),
        (&json!(1), &json!("ollama"))
    );
    check_finished(&app, &job).await;
    for field in ["tempo", "lyrics", "verse_1", "chorus"] {
        assert!(!job["plan"][field].is_null(), "{field}: {:#}", job["plan"]);
    }
    let planner = app.manifest(&id).await["provenance"]["planner"].take();
    assert_eq!(
        planner,
        json!({"service": "ollama", "model": MODEL, "version": DIGEST})
    );
    let calls = app.calls(Model::Ollama, &id).await;
    let [call] = &calls[..] else {
        panic!("{calls:#?}")
    };
    assert_eq!(call["body"]["stream"], true);
    assert_eq!(
        call["body"]["options"]["seed"],
        4_000_000_000_u32 & 0x7fff_ffff
    );
    assert_eq!(call["requestId"], job["requestId"]);
    assert!(app.calls(Model::Jen1, &id).await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn an_answer_without_a_plan_is_mended_within_the_same_attempt() {
    let app = with_ollama(StackOptions::default()).await;
    app.faults(Model::Ollama, json!({"garbageTimes": 1})).await;
    let id = app.submit(by_ollama()).await;
    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 1);
    let calls = app.calls(Model::Ollama, &id).await;
    let lengths: Vec<_> = calls
        .iter()
        .map(|call| call["body"]["messages"].as_array().unwrap().len())
        .collect();
    assert_eq!(lengths, [2, 4]);
    app.stop().await;
}

#[tokio::test]
async fn an_ollama_that_never_gives_a_plan_fails_the_job_after_its_attempts() {
    let app = with_ollama(StackOptions::default()).await;
    app.faults(Model::Ollama, json!({"garbageTimes": 99})).await;
    let id = app.submit(by_ollama()).await;
    assert_failed(&app, &id, "ollama_malformed").await;
    assert_eq!(app.calls(Model::Ollama, &id).await.len(), 6);
    app.stop().await;
}

#[tokio::test]
async fn a_full_queue_at_ollama_costs_no_attempt_and_a_failure_does() {
    let app = with_ollama(StackOptions::default()).await;
    for (switch, attempt) in [("busyTimes", 1), ("failTimes", 2)] {
        app.faults(Model::Ollama, json!({switch: 1})).await;
        let id = app.submit(by_ollama()).await;
        let job = app.until_completed(&id).await;
        assert_eq!(job["attempt"], attempt, "{switch}");
        assert_eq!(app.calls(Model::Ollama, &id).await.len(), 2, "{switch}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_ollama_that_is_gone_fails_the_job_with_a_clear_code_after_its_attempts() {
    let app = App::with(StackOptions {
        ollama: OllamaChoice::Url(nobody()),
        ..StackOptions::default()
    })
    .await;
    let id = app.submit(by_ollama()).await;
    assert_failed(&app, &id, "ollama_unavailable").await;
    app.stop().await;
}

#[tokio::test]
async fn ollama_stands_in_for_a_jen1_that_is_down_within_the_same_attempt() {
    let app = with_ollama(StackOptions {
        jen1_url: Some(nobody()),
        env: vec![("PLANNER_FALLBACK".to_owned(), "ollama".to_owned())],
        ..StackOptions::default()
    })
    .await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_completed(&id).await;
    assert_eq!(
        (&job["attempt"], &job["model"]),
        (&json!(1), &json!("jen1"))
    );
    let manifest = app.manifest(&id).await;
    assert_eq!(manifest["provenance"]["planner"]["service"], "ollama");
    app.stop().await;
}

#[tokio::test]
async fn nobody_stands_in_for_jen1_unasked() {
    let app = with_ollama(StackOptions {
        jen1_url: Some(nobody()),
        ..StackOptions::default()
    })
    .await;
    let id = app.submit(ten_seconds()).await;
    assert_failed(&app, &id, "jen1_unavailable").await;
    assert!(app.calls(Model::Ollama, &id).await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn the_model_ollama_is_offered_where_there_is_one_and_refused_where_not() {
    for (choice, offered) in [(OllamaChoice::Nobody, false), (OllamaChoice::StandIn, true)] {
        let app = App::with(StackOptions {
            ollama: choice,
            ..StackOptions::default()
        })
        .await;
        let can: Value = app.get("/compose", ALICE).await.json().await.unwrap();
        assert_eq!(can["models"]["ollama"].is_object(), offered, "{can:#}");
        assert_eq!(can["services"]["ollama"]["configured"], offered);
        assert_eq!(can["services"]["ollama"]["available"], offered);
        let answer = app.post("/jobs", ALICE, &by_ollama()).await;
        if offered {
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
        } else {
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["errors"][0]["code"], "unknown_model", "{problem:#}");
        }
        app.stop().await;
    }
}
