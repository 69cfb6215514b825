//! The edge and the extractors, by sending requests into a router.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use lambda_http::tower::ServiceExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::problem::Problem;

#[derive(Deserialize)]
struct Note {
    text: String,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    limit: u32,
}

fn app() -> Router {
    let routes = Router::new()
        .route("/notes", post(async |Body(note): Body<Note>| note.text))
        .route(
            "/notes/{id}",
            get(async |JobPath(id): JobPath| id.to_string()),
        )
        .route(
            "/pages",
            get(async |Query(page): Query<Page>| page.limit.to_string()),
        )
        .route("/id", get(async |id: RequestId| id.0))
        .route("/counted", get(counted))
        .route("/raw", put(async |bytes: Bytes| bytes.len().to_string()))
        .route(
            "/upload",
            put(async |bytes: Bytes| bytes.len().to_string())
                .layer(DefaultBodyLimit::max(MAX_BODY * 2)),
        )
        .route(
            "/cached",
            get(async || ([(CACHE_CONTROL, "max-age=60")], "x")),
        )
        .route(
            "/panic",
            get(async || -> &'static str { panic!("the secret detail") }),
        )
        .route(
            "/busy",
            get(async || -> Result<(), Problem> {
                let after = std::time::Duration::from_secs(3);
                Err(
                    Problem::unavailable("queue_unavailable", "try again", after)
                        .with_source(std::io::Error::other("redis is away")),
                )
            }),
        )
        .route(
            "/own-error",
            get(async || (StatusCode::CONFLICT, Json(json!({"own": true}))).into_response()),
        );
    finish_router(routes)
}

async fn counted() -> Problem {
    let quota = Quota {
        name: "read",
        limit: 60,
        window: Duration::from_secs(60),
        remaining: 0,
        reset: Duration::from_secs(60),
    };
    quota.note();
    Problem::too_many("rate_limited", "you ask too often", Duration::from_secs(1))
}

async fn send(request: Request<axum::body::Body>) -> Response {
    heard();
    app().oneshot(request).await.unwrap()
}

async fn get_path(path: &str) -> Response {
    send(Request::get(path).body(axum::body::Body::empty()).unwrap()).await
}

async fn post_note(content_type: &str, body: impl Into<axum::body::Body>) -> Response {
    let request = Request::post("/notes").header(CONTENT_TYPE, content_type);
    send(request.body(body.into()).unwrap()).await
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Status, code and the whole body of a problem, after checking what every problem has.
async fn problem(response: Response) -> (u16, String, Value) {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let status = response.status().as_u16();
    let id = response.headers()[RequestId::HEADER]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(
        (&body["requestId"], &body["status"]),
        (&json!(id), &json!(status))
    );
    (status, body["code"].as_str().unwrap().to_owned(), body)
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_replaced() {
    for (sent, kept) in [
        ("abc-1.2:3_X", true),
        (&"x".repeat(64), true),
        (&"x".repeat(65), false),
        ("", false),
        ("a b", false),
        ("{x}", false),
    ] {
        let request = Request::get("/id").header(RequestId::HEADER, sent);
        let response = send(request.body(axum::body::Body::empty()).unwrap()).await;
        let answered = response.headers()[RequestId::HEADER]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(answered == sent, kept, "{sent:?}");
        assert_eq!(text(response).await, answered);
    }
    let minted = get_path("/id").await.headers()[RequestId::HEADER]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(uuid::Uuid::try_parse(&minted).unwrap().get_version_num(), 7);
}

#[tokio::test]
async fn unmatched_paths_and_wrong_methods_are_problems() {
    let (status, code, _) = problem(get_path("/nothing/here").await).await;
    assert_eq!((status, code.as_str()), (404, "not_found"));
    let response = get_path("/notes").await;
    assert_eq!(response.headers()[ALLOW], "POST");
    let (status, code, _) = problem(response).await;
    assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
}

#[tokio::test]
async fn a_panic_is_an_internal_error_without_its_words() {
    let (status, code, body) = problem(get_path("/panic").await).await;
    assert_eq!((status, code.as_str()), (500, "internal"));
    assert!(!body.to_string().contains("secret"));
}

#[tokio::test]
async fn a_long_body_is_refused_whoever_reads_it() {
    let long = || axum::body::Body::from("x".repeat(MAX_BODY + 1));
    let (status, code, _) = problem(post_note("application/json", long()).await).await;
    assert_eq!((status, code.as_str()), (413, "body_too_large"));
    let (status, code, _) = problem(send(Request::put("/raw").body(long()).unwrap()).await).await;
    assert_eq!((status, code.as_str()), (413, "body_too_large"));
    assert_eq!(
        send(Request::put("/upload").body(long()).unwrap())
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn long_addresses_and_headers_are_refused() {
    let long = "x".repeat(40_000);
    let (status, code, _) = problem(get_path(&format!("/id?{long}")).await).await;
    assert_eq!((status, code.as_str()), (414, "uri_too_long"));
    let request = Request::get("/id").header("x-note", long);
    let response = send(request.body(axum::body::Body::empty()).unwrap()).await;
    let (status, code, _) = problem(response).await;
    assert_eq!((status, code.as_str()), (431, "headers_too_large"));
}

#[tokio::test]
async fn a_counted_request_is_told_what_its_limit_has_left() {
    let response = get_path("/counted").await;
    assert_eq!(
        response.headers()["ratelimit-policy"],
        r#""read";q=60;w=60"#
    );
    assert_eq!(response.headers()["ratelimit"], r#""read";r=0;t=60"#);
    assert!(!get_path("/id").await.headers().contains_key("ratelimit"));
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    for path in ["/id", "/nothing", "/panic", "/busy"] {
        let headers = get_path(path).await.into_parts().0.headers;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(headers[name], value, "{path}");
        }
    }
    assert_eq!(
        get_path("/cached").await.headers()[CACHE_CONTROL],
        "max-age=60"
    );
}

#[tokio::test]
async fn a_problem_keeps_its_headers_and_hides_its_cause() {
    let response = get_path("/busy").await;
    assert_eq!(response.headers()[RETRY_AFTER], "3");
    let (status, code, body) = problem(response).await;
    assert_eq!(
        (status, code.as_str(), &body["retryable"]),
        (503, "queue_unavailable", &json!(true))
    );
    assert!(!body.to_string().contains("redis"));
}

#[tokio::test]
async fn a_json_error_of_the_handler_stays_as_it_is() {
    let response = get_path("/own-error").await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(text(response).await, r#"{"own":true}"#);
}

#[tokio::test]
async fn a_json_body_is_read_and_other_types_are_refused() {
    for good in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/merge-patch+json",
    ] {
        let response = post_note(good, r#"{"text": "hello"}"#).await;
        assert_eq!(text(response).await, "hello", "{good}");
    }
    for bad in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "jsonish",
        "",
    ] {
        let (status, code, _) = problem(post_note(bad, r#"{"text": "hello"}"#).await).await;
        assert_eq!(
            (status, code.as_str()),
            (415, "unsupported_media_type"),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_wrong_body_is_told_field_by_field() {
    let (status, code, _) = problem(post_note("application/json", "{").await).await;
    assert_eq!((status, code.as_str()), (400, "malformed_json"));
    let (status, code, body) = problem(post_note("application/json", r#"{"text": 1}"#).await).await;
    assert_eq!((status, code.as_str()), (422, "validation_failed"));
    assert_eq!(body["errors"][0]["pointer"], "/text");
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    assert_eq!(text(get_path("/pages?limit=5").await).await, "5");
    let (status, code, body) = problem(get_path("/pages?limit=five").await).await;
    assert_eq!((status, code.as_str()), (400, "invalid_query"));
    assert_eq!(body["errors"][0]["pointer"], "/limit");
}

#[tokio::test]
async fn a_malformed_job_id_is_told_from_an_unknown_one() {
    let id = crate::job::JobId::mint().to_string();
    assert_eq!(text(get_path(&format!("/notes/{id}")).await).await, id);
    for wrong in [
        "7".to_owned(),
        id.to_uppercase(),
        "%FF".to_owned(),
        "%2e%2e".to_owned(),
    ] {
        let (status, code, body) = problem(get_path(&format!("/notes/{wrong}")).await).await;
        assert_eq!((status, code.as_str()), (400, "malformed_id"), "{wrong}");
        assert_eq!(body["errors"][0]["pointer"], "/id");
    }
}

/// Every event of this process, as debug text.
///
/// For all threads at once: which events exist is decided when the first thread comes by, for all others too.
fn heard() -> &'static Mutex<Vec<String>> {
    static HEARD: OnceLock<Mutex<Vec<String>>> = OnceLock::new();
    HEARD.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Listener);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        Mutex::default()
    })
}

struct Listener;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        heard().lock().unwrap().push(format!("{event:?}"));
    }
}

/// The access log's lines about a route that no other test asks.
fn lines_about(route: &str) -> Vec<String> {
    let lines = heard().lock().unwrap();
    let about = |line: &&String| line.contains("duration_ms") && line.contains(route);
    lines.iter().filter(about).cloned().collect()
}

#[tokio::test]
async fn the_log_has_one_line_a_request_with_route_and_cause_and_without_the_path() {
    let routes = Router::new()
        .route("/hooks/{token}", get(async || "x"))
        .route(
            "/broken",
            get(async || Problem::internal().with_source(std::io::Error::other("redis is away"))),
        )
        .route(
            "/broken-badly",
            get(async || -> () { panic!("what went wrong") }),
        );
    heard();
    for path in ["/hooks/a-token-in-the-path", "/broken", "/broken-badly"] {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        finish_router(routes.clone())
            .oneshot(request)
            .await
            .unwrap();
    }
    let [hook] = &lines_about("/hooks/{token}")[..] else {
        panic!("one line")
    };
    assert!(
        hook.contains("Level(Info)") && !hook.contains("a-token"),
        "{hook}"
    );
    let [broken, badly] = &lines_about("/broken")[..] else {
        panic!("two lines")
    };
    assert!(
        broken.contains("redis is away") && broken.contains("Level(Error)"),
        "{broken}"
    );
    assert!(badly.contains("what went wrong"), "{badly}");
}
