use std::collections::VecDeque;

use axum::Router;
use axum::body::Body;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response as Answered};
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::*;
use crate::job::JobId;
use crate::models::testing::{nobody, out, serve};
use crate::models::{MAX_PLAN, http_client};

const DIGEST: &str = "sha256:a80c4f17acd5";

/// A host that says what it was told to, in order, and keeps what it was asked.
#[derive(Clone, Default)]
struct Host(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    answers: VecDeque<(u16, String)>,
    asked: Vec<Value>,
    lists: usize,
    installed: Vec<&'static str>,
}

impl Host {
    fn saying(answers: impl IntoIterator<Item = String>) -> Self {
        let host = Self::default();
        let answers = answers.into_iter().map(|answer| (200, answer));
        host.told().answers.extend(answers);
        host.told().installed = vec!["llama3.2:3b", "qwen3:8b"];
        host
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap()
    }

    async fn client(&self, model: Option<&str>) -> Ollama {
        let routes = Router::new()
            .route("/at/api/chat", post(chat))
            .route("/at/api/tags", get(tags))
            .with_state(self.clone());
        let base = serve(routes).await.join("at/").unwrap();
        Ollama::new(http_client().unwrap(), base, model.map(str::to_owned))
    }
}

async fn tags(State(host): State<Host>) -> Json<Value> {
    let mut told = host.told();
    told.lists += 1;
    let listed = |name: &&str| json!({"name": name, "digest": DIGEST, "size": 1});
    let models: Vec<_> = told.installed.iter().map(listed).collect();
    Json(json!({"models": models}))
}

/// Chunks that end anywhere: in a line, in a letter.
async fn chat(State(host): State<Host>, Json(body): Json<Value>) -> Answered {
    let mut told = host.told();
    told.asked.push(body);
    let (status, text) = told.answers.pop_front().unwrap();
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> = text
        .as_bytes()
        .chunks((text.len() / 1_000).max(7))
        .map(|chunk| Ok(chunk.to_vec()))
        .collect();
    let status = StatusCode::from_u16(status).unwrap();
    (status, Body::from_stream(stream::iter(chunks))).into_response()
}

fn piece(content: &str, done: bool) -> String {
    let message = json!({"role": "assistant", "content": content});
    json!({"model": "llama3.2:3b-q4", "message": message, "done": done}).to_string() + "\n"
}

fn streamed(content: &str) -> String {
    let pieces = content
        .chars()
        .map(|letter| piece(&letter.to_string(), false));
    pieces.collect::<String>() + &piece("", true)
}

async fn plan(ollama: &Ollama) -> Result<Planned, ModelError> {
    plan_within(Duration::from_secs(5), ollama).await
}

async fn plan_within(budget: Duration, ollama: &Ollama) -> Result<Planned, ModelError> {
    let options = Map::new();
    let ask = PlanRequest {
        job: JobId::mint(),
        narrative: "rain",
        duration: 30,
        options: &options,
        seed: 7,
        callback: None,
    };
    ollama.plan(&ask, &out(), budget).await
}

async fn answered(answers: impl IntoIterator<Item = String>) -> Result<Planned, ModelError> {
    plan(&Host::saying(answers).client(Some("m")).await).await
}

#[tokio::test]
async fn a_streamed_answer_is_put_together_and_one_that_comes_whole_is_taken_too() {
    let song = r#"{"title": "Regen über Köln 🌧", "lyrics": "la"}"#;
    for body in [
        streamed(song),
        piece(song, true),
        piece(song, true).replace("{\"", "{\n\""),
    ] {
        let planned = answered([body.clone()]).await.unwrap();
        assert_eq!(
            planned.song.title.as_deref(),
            Some("Regen über Köln 🌧"),
            "{body}"
        );
        assert_eq!(planned.song.rest["lyrics"], "la");
    }
}

#[tokio::test]
async fn a_plan_tells_the_model_as_the_answer_calls_it_and_the_digest_of_the_list() {
    let host = Host::saying([piece(r#"{"title": "Rain"}"#, true)]);
    let by = plan(&host.client(None).await).await.unwrap().by;
    assert_eq!(by.service, "ollama");
    assert_eq!(by.model.as_deref(), Some("llama3.2:3b-q4"));
    assert_eq!(by.version.as_deref(), Some(DIGEST));
    assert_eq!(host.told().asked[0]["model"], "llama3.2:3b");
}

#[tokio::test]
async fn the_list_is_read_once_and_not_at_all_for_a_model_that_is_named() {
    let answer = piece(r#"{"title": "Rain"}"#, true);
    let host = Host::saying(vec![answer; 3]);
    let ollama = host.client(None).await;
    plan(&ollama).await.unwrap();
    plan(&ollama.clone()).await.unwrap();
    assert_eq!(host.told().lists, 1);
    let by = plan(&host.client(Some("mine")).await).await.unwrap().by;
    assert_eq!((host.told().lists, by.version), (1, None));
    assert_eq!(host.told().asked[2]["model"], "mine");
}

#[tokio::test]
async fn a_host_without_models_is_no_planner_now_and_a_model_that_went_away_is_looked_up_again() {
    let host = Host::saying([]);
    host.told().installed.clear();
    let ollama = host.client(None).await;
    assert_eq!(
        plan(&ollama).await.unwrap_err().code(),
        "ollama_unavailable"
    );

    let gone = json!({"error": "model \"llama3.2:3b\" not found"}).to_string();
    host.told().answers = [(404, gone), (200, piece(r#"{"title": "Rain"}"#, true))].into();
    host.told().installed = vec!["llama3.2:3b"];
    let error = plan(&ollama).await.unwrap_err();
    assert_eq!(
        (error.code().as_str(), error.is_retryable()),
        ("ollama_refused", false)
    );
    host.told().installed = vec!["qwen3:8b"];
    plan(&ollama).await.unwrap();
    assert_eq!(host.told().asked[1]["model"], "qwen3:8b");
}

#[tokio::test]
async fn a_model_that_cannot_chat_is_passed_over_and_the_next_one_asked() {
    let refusal = json!({"error": "\"llama3.2:3b\" does not support chat"}).to_string();
    let host = Host::saying([]);
    let good = piece(r#"{"title": "Rain"}"#, true);
    host.told().answers = [(400, refusal.clone()), (200, good.clone()), (200, good)].into();
    let ollama = host.client(None).await;
    plan(&ollama).await.unwrap();
    plan(&ollama).await.unwrap();
    let asked: Vec<_> = host
        .told()
        .asked
        .iter()
        .map(|ask| ask["model"].clone())
        .collect();
    assert_eq!(asked, ["llama3.2:3b", "qwen3:8b", "qwen3:8b"]);

    // Named by the operator, it is asked and nothing else.
    host.told().answers = [(400, refusal)].into();
    let error = plan(&host.client(Some("m")).await).await.unwrap_err();
    assert_eq!(error.code(), "ollama_refused");
}

#[tokio::test]
async fn a_host_that_refuses_to_hear_of_thinking_is_asked_without() {
    let good = piece(r#"{"title": "Rain"}"#, true);
    for (status, refusal) in [
        (
            400,
            json!({"error": "json: unknown field \"think\""}).to_string(),
        ),
        (
            400,
            json!({"error": "\"m\" does not support thinking"}).to_string(),
        ),
        (422, "no".to_owned()),
    ] {
        let host = Host::default();
        host.told().answers = [(status, refusal.clone()), (200, good.clone())].into();
        plan(&host.client(Some("m")).await).await.unwrap();
        let asked = host.told().asked.clone();
        assert_eq!(asked[0]["think"], false, "{refusal}");
        assert_eq!(asked[1].get("think"), None, "{refusal}");
    }
}

#[tokio::test]
async fn a_plan_among_the_thoughts_is_taken() {
    let message = json!({"role": "assistant", "content": "", "thinking": r#"{"title": "Rain"}"#});
    let body = json!({"model": "m", "message": message, "done": true}).to_string();
    let planned = answered([body]).await.unwrap();
    assert_eq!(planned.song.title.as_deref(), Some("Rain"));
}

#[tokio::test]
async fn an_answer_that_is_no_plan_is_shown_to_the_model_once() {
    let good = streamed(r#"{"title": "Rain"}"#);
    let host = Host::saying([streamed("la la la"), good.clone()]);
    plan(&host.client(Some("m")).await).await.unwrap();
    let asked = host.told().asked.clone();
    assert_eq!(asked.len(), 2);
    let (first, second) = (&asked[0]["messages"], &asked[1]["messages"]);
    assert_eq!((&first[0], &first[1]), (&second[0], &second[1]));
    assert_eq!(
        second[2],
        json!({"role": "assistant", "content": "la la la"})
    );
    let why = second[3]["content"].as_str().unwrap();
    assert!(why.contains("there is no JSON object in it"), "{why}");

    let host = Host::saying([streamed("la"), streamed("la la"), good]);
    let error = plan(&host.client(Some("m")).await).await.unwrap_err();
    assert_eq!(
        (error.code().as_str(), error.is_retryable()),
        ("ollama_malformed", true)
    );
    assert_eq!(host.told().asked.len(), 2);
}

#[tokio::test]
async fn an_error_in_the_stream_is_a_failure() {
    let broken = piece("{\"title\"", false) + "{\"error\": \"the runner died\"}\n";
    let error = answered([broken]).await.unwrap_err();
    assert_eq!(
        (error.code().as_str(), error.is_retryable()),
        ("ollama_failed", true)
    );
    assert!(error.to_string().contains("the runner died"), "{error}");
    assert!(!error.message().contains("runner"));
}

#[tokio::test]
async fn a_stream_that_is_cut_off_is_malformed_and_what_is_too_long_is_not_taken() {
    let whole = piece(r#"{"title": "Rain"}"#, false);
    for body in [
        String::new(),
        whole.clone(),
        "<html>".to_owned(),
        whole + "{\"model\"",
    ] {
        let error = answered([body.clone()]).await.unwrap_err();
        assert_eq!(error.code(), "ollama_malformed", "{body}");
    }
    let half = "x".repeat(MAX_PLAN / 2 + 1);
    let long = piece(&half, false) + &piece(&half, false);
    let padded = " ".repeat(8 * MAX_PLAN) + &piece("{}", true);
    for body in [long, padded] {
        assert_eq!(
            answered([body]).await.unwrap_err().code(),
            "ollama_too_large"
        );
    }
}

#[tokio::test]
async fn a_full_queue_is_no_failure_although_it_names_no_time() {
    let host = Host::default();
    let busy = json!({"error": "server busy, please try again"}).to_string();
    host.told().answers = [(503, busy.clone()), (500, busy)].into();
    let ollama = host.client(Some("m")).await;
    assert_eq!(plan(&ollama).await.unwrap_err().code(), "ollama_busy");
    assert_eq!(
        plan(&ollama).await.unwrap_err().code(),
        "ollama_unavailable"
    );
}

#[tokio::test]
async fn both_answers_share_one_budget() {
    let slow = async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        streamed("la la la")
    };
    let base = serve(Router::new().route("/api/chat", post(slow))).await;
    let ollama = Ollama::new(http_client().unwrap(), base, Some("m".to_owned()));
    let told = plan_within(Duration::from_millis(450), &ollama).await;
    assert_eq!(told.unwrap_err().code(), "ollama_unavailable");
}

#[tokio::test]
async fn health_is_whether_it_lists_its_models() {
    Host::saying([])
        .client(None)
        .await
        .health(&out())
        .await
        .unwrap();
    let down = Ollama::new(http_client().unwrap(), nobody().await, None);
    let error = down.health(&out()).await.unwrap_err();
    assert_eq!(error.code(), "ollama_unavailable");
}
