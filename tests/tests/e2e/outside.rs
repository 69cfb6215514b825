//! A service outside that takes connections and says nothing stops nobody here, and hears of everything when it answers again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::post;
use local::StackOptions;
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, PATIENCE, at, ten_seconds};

/// An API that says nothing until it is woken.
#[derive(Clone, Default)]
struct Sleeper {
    awake: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Sleeper {
    async fn start() -> (Self, String) {
        let sleeper = Self::default();
        let take = async |State(sleeper): State<Self>, Json(body): Json<Value>| {
            if !sleeper.awake.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            sleeper.heard.lock().unwrap().push(body);
            StatusCode::OK
        };
        let router = Router::new()
            .route("/jobs/report", post(take))
            .with_state(sleeper.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (sleeper, url)
    }

    async fn wake(&self, ids: &[String]) {
        self.awake.store(true, Ordering::SeqCst);
        let told = local::until(PATIENCE, async || {
            let heard = self.heard.lock().unwrap();
            let told = |id: &String| {
                let end = json!({"userId": ALICE, "error": "cancelled"});
                heard
                    .iter()
                    .any(|body| body["jobId"] == **id && body["payload"] == end)
            };
            ids.iter().all(told).then_some(())
        });
        told.await.expect("it hears of each end");
    }
}

async fn with_api(url: String) -> App {
    App::with(StackOptions {
        env: vec![("API_URL".to_owned(), url)],
        sweep_every: Duration::from_secs(1),
        ..StackOptions::default()
    })
    .await
}

#[tokio::test]
async fn an_api_that_hangs_delays_no_cancel_and_no_sweep_and_hears_of_the_ends_later() {
    let (api, url) = Sleeper::start().await;
    let app = with_api(url).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let id = app.submit(ten_seconds()).await;
        let from = Instant::now();
        let path = format!("/jobs/{id}/cancel");
        assert_eq!(app.post(&path, ALICE, &json!(null)).await.status(), 200);
        assert!(
            from.elapsed() < Duration::from_secs(3),
            "{:?}",
            from.elapsed()
        );
        ids.push(id);
    }
    let from = Instant::now();
    app.stack.sweep().await.unwrap();
    assert!(
        from.elapsed() < Duration::from_secs(5),
        "{:?}",
        from.elapsed()
    );
    // A job that runs meanwhile is not held up by its announcements.
    let id = app.submit(ten_seconds()).await;
    app.until_completed(&id).await;
    api.wake(&ids).await;
    app.stop().await;
}

#[tokio::test]
async fn an_end_that_the_api_missed_is_told_after_redis_was_emptied() {
    let (api, url) = Sleeper::start().await;
    let app = with_api(url).await;
    let id = app.submit(ten_seconds()).await;
    let path = format!("/jobs/{id}/cancel");
    assert_eq!(app.post(&path, ALICE, &json!(null)).await.status(), 200);
    let due = app.stack.folder().join("artifacts/due").join(&id).join("0");
    let noted = local::until(PATIENCE, async || due.exists().then_some(()));
    noted.await.expect("the end is noted");
    app.redis::<()>(&["FLUSHALL"]).await;
    api.wake(&[id]).await;
    let over = local::until(PATIENCE, async || (!due.exists()).then_some(())).await;
    over.expect("nothing is owed any more");
    app.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_keeps_no_job_from_its_cancel_and_is_not_taken_for_empty() {
    let app = App::with(StackOptions {
        sweep_every: Duration::from_secs(1),
        ..StackOptions::default()
    })
    .await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 600}))
        .await;
    let admin = app.stack.token("admin", "admin").unwrap();
    let folder = app.stack.folder();
    let (store, aside) = (folder.join("artifacts"), folder.join("aside"));
    for another_is_there in [false, true] {
        let id = app.submit(ten_seconds()).await;
        app.until(&id, PATIENCE, at("processing", "audio")).await;
        std::fs::rename(&store, &aside).unwrap();
        if another_is_there {
            std::fs::write(&store, "no directory").unwrap();
        }
        // A function that has not read the job before.
        let url = format!("{}/admin/jobs/{id}/retry", app.stack.api());
        let unseen = app.http.post(url).bearer_auth(&admin).send();
        assert_eq!(
            unseen.await.unwrap().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        let path = format!("/jobs/{id}/cancel");
        let unsure = app.post(&path, ALICE, &json!(null)).await;
        assert_eq!(unsure.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(unsure.headers().contains_key("retry-after"));
        let problem: Value = unsure.json().await.unwrap();
        assert_eq!(problem["code"], "store_unavailable");
        let refused = app.post("/jobs", ALICE, &ten_seconds()).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        if another_is_there {
            std::fs::remove_file(&store).unwrap();
        }
        // Nothing was written where it was.
        assert!(!store.exists());
        std::fs::rename(&aside, &store).unwrap();
        let job = app.until_ended(&id).await;
        assert_eq!(
            (&job["status"], &job["attempt"]),
            (&json!("cancelled"), &json!(1))
        );
    }
    app.stop().await;
}
