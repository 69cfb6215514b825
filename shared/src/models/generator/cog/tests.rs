use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Json, Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use chrono::Utc;

use super::*;
use crate::job::JobId;
use crate::models::testing::{nobody, out, serve};
use crate::models::{Callback, http_client};
use crate::plan::Plan;
use crate::source::Source;

const FILE: &str = "data:audio/wav;base64,UklGRg==";
/// First half of the SHA-256 of the tests' render key.
const ID: &str = "61e37dc9727cfdd8d73128685c719823";

/// A Cog server as a test needs it.
#[derive(Clone)]
struct Server {
    state: &'static str,
    status: u16,
    answer: Value,
    schema: Option<Value>,
    calls: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
    schemas_read: Arc<AtomicUsize>,
}

impl Server {
    fn new(status: u16, answer: Value) -> Self {
        Self {
            state: "READY",
            status,
            answer,
            schema: None,
            calls: Arc::default(),
            schemas_read: Arc::default(),
        }
    }

    fn in_state(mut self, state: &'static str) -> Self {
        self.state = state;
        self
    }

    async fn cog(&self) -> Cog {
        let predict = async |State(server): State<Self>,
                             Path(id): Path<String>,
                             headers: HeaderMap,
                             Json(body): Json<Value>| {
            server.calls.lock().unwrap().push((id, headers, body));
            let status = StatusCode::from_u16(server.status).unwrap();
            (status, Json(server.answer)).into_response()
        };
        let health = async |State(server): State<Self>| Json(json!({"status": server.state}));
        let schema = async |State(server): State<Self>| {
            server.schemas_read.fetch_add(1, Ordering::SeqCst);
            match server.schema {
                Some(schema) => Json(schema).into_response(),
                None => (StatusCode::SERVICE_UNAVAILABLE, "{}").into_response(),
            }
        };
        let routes = Router::new()
            .route("/predictions/{id}", put(predict))
            .route("/health-check", get(health))
            .route("/openapi.json", get(schema))
            .with_state(self.clone());
        below(routes).await
    }

    async fn ask(&self, callback: bool) -> Result<RenderAnswer, ModelError> {
        ask(&self.cog().await, callback).await
    }

    fn seen(&self) -> (String, HeaderMap, Value) {
        self.calls.lock().unwrap().last().unwrap().clone()
    }
}

async fn below(routes: Router) -> Cog {
    cog_at(serve(routes).await)
}

fn cog_at(base: Url) -> Cog {
    Cog::new(http_client().unwrap(), base, NamedInputs::default())
}

async fn ask(cog: &Cog, callback: bool) -> Result<RenderAnswer, ModelError> {
    ask_with(cog, callback, json!({})).await
}

async fn ask_with(cog: &Cog, callback: bool, options: Value) -> Result<RenderAnswer, ModelError> {
    let callback = callback.then(|| Callback {
        url: "https://tutti.test/jobs/report".to_owned(),
        token: "secret".to_owned(),
        expires_at: Utc::now(),
        webhook: "https://tutti.test/hooks/cog/secret".to_owned(),
        every_seconds: 5,
    });
    let ask = RenderRequest {
        job: JobId::mint(),
        request_id: "req-1",
        prompt: "calm piano",
        plan: &Plan::parse(json!({"title": "Rain"})).unwrap(),
        duration: 30,
        seed: 7,
        model: "jen1",
        options: options.as_object().unwrap(),
        callback,
        upload: None,
    };
    cog.generate(&ask, &out(), Duration::from_secs(20)).await
}

fn succeeded(output: &str) -> Value {
    json!({"id": ID, "status": "succeeded", "output": output, "logs": "50%", "metrics": {}})
}

fn audio() -> RenderAnswer {
    RenderAnswer::Audio {
        bytes: Bytes::from_static(b"RIFF"),
        notes: Source::default().seeded(Some(7)),
    }
}

fn accepted() -> RenderAnswer {
    RenderAnswer::Accepted {
        id: Some(ID.to_owned()),
    }
}

fn rests(answer: Result<RenderAnswer, ModelError>) -> Option<u64> {
    match answer.unwrap_err().fault {
        Fault::Busy { retry_after } => Some(retry_after.as_secs()),
        _ => None,
    }
}

#[tokio::test]
async fn a_render_with_a_webhook_is_taken_and_answered_later() {
    let server = Server::new(202, json!({"id": ID, "status": "starting"}));
    assert_eq!(server.ask(true).await.unwrap(), accepted());
    let (id, headers, body) = server.seen();
    assert_eq!(
        (id.as_str(), &headers["prefer"]),
        (ID, &"respond-async".parse().unwrap())
    );
    assert_eq!(headers["x-request-id"], "req-1");
    assert_eq!(headers["traceparent"], out().traceparent.unwrap());
    let input = json!({"prompt": "calm piano", "duration": 30, "seed": 7});
    let webhook = "https://tutti.test/hooks/cog/secret?seed=7";
    let expected = json!({"input": input, "webhook": webhook, "webhook_events_filter": ["start", "completed"]});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_render_without_a_webhook_is_waited_for() {
    let server = Server::new(200, succeeded(FILE));
    assert_eq!(server.ask(false).await.unwrap(), audio());
    let (_, headers, body) = server.seen();
    assert!(!headers.contains_key("prefer"));
    assert_eq!(
        body.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["input"]
    );

    let mut named = succeeded("https://m/1.wav");
    named["version"] = json!("v1");
    let answer = Server::new(200, named).ask(false).await.unwrap();
    let expected = RenderAnswer::Url {
        url: "https://m/1.wav".to_owned(),
        notes: Source {
            version: Some("v1".to_owned()),
            seed: Some(7),
            ..Source::default()
        },
    };
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_prediction_that_runs_already_is_taken_up_or_waited_for() {
    let running = Server::new(
        202,
        json!({"id": ID, "status": "processing", "output": [FILE]}),
    );
    assert_eq!(running.ask(true).await.unwrap(), accepted());
    // Nobody will be told of its end.
    assert_eq!(rests(running.ask(false).await), Some(5));
    let over = Server::new(202, succeeded(FILE));
    assert_eq!(over.ask(true).await.unwrap(), audio());
    let odd = Server::new(202, json!(["what"]));
    assert_eq!(odd.ask(true).await.unwrap(), accepted());
}

#[tokio::test]
async fn a_prediction_that_failed_may_go_well_another_time() {
    for ended in [
        json!({"status": "failed", "error": "ValueError in /src/predict.py"}),
        json!({"status": "canceled"}),
    ] {
        for status in [200, 202] {
            let error = Server::new(status, ended.clone())
                .ask(true)
                .await
                .unwrap_err();
            assert_eq!(
                (error.code().as_str(), error.is_retryable()),
                ("muscgen_failed", true)
            );
            assert!(!error.message().contains("predict.py"));
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_file_is_malformed() {
    for answer in [succeeded("done"), json!({"status": "what"}), json!(7)] {
        let error = Server::new(200, answer).ask(false).await.unwrap_err();
        assert_eq!(error.code(), "muscgen_malformed");
    }
}

#[tokio::test]
async fn a_server_without_a_free_slot_is_busy() {
    let full = json!({"error": "At capacity", "status": "failed"});
    assert_eq!(rests(Server::new(409, full).ask(true).await), Some(5));
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_asked_why() {
    for (state, seconds) in [("BUSY", Some(5)), ("DEFUNCT", None), ("SETUP_FAILED", None)] {
        let server = Server::new(503, json!({"error": "not ready"})).in_state(state);
        let answer = server.ask(true).await;
        assert_eq!(rests(answer), seconds, "{state}");
        assert_eq!(server.calls.lock().unwrap().len(), 1);
    }
    // It need not even be asked to render.
    let starting = Server::new(202, json!({"status": "starting"})).in_state("STARTING");
    assert_eq!(rests(starting.ask(true).await), Some(10));
    assert!(starting.calls.lock().unwrap().is_empty());

    let gone = cog_at(nobody().await);
    let error = ask(&gone, true).await.unwrap_err();
    assert_eq!(error.code(), "muscgen_unavailable");
}

#[tokio::test]
async fn a_server_that_names_its_pause_is_given_it() {
    let pause = async || (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "7")]);
    let routes = Router::new().route("/predictions/{id}", put(pause));
    assert_eq!(rests(ask(&below(routes).await, true).await), Some(7));
}

#[tokio::test]
async fn a_server_that_starts_again_is_busy_though_its_schema_is_known() {
    let server = Server::new(503, json!({})).in_state("STARTING");
    let cog = server.cog().await;
    cog.remembered(|memory| memory.keep(Inputs::plain(&NamedInputs::default()), SystemTime::now()));
    assert_eq!(rests(ask(&cog, true).await), Some(10));
}

#[tokio::test]
async fn a_schema_is_read_once_and_says_what_the_model_is_given() {
    let mut server = Server::new(200, succeeded(FILE));
    let input = json!({"text": {"type": "string"}, "seconds_total": {"type": "integer"}, "steps": {"type": "integer"}});
    server.schema = Some(json!({"components": {"schemas": {"Input": {"properties": input}}}}));
    let cog = server.cog().await;
    for _ in 0..3 {
        let answer = ask_with(&cog, false, json!({"steps": 20})).await.unwrap();
        let RenderAnswer::Audio { notes, .. } = answer else {
            panic!("the audio was there")
        };
        assert_eq!(notes.seed, None);
    }
    assert_eq!(server.schemas_read.load(Ordering::SeqCst), 1);
    let given = json!({"text": "calm piano", "seconds_total": 30, "steps": 20});
    assert_eq!(server.seen().2["input"], given);
    ask_with(&cog, true, json!({"steps": 20})).await.unwrap();
    let webhook = "https://tutti.test/hooks/cog/secret";
    assert_eq!(server.seen().2["webhook"], webhook);
}

#[tokio::test]
async fn a_model_that_cannot_be_given_the_request_is_not_asked() {
    for (input, options, code) in [
        (
            json!({"lines": {"type": "string"}}),
            json!({}),
            "muscgen_incompatible",
        ),
        (
            json!({"prompt": {"type": "string"}}),
            json!({"steps": 20}),
            "muscgen_unsupported",
        ),
    ] {
        let mut server = Server::new(200, succeeded(FILE));
        server.schema = Some(json!({"components": {"schemas": {"Input": {"properties": input}}}}));
        let cog = server.cog().await;
        let error = ask_with(&cog, false, options).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.is_retryable()), (code, false));
        assert!(server.calls.lock().unwrap().is_empty());
    }
    let unknown = Server::new(200, succeeded(FILE)).in_state("UNKNOWN");
    let error = ask_with(&unknown.cog().await, false, json!({"steps": 20})).await;
    assert_eq!(error.unwrap_err().code(), "muscgen_unavailable");
}

#[tokio::test]
async fn a_model_without_a_schema_is_remembered_only_if_it_was_ready() {
    for (state, reads) in [("READY", 1), ("BUSY", 1), ("UNKNOWN", 2)] {
        let server = Server::new(200, succeeded(FILE)).in_state(state);
        let cog = server.cog().await;
        for _ in 0..2 {
            ask(&cog, false).await.unwrap();
        }
        assert_eq!(server.schemas_read.load(Ordering::SeqCst), reads, "{state}");
    }
}

#[tokio::test]
async fn a_schema_that_cannot_be_read_again_still_holds() {
    let server = Server::new(200, succeeded(FILE)).in_state("UNKNOWN");
    let cog = server.cog().await;
    let text = json!({"properties": {"text": {"type": "string"}}});
    let schema = json!({"components": {"schemas": {"Input": text}}});
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    cog.remembered(|memory| {
        memory.keep(
            Inputs::of_schema(&schema, &NamedInputs::default()).unwrap(),
            long_ago,
        )
    });
    ask(&cog, false).await.unwrap();
    assert_eq!(server.schemas_read.load(Ordering::SeqCst), 1);
    assert_eq!(server.seen().2["input"], json!({"text": "calm piano"}));
}

#[tokio::test]
async fn a_server_that_is_silent_about_itself_is_asked_to_render() {
    let never = || get(async || std::future::pending::<String>().await);
    let routes = Router::new()
        .route("/predictions/{id}", put(async || Json(succeeded(FILE))))
        .route("/health-check", never())
        .route("/openapi.json", never());
    assert_eq!(ask(&below(routes).await, false).await.unwrap(), audio());
}

#[tokio::test]
async fn wrong_inputs_are_refused_for_good_only_if_the_schema_was_known() {
    let detail =
        json!({"detail": [{"loc": ["body", "input", "duration"], "msg": "30 is too much"}]});
    let error = Server::new(422, detail.clone())
        .ask(true)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "muscgen_refused");
    assert!(error.message().ends_with("duration: 30 is too much"));
    let unread = Server::new(422, detail).in_state("UNKNOWN");
    let error = unread.ask(true).await.unwrap_err();
    assert_eq!(error.code(), "muscgen_unavailable");
}

#[tokio::test]
async fn a_render_is_cancelled_by_its_key_also_if_nobody_knows_it() {
    let seen = Arc::new(Mutex::new(String::new()));
    let note = seen.clone();
    let keep = async move |Path(id): Path<String>| *note.lock().unwrap() = id;
    let known = below(Router::new().route("/predictions/{id}/cancel", post(keep))).await;
    known.cancel("job:audio:7:1", &out()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ID);

    below(Router::new())
        .await
        .cancel("x", &out())
        .await
        .unwrap();
    let fail = post(async || StatusCode::INTERNAL_SERVER_ERROR);
    let broken = below(Router::new().route("/predictions/{id}/cancel", fail)).await;
    assert!(broken.cancel("x", &out()).await.is_err());
}

#[tokio::test]
async fn a_server_is_up_if_it_says_that_it_is_ready_or_busy() {
    for (state, up) in [
        ("READY", true),
        ("BUSY", true),
        ("STARTING", false),
        ("DEFUNCT", false),
    ] {
        let cog = Server::new(200, json!({})).in_state(state).cog().await;
        assert_eq!(cog.health(&out()).await.is_ok(), up, "{state}");
    }
    let gone = cog_at(nobody().await);
    assert!(gone.health(&out()).await.is_err());
}
