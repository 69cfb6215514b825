//! What was made once is not made again for the same tenant, unless the caller wants it anew; and nobody may ask too fast.

use local::StackOptions;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model};
use crate::doors::with_token;

fn rain() -> Value {
    json!({"narrative": "rain on a tin roof", "duration": 10, "seed": 7})
}

/// Submits to whom it is all the same where the track comes from.
async fn submit(app: &App, body: &Value) -> String {
    let job: Value = app.post("/jobs", ALICE, body).await.json().await.unwrap();
    job["jobId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_same_request_gets_the_same_track_at_once_and_runs_nothing() {
    let app = App::start().await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
    let first = submit(&app, &rain()).await;
    let made = app.until_completed(&first).await;
    assert_eq!(made["cached"], false);

    let answer: Value = app
        .post("/jobs", ALICE, &rain())
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&answer["status"], &answer["cached"]),
        (&json!("completed"), &json!(true))
    );
    let id = answer["jobId"].as_str().unwrap();
    assert_ne!(id, first);
    assert_eq!(answer["track"]["sha256"], made["track"]["sha256"]);
    assert!(app.calls(Model::Jen1, id).await.is_empty());
    assert!(app.calls(Model::Muscgen, id).await.is_empty());
    // Its own object: the earlier job may be deleted.
    let gone = app.request(Method::DELETE, &format!("/jobs/{first}"), ALICE);
    assert_eq!(gone.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let audio = app.get(&format!("/jobs/{id}/audio"), ALICE).await;
    assert_eq!(audio.status(), StatusCode::OK);
    assert!(audio.bytes().await.unwrap().starts_with(b"RIFF"));
    assert!(!app.is_open(id), "it is settled");

    // The cache still names the deleted job: that is a miss.
    let third = submit(&app, &rain()).await;
    assert_eq!(app.until_completed(&third).await["cached"], false);
    only_the_plan_is_used_for_another_seed(&app).await;
    others_and_who_wants_it_anew_get_their_own(&app).await;
    app.stop().await;
}

async fn only_the_plan_is_used_for_another_seed(app: &App) {
    let mut other = rain();
    other["seed"] = json!(8);
    let id = submit(app, &other).await;
    let job = app.until_completed(&id).await;
    assert_eq!(
        (&job["cached"], job["seed"].as_u64()),
        (&json!(false), Some(8))
    );
    assert!(app.calls(Model::Jen1, &id).await.is_empty());
    assert_eq!(app.calls(Model::Muscgen, &id).await.len(), 1);
}

async fn others_and_who_wants_it_anew_get_their_own(app: &App) {
    let anew = app
        .request(Method::POST, "/compose", ALICE)
        .header("cache-control", "no-cache")
        .json(&rain());
    for request in [
        anew,
        app.request(Method::POST, "/compose", "bob").json(&rain()),
    ] {
        let job: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(
            (&job["status"], &job["cached"]),
            (&json!("completed"), &json!(false))
        );
        let id = job["jobId"].as_str().unwrap();
        assert_eq!(app.calls(Model::Jen1, id).await.len(), 1);
        assert_eq!(app.calls(Model::Muscgen, id).await.len(), 1);
    }
}

#[tokio::test]
async fn a_signed_link_counts_as_a_read_of_the_jobs_tenant() {
    let app = App::with(StackOptions {
        env: vec![("READ_RATE".to_owned(), "30".to_owned())],
        ..StackOptions::default()
    })
    .await;
    let (_, job) = app.compose(json!({"renderSeconds": 0.1})).await;
    let link = job["track"]["url"].as_str().unwrap();
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let answer = with_token(&app, Method::GET, link, None).send();
        statuses.push(answer.await.unwrap().status());
    }
    assert_eq!(statuses[0], StatusCode::OK);
    assert_eq!(statuses[39], StatusCode::TOO_MANY_REQUESTS);
    let list = app.get("/jobs", ALICE).await;
    assert_eq!(list.status(), StatusCode::TOO_MANY_REQUESTS);
    app.stop().await;
}

#[tokio::test]
async fn who_asks_too_fast_is_told_when_to_come_again_and_nothing_is_stored() {
    let limits = [("SUBMIT_RATE", "2"), ("READ_RATE", "5")];
    let app = App::with(StackOptions {
        env: limits
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..StackOptions::default()
    })
    .await;
    let id = app.submit(rain()).await;
    app.submit(rain()).await;
    let refused = app.post("/jobs", ALICE, &rain()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let after: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((20..=30).contains(&after), "{after}");
    assert_eq!(
        refused.headers()["ratelimit-policy"],
        r#""submit";q=2;w=60"#
    );
    let left = refused.headers()["ratelimit"].to_str().unwrap().to_owned();
    assert!(left.starts_with(r#""submit";r=0;t="#), "{left}");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(
        (&problem["code"], &problem["retryable"]),
        (&json!("rate_limited"), &json!(true))
    );
    let jobs = app.stack.folder().join("artifacts/jobs");
    let with_files =
        |entry: &std::fs::DirEntry| std::fs::read_dir(entry.path()).unwrap().next().is_some();
    let kept = std::fs::read_dir(jobs)
        .unwrap()
        .map(Result::unwrap)
        .filter(with_files);
    assert_eq!(kept.count(), 2, "the third left nothing");
    let other = app.post("/jobs", "bob", &rain()).await;
    assert_eq!(other.status(), StatusCode::ACCEPTED);

    let path = format!("/jobs/{id}");
    let mut answers = Vec::new();
    for _ in 0..6 {
        let answer = app.get(&path, ALICE).await;
        let left = answer.headers()["ratelimit"].to_str().unwrap();
        let left = left.strip_prefix(r#""read";r="#).unwrap();
        let remaining = left.split_once(';').unwrap().0.to_owned();
        answers.push((answer.status().as_u16(), remaining));
    }
    let told = |status, remaining: &str| (status, remaining.to_owned());
    assert_eq!(answers[0], told(200, "4"));
    assert_eq!(answers[5], told(429, "0"));
    let list = app.get("/jobs", ALICE).await;
    assert_eq!(list.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(list.headers()["ratelimit-policy"], r#""read";q=5;w=60"#);
    app.stop().await;
}
