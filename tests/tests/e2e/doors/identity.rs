//! Who may pass: nobody without a valid token, nobody on another's job, and an idempotency key only with its own request.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::callback::CallbackClaims;
use shared::job::{Fence, JobId, RenderKey};
use shared::keyring::{AccessClaims, KeyRing, Role, now};
use shared::stage::Stage;

use super::{fields, held_by_the_model, kept, quiet, refused, report, with_role, with_token};
use crate::app::{ALICE, App, ten_seconds};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn only_the_right_caller_passes() {
    let app = App::with(quiet()).await;
    app.stack.sweep().await.unwrap();
    a_request_without_a_valid_token_is_refused_on_every_address(&app).await;
    a_repeat_under_an_idempotency_key_is_the_same_job(&app).await;
    a_job_of_somebody_else_is_as_unknown_as_none(&app).await;
    an_admin_sees_every_job(&app).await;
    app.stop().await;
}

/// Every address that asks who calls.
fn doors(id: &str) -> Vec<(Method, String)> {
    let job = |rest: &str| format!("/jobs/{id}{rest}");
    vec![
        (Method::POST, "/compose".to_owned()),
        (Method::POST, "/jobs".to_owned()),
        (Method::GET, "/jobs".to_owned()),
        (Method::GET, job("")),
        (Method::DELETE, job("")),
        (Method::GET, job("/events")),
        (Method::GET, job("/audio")),
        (Method::POST, job("/cancel")),
        (Method::POST, job("/retry")),
        (Method::POST, "/jobs/report".to_owned()),
        (Method::PUT, job("/audio")),
        (Method::GET, "/metrics".to_owned()),
    ]
}

/// As an existing issuer writes it: no `kid`, and nothing that says what kind of token it is.
fn plain_token(secret: &str, role: &str, sub: &str, life: Duration) -> String {
    let claims = json!({"sub": sub, "role": role, "iat": now(), "exp": now() + life.as_secs()});
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

/// Tokens that nobody may believe, each with what is wrong with it.
fn bad_tokens(secret: &str) -> Vec<(&'static str, String)> {
    let ring = KeyRing::single(secret).unwrap();
    let mut late = AccessClaims::new(ALICE, Role::Admin, HOUR);
    (late.iat, late.exp) = (Some(now() - 7200), now() - 60);
    let part = |claims: Value| BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let claims = part(json!({"sub": ALICE, "role": "admin", "exp": now() + 600}));
    let unsigned = format!("{}.{claims}.", part(json!({"alg": "none", "typ": "JWT"})));
    let good = plain_token(secret, "admin", ALICE, HOUR);
    let signature = good.rsplit_once('.').unwrap().1;
    let header = good.split_once('.').unwrap().0;
    let foreign = "another-secret-of-more-than-thirty-two-bytes";
    vec![
        ("foreign secret", plain_token(foreign, "admin", ALICE, HOUR)),
        (
            "foreign service",
            plain_token(foreign, "orchestrator", ALICE, HOUR),
        ),
        ("expired", ring.sign_access(&late).unwrap()),
        ("unsigned", unsigned),
        ("claims changed", format!("{header}.{claims}.{signature}")),
        (
            "signature cut off",
            good.trim_end_matches(signature).to_owned(),
        ),
        (
            "lives too long",
            plain_token(secret, "user", ALICE, 24 * HOUR),
        ),
        ("unknown role", plain_token(secret, "root", ALICE, HOUR)),
        ("garbage", "garbage".to_owned()),
        ("very long", "x".repeat(9000)),
    ]
}

async fn a_request_without_a_valid_token_is_refused_on_every_address(app: &App) {
    let id = app.submit(ten_seconds()).await;
    let job = app.until_completed(&id).await;
    let files = kept(app).await.0;
    let tokens = bad_tokens(app.stack.secret());
    for (method, path) in doors(&id) {
        let without = with_token(app, method.clone(), &path, None);
        let basic = without
            .try_clone()
            .unwrap()
            .header("authorization", "Basic YTpi");
        for request in [without, basic] {
            let answer = request.json(&ten_seconds()).send().await.unwrap();
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            refused(answer, 401, "unauthenticated").await;
        }
        for (wrong, token) in &tokens {
            let request = with_token(app, method.clone(), &path, Some(token));
            let answer = request.json(&ten_seconds()).send().await.unwrap();
            let challenge = answer.headers().get("www-authenticate").cloned();
            let challenge = challenge
                .unwrap_or_else(|| panic!("{method} {path}, {wrong}: {}", answer.status()));
            assert_eq!(challenge, r#"Bearer error="invalid_token""#, "{wrong}");
            refused(answer, 401, "unauthenticated").await;
        }
    }
    // A callback token reports, and opens nothing else.
    let callback = a_callback_token(app.stack.secret(), &id);
    let reports = |path: &str, method: &Method| path == "/jobs/report" || *method == Method::PUT;
    for (method, path) in doors(&id).into_iter().filter(|(m, p)| !reports(p, m)) {
        let request = with_token(app, method, &path, Some(&callback));
        let answer = request.json(&ten_seconds()).send().await.unwrap();
        refused(answer, 401, "unauthenticated").await;
    }
    assert_eq!(kept(app).await.0, files);
    let mut after = app.job(&id).await;
    after["track"]["url"] = job["track"]["url"].clone();
    assert_eq!(after, job);
}

fn a_callback_token(secret: &str, id: &str) -> String {
    let job: JobId = id.parse().unwrap();
    let claims = CallbackClaims {
        job,
        render: RenderKey::new(job, Stage::Audio, 7, 0),
        stage: Stage::Audio,
        fence: Fence("1-x".to_owned()),
        exp: now() + 600,
    };
    claims.sign(&KeyRing::single(secret).unwrap()).unwrap()
}

async fn a_job_of_somebody_else_is_as_unknown_as_none(app: &App) {
    let (id, _) = held_by_the_model(app).await;
    let before = app.job(&id).await;
    let nobodys = uuid::Uuid::now_v7().to_string();
    for (method, rest) in [
        (Method::GET, ""),
        (Method::GET, "?wait=5"),
        (Method::GET, "/events"),
        (Method::GET, "/audio"),
        (Method::POST, "/cancel"),
        (Method::POST, "/retry"),
        (Method::DELETE, ""),
    ] {
        let mut answers = Vec::new();
        for id in [&id, &nobodys] {
            let path = format!("/jobs/{id}{rest}");
            let foreign = app
                .request(method.clone(), &path, "bob")
                .send()
                .await
                .unwrap();
            let mut problem = refused(foreign, 404, "unknown_job").await;
            problem["requestId"].take();
            answers.push(problem);
            for role in ["user", "orchestrator", "worker", "system"] {
                let request = with_role(app, method.clone(), &path, role);
                refused(request.send().await.unwrap(), 404, "unknown_job").await;
            }
        }
        assert_eq!(answers[0], answers[1], "{method} {rest}");
    }
    let foreign = app.get("/jobs?user=alice", "bob").await;
    refused(foreign, 403, "forbidden").await;
    let items: Value = app.get("/jobs", "bob").await.json().await.unwrap();
    assert!(!items.to_string().contains(&id));
    for role in ["user", "admin"] {
        let token = app.stack.token(role, ALICE).unwrap();
        let body = json!({"jobId": id, "type": "failed", "payload": {}});
        refused(report(app, &token, body).await, 403, "forbidden").await;
        let path = format!("/jobs/{id}/audio");
        let upload = with_token(app, Method::PUT, &path, Some(&token)).body("RIFF");
        refused(upload.send().await.unwrap(), 403, "forbidden").await;
    }
    for role in ["user", "worker"] {
        let metrics = with_role(app, Method::GET, "/metrics", role)
            .send()
            .await
            .unwrap();
        assert_eq!(metrics.status().is_success(), role == "worker", "{role}");
    }
    assert_eq!(app.job(&id).await, before);
}

async fn an_admin_sees_every_job(app: &App) {
    let (id, _) = held_by_the_model(app).await;
    for (rest, status) in [("", 200), ("/events", 200), ("/audio", 409)] {
        let request = with_role(app, Method::GET, &format!("/jobs/{id}{rest}"), "admin");
        assert_eq!(request.send().await.unwrap().status(), status, "{rest}");
    }
    let list = with_role(app, Method::GET, "/jobs", "admin")
        .send()
        .await
        .unwrap();
    assert!(list.text().await.unwrap().contains(&id));
    for (method, rest, status) in [
        (Method::POST, "/cancel", 200),
        (Method::POST, "/retry", 202),
        (Method::POST, "/cancel", 200),
        (Method::DELETE, "", 204),
    ] {
        let request = with_role(app, method, &format!("/jobs/{id}{rest}"), "admin");
        let answer = request.send().await.unwrap();
        assert_eq!(
            answer.status(),
            status,
            "{rest} {}",
            answer.text().await.unwrap()
        );
    }
}

async fn a_repeat_under_an_idempotency_key_is_the_same_job(app: &App) {
    let submit = async |user: &str, path: &str, text: &str| {
        let request = app
            .request(Method::POST, path, user)
            .header("idempotency-key", "order 17: \"rain\"")
            .header("prefer", "respond-async")
            .header("content-type", "application/json");
        request.body(text.to_owned()).send().await.unwrap()
    };
    let id_of = async |answer: reqwest::Response| {
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let job: Value = answer.json().await.unwrap();
        job["jobId"].as_str().unwrap().to_owned()
    };
    let body = r#"{"narrative": "rain", "duration": 10}"#;
    let id = id_of(submit(ALICE, "/jobs", body).await).await;
    let envelopes = |app: &App| {
        std::fs::read_dir(app.stack.folder().join("artifacts/jobs"))
            .unwrap()
            .count()
    };
    let before = envelopes(app);
    // The same request, whatever its spelling and whichever of the two doors.
    assert_eq!(id_of(submit(ALICE, "/jobs", body).await).await, id);
    let other_order = r#"{ "duration":10, "narrative":"rain" }"#;
    assert_eq!(
        id_of(submit(ALICE, "/compose", other_order).await).await,
        id
    );
    let many = (0..8).map(|_| submit(ALICE, "/jobs", body));
    for answer in futures_util::future::join_all(many).await {
        assert!(answer.text().await.unwrap().contains(&id));
    }
    assert_eq!(envelopes(app), before);

    for path in ["/jobs", "/compose"] {
        let other = submit(ALICE, path, r#"{"narrative": "rain", "duration": 11}"#).await;
        let problem = refused(other, 422, "idempotency_key_reused").await;
        assert_eq!(fields(&problem), [("/Idempotency-Key", "reused")]);
    }
    let bobs = id_of(submit("bob", "/jobs", body).await).await;
    assert_ne!(bobs, id, "a key is its tenant's own");

    let job = app.until_completed(&id).await;
    assert_eq!(job["attempt"], 1);
    let again = submit(ALICE, "/jobs", body).await;
    let again: Value = again.json().await.unwrap();
    assert_eq!(
        (&again["jobId"], &again["status"]),
        (&json!(id), &json!("completed"))
    );
    let composed = submit(ALICE, "/compose", body).await;
    assert_eq!(
        composed.status(),
        StatusCode::OK,
        "the finished job answers at once"
    );
    let queued = app.events(&id).await;
    let queued = queued.iter().filter(|event| event["reason"] == "enqueued");
    assert_eq!(queued.count(), 1);
}
