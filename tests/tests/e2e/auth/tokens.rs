//! Tokens of services: issued, listed without themselves, taken back.

use local::Signal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ask, done, empty_redis, unlimited};
use crate::app::App;
use crate::doors::{fields, refused, with_token};

#[tokio::test]
async fn an_admin_gives_tokens_to_services_and_takes_them_back() {
    let app = App::with(unlimited()).await;
    let issued = a_token_of_a_service_opens_its_doors(&app).await;
    what_is_no_service_gets_no_token(&app).await;
    the_list_has_everything_but_the_token(&app, &issued).await;
    a_token_that_was_taken_back_is_kept_as_such(&app, &issued).await;
    app.stop().await;
}

async fn a_token_of_a_service_opens_its_doors(app: &App) -> Value {
    let body = json!({"sub": "gpu-1", "role": "worker", "expiresIn": 3600});
    let issued = done(app, Method::POST, "/auth/service-tokens", body).await;
    let default = json!({"sub": "scheduler"});
    let default = done(app, Method::POST, "/auth/service-tokens", default).await;
    assert_eq!(default["role"], "orchestrator");
    for token in [&issued, &default] {
        let token = token["token"].as_str();
        let request = with_token(app, Method::POST, "/jobs/report", token);
        let report = json!({"jobId": "0199a1b2-0000-7000-8000-000000000000", "type": "status"});
        let answer = request.json(&report).send().await.unwrap();
        refused(answer, 404, "unknown_job").await;
        let answer = with_token(app, Method::GET, "/auth/users", token);
        refused(answer.send().await.unwrap(), 403, "forbidden").await;
    }
    issued
}

async fn what_is_no_service_gets_no_token(app: &App) {
    for (body, expected) in [
        (json!({}), vec![("/sub", "required")]),
        (
            json!({"sub": "x", "role": "admin", "expiresIn": 59}),
            vec![("/role", "not_allowed"), ("/expiresIn", "out_of_range")],
        ),
        (
            json!({"sub": "x".repeat(257), "tenant": "y"}),
            vec![("/sub", "too_long"), ("/tenant", "unknown_field")],
        ),
    ] {
        let answer = ask(app, Method::POST, "/auth/service-tokens", body).await;
        let problem = refused(answer, 422, "validation_failed").await;
        assert_eq!(fields(&problem), expected);
    }
}

async fn the_list_has_everything_but_the_token(app: &App, issued: &Value) {
    let page = done(app, Method::GET, "/auth/service-tokens", Value::Null).await;
    let mut expected = issued.clone();
    expected.as_object_mut().unwrap().remove("token");
    assert_eq!(page["items"][0], expected);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["nextCursor"], Value::Null);
    let first = done(
        app,
        Method::GET,
        "/auth/service-tokens?limit=1",
        Value::Null,
    )
    .await;
    assert_eq!(first["nextCursor"], issued["jti"]);
}

async fn a_token_that_was_taken_back_is_kept_as_such(app: &App, issued: &Value) {
    let jti = issued["jti"].as_str().unwrap();
    let path = format!("/auth/service-tokens/{jti}");
    for _ in 0..2 {
        let answer = ask(app, Method::DELETE, &path, Value::Null).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
    let in_redis: bool = app.redis(&["SISMEMBER", "{tutti}:revoked", jti]).await;
    assert!(in_redis);
    let file = format!("artifacts/auth/revoked/{jti}.json");
    assert!(app.stack.folder().join(file).exists());
    let page = done(app, Method::GET, "/auth/service-tokens", Value::Null).await;
    assert!(page["items"][0]["revokedAt"].is_string());
    assert!(page["items"][1].get("revokedAt").is_none());
    let nobody = "/auth/service-tokens/0199a1b2-0000-7000-8000-000000000000";
    let answer = ask(app, Method::DELETE, nobody, Value::Null).await;
    refused(answer, 404, "unknown_token").await;
    let answer = ask(app, Method::DELETE, "/auth/service-tokens/x", Value::Null).await;
    let problem = refused(answer, 400, "malformed_id").await;
    assert_eq!(fields(&problem), [("/jti", "malformed_id")]);
    let page = done(app, Method::GET, "/admin/audit", Value::Null).await;
    let actions = page["items"].as_array().unwrap().iter();
    let actions: Vec<_> = actions.map(|entry| entry["action"].as_str()).collect();
    let (create, revoke) = (Some("service_token.create"), Some("service_token.revoke"));
    assert_eq!(actions, [revoke, create, create]);
    assert!(!page.to_string().contains("eyJ"), "a token is on record");
}

#[tokio::test]
async fn a_token_that_was_taken_back_opens_no_door_from_then_on() {
    let app = App::start().await;
    let issue = async |sub: &str| {
        let body = json!({"sub": sub, "role": "worker"});
        done(&app, Method::POST, "/auth/service-tokens", body).await
    };
    let (lost, kept) = (issue("gpu-1").await, issue("gpu-2").await);
    let says = async |issued: &Value, status, code: &str| {
        let token = issued["token"].as_str();
        let report = json!({"jobId": "0199a1b2-0000-7000-8000-000000000000", "type": "status"});
        let request = with_token(&app, Method::POST, "/jobs/report", token).json(&report);
        refused(request.send().await.unwrap(), status, code).await;
    };
    says(&lost, 404, "unknown_job").await;
    let path = format!("/auth/service-tokens/{}", lost["jti"].as_str().unwrap());
    let answer = ask(&app, Method::DELETE, &path, Value::Null).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    for _ in 0..2 {
        says(&lost, 401, "unauthenticated").await;
        says(&kept, 404, "unknown_job").await;
        let metrics = with_token(&app, Method::GET, "/metrics", lost["token"].as_str());
        refused(metrics.send().await.unwrap(), 401, "unauthenticated").await;
        empty_redis(&app).await;
    }
    let redis = app.stack.redis().unwrap();
    redis.signal(Signal::SIGSTOP).await.unwrap();
    says(&lost, 503, "queue_unavailable").await;
    says(&kept, 503, "queue_unavailable").await;
    redis.signal(Signal::SIGCONT).await.unwrap();
    says(&lost, 401, "unauthenticated").await;
    app.stop().await;
}
