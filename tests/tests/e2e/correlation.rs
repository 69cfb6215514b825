//! One request id from the caller to the last log line.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use local::StackOptions;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, PATIENCE, ten_seconds};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn the_callers_request_id_stands_in_the_job_at_both_models_and_in_every_log_line() {
    let app = App::start().await;
    app.faults(
        Model::Muscgen,
        json!({"mode": "callback", "renderSeconds": 0.5}),
    )
    .await;
    let request = app
        .request(Method::POST, "/jobs", ALICE)
        .header("x-request-id", "rq-from-the-caller.1")
        .header("traceparent", TRACEPARENT);
    let response = request.json(&ten_seconds()).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "rq-from-the-caller.1");
    let id = response.json::<Value>().await.unwrap()["jobId"]
        .as_str()
        .unwrap()
        .to_owned();
    let job = app.until_completed(&id).await;
    assert_eq!(job["requestId"], "rq-from-the-caller.1");
    for model in [Model::Jen1, Model::Muscgen] {
        for call in app.calls(model, &id).await {
            assert_eq!(call["requestId"], "rq-from-the-caller.1", "{call:#}");
            assert_eq!(call["traceparent"], TRACEPARENT, "{call:#}");
        }
    }
    let of_job = app.logged(&[&id]);
    for program in ["worker", "report", "jobs", "muscgen"] {
        assert!(
            of_job.iter().any(|line| line.to_string().contains(program)),
            "{program} logged nothing of the job"
        );
    }
    // From the submission through the bell to the worker, and back with the model's reports.
    for program in ["jobs", "worker", "report"] {
        let traced = |line: &&Value| line["service"] == program && line["trace_id"] == TRACE;
        assert!(of_job.iter().any(|line| traced(&line)), "{program}");
    }
    // Reading is a request of its own; what is done for the job carries the job's.
    let done_for_it = of_job.iter().filter(|line| {
        !line["message"]
            .as_str()
            .unwrap_or_default()
            .starts_with("GET ")
    });
    for line in done_for_it {
        assert!(
            line.to_string().contains("rq-from-the-caller.1"),
            "{line:#}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn an_end_is_told_in_figures_once_and_the_sweep_tells_how_the_queue_stands() {
    let app = App::start().await;
    let id = app.submit(ten_seconds()).await;
    app.until_completed(&id).await;
    let of_end = |line: &&Value| line["tutti_jobs_ended"] == 1.0 && line["job_id"] == id.as_str();
    let ends = local::until(PATIENCE, async || {
        let lines = app.stack.log_lines();
        let ends: Vec<_> = lines.iter().filter(of_end).cloned().collect();
        (!ends.is_empty()).then_some(ends)
    })
    .await;
    let [end] = ends.as_deref().unwrap() else {
        panic!("{ends:#?}")
    };
    assert_eq!(end["outcome"], "completed");
    for stage in ["queue", "plan", "audio", "finish"] {
        assert!(end[format!("tutti_{stage}_seconds")].is_f64(), "{end:#}");
    }
    assert_eq!(end["tutti_job_failed"], 0.0);
    assert!(end["request_id"].is_string() && end["billed_ms"].is_u64());
    app.stack.sweep().await.unwrap();
    // Settled long ago: nobody tells of it again.
    let lines = app.stack.log_lines();
    assert_eq!(lines.iter().filter(of_end).count(), 1);
    let rounds: Vec<_> = lines
        .iter()
        .filter(|line| line["tutti_sweeps"] == 1.0)
        .collect();
    let last = rounds.last().unwrap();
    assert_eq!(
        (&last["tutti_jobs_queued"], &last["tutti_slots"]),
        (&json!(0.0), &json!(4.0))
    );
    assert_eq!(last["service"], "sweep");
    for function in [
        "compose", "jobs", "report", "health", "admin", "auth", "worker", "sweep", "live",
        "notify", "deliver",
    ] {
        let began =
            |line: &&Value| line["tutti_cold_starts"] == 1.0 && line["function"] == function;
        assert!(lines.iter().any(|line| began(&line)), "{function}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_request_without_an_id_gets_one_that_is_kept() {
    let app = App::start().await;
    let response = app.post("/jobs", ALICE, &ten_seconds()).await;
    let made = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let job: Value = response.json().await.unwrap();
    assert_eq!(job["requestId"], made.as_str());
    let hostile = app
        .request(Method::GET, "/jobs", ALICE)
        .header("x-request-id", "a b\u{7f}".replace('\u{7f}', ""));
    let answered = hostile.send().await.unwrap().headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_ne!(answered, "a b");
    app.stop().await;
}

type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// An API with a job table of its own; the first report of an end fails.
async fn job_table() -> (String, Seen) {
    let seen = Seen::default();
    let take = async |State(seen): State<Seen>, headers: HeaderMap, Json(body): Json<Value>| {
        let mut seen = seen.lock().unwrap();
        let is_end = |body: &Value| body["type"] == "completed";
        let first = is_end(&body) && !seen.iter().any(|(_, body)| is_end(body));
        seen.push((headers, body));
        match first {
            true => StatusCode::BAD_GATEWAY,
            false => StatusCode::OK,
        }
    };
    let router = Router::new()
        .route("/v1/jobs/report", post(take))
        .with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/v1"), seen)
}

#[tokio::test]
async fn an_api_with_its_own_job_table_hears_of_every_transition_even_if_it_fails_at_first() {
    let (api_url, seen) = job_table().await;
    let env = vec![("API_URL".to_owned(), api_url)];
    let app = App::with(StackOptions {
        env,
        ..StackOptions::default()
    })
    .await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.3}))
        .await;
    let id = app.submit(ten_seconds()).await;
    let job = app.until_completed(&id).await;
    let again = local::until(PATIENCE, async || {
        let seen = seen.lock().unwrap();
        seen.iter()
            .filter(|(_, body)| body["type"] == "completed")
            .nth(1)
            .map(|_| ())
    });
    again.await.expect("the end is told again");
    let seen = seen.lock().unwrap().clone();
    for (headers, body) in seen.iter() {
        assert_eq!(body["jobId"], id.as_str());
        assert_eq!(headers["x-request-id"], job["requestId"].as_str().unwrap());
        assert!(
            headers["authorization"]
                .to_str()
                .unwrap()
                .starts_with("Bearer ")
        );
    }
    let kinds: Vec<_> = seen
        .iter()
        .map(|(_, body)| (body["type"].clone(), body["payload"]["stage"].clone()))
        .collect();
    // A stage is told of only while it lasts; an end is owed.
    let stages = ["plan", "audio", "finish"].map(|stage| (json!("status"), json!(stage)));
    let end = (json!("completed"), Value::Null);
    assert!(
        kinds
            .iter()
            .all(|kind| stages.contains(kind) || *kind == end),
        "{kinds:?}"
    );
    assert!(kinds.iter().any(|kind| stages.contains(kind)), "{kinds:?}");
    let completed = seen
        .iter()
        .find(|(_, body)| body["type"] == "completed")
        .unwrap();
    assert_eq!(completed.1["payload"]["job"]["id"], id.as_str());
    assert!(
        completed.1["payload"]["job"]["artifactUrl"]
            .as_str()
            .unwrap()
            .contains(&id)
    );
    app.stop().await;
}
