//! What is sent as a refresh token, and gives nobody a session.

use reqwest::Method;
use serde_json::{Value, json};
use shared::callback::CallbackClaims;
use shared::job::{Fence, JobId, RenderKey};
use shared::keyring::{AccessClaims, KeyRing, Role, now};
use shared::stage::Stage;

use super::forge::{body, derived, flipped, mac, with};
use super::refusal;
use crate::app::App;
use crate::auth::{login, post, refresh, session, unlimited, user};
use crate::doors::with_token;

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn no_forged_refresh_token_gives_a_session() {
    let mut options = unlimited();
    options
        .env
        .push(("REFRESH_RATE".to_owned(), "0".to_owned()));
    let app = App::with(options).await;
    user(&app, "ann@example.com").await;
    let ann = session(login(&app, "ann@example.com", PASSWORD).await).await;
    let good = ann["refreshToken"].as_str().unwrap();
    let mut tried = 0;
    for (name, token) in forged(&app, &ann) {
        for path in ["/auth/refresh", "/auth/logout"] {
            let request = with_token(&app, Method::POST, path, None);
            let refused = refusal(request.json(&json!({"refreshToken": token}))).await;
            assert_eq!(
                refused,
                (401, "unauthenticated".to_owned()),
                "{path}, {name}"
            );
            tried += 1;
        }
    }
    for turned in flipped(good).into_iter().step_by(7) {
        let answer = refresh(&app, &turned).await;
        assert_eq!(answer.status(), 401, "{turned}");
    }
    assert!(tried >= 2 * 20, "{tried}");
    let long = json!({"refreshToken": format!("{good}{}", "x".repeat(16 * 1024))});
    assert_eq!(post(&app, "/auth/refresh", long).await.status(), 422);
    let next = session(refresh(&app, good).await).await;
    assert_ne!(next["refreshToken"], ann["refreshToken"], "the control");
    app.stop().await;
}

fn forged(app: &App, ann: &Value) -> Vec<(&'static str, String)> {
    let secret = app.stack.secret();
    let ring = KeyRing::single(secret).unwrap();
    let good = ann["refreshToken"].as_str().unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let header = json!({"alg": "HS256", "typ": "tutti-refresh+jwt"});
    let claims = json!({
        "sub": ann["user"]["id"], "family": uuid::Uuid::now_v7(), "n": 1, "exp": now() + 600,
    });
    let key = derived(secret.as_bytes(), b"refresh");
    let made = |header: &Value, claims: &Value, key: &[u8]| mac(&body(header, claims), key);
    let access = |role, life| {
        let life = std::time::Duration::from_secs(life);
        let claims = AccessClaims::new(ann["user"]["id"].as_str().unwrap(), role, life);
        ring.sign_access(&claims).unwrap()
    };
    let job = JobId::mint();
    let callback = CallbackClaims {
        job,
        render: RenderKey::new(job, Stage::Audio, 1, 0),
        stage: Stage::Audio,
        fence: Fence("1-x".to_owned()),
        exp: now() + 600,
    };
    let none = |alg: &str| {
        let header = with(&header, "alg", json!(alg));
        format!("{}.", body(&header, &claims))
    };
    vec![
        (
            "a user's own access token",
            ann["accessToken"].as_str().unwrap().to_owned(),
        ),
        ("an admin's access token", access(Role::Admin, 900)),
        ("a service's token", access(Role::Worker, 86_400)),
        ("a callback token", callback.sign(&ring).unwrap()),
        (
            "signed with the secret itself",
            made(&header, &claims, secret.as_bytes()),
        ),
        (
            "signed as a callback token",
            made(&header, &claims, &derived(secret.as_bytes(), b"callback")),
        ),
        (
            "of the type of access tokens",
            made(&with(&header, "typ", json!("at+jwt")), &claims, &key),
        ),
        (
            "of no type",
            made(&with(&header, "typ", Value::Null), &claims, &key),
        ),
        (
            "expired",
            made(&header, &with(&claims, "exp", json!(now() - 60)), &key),
        ),
        (
            "without an end",
            made(&header, &with(&claims, "exp", Value::Null), &key),
        ),
        (
            "without a user",
            made(&header, &with(&claims, "sub", Value::Null), &key),
        ),
        (
            "with a number below the first",
            made(&header, &with(&claims, "n", json!(-1)), &key),
        ),
        ("alg none", none("none")),
        ("alg nOnE", none("nOnE")),
        (
            "claims of another",
            format!(
                "{}.{}.{}",
                parts[0],
                super::forge::part(claims.to_string()),
                parts[2]
            ),
        ),
        (
            "without its signature",
            format!("{}.{}.", parts[0], parts[1]),
        ),
        ("with trailing bytes", format!("{good}x")),
        ("with a fourth part", format!("{good}.x")),
        ("with padding", format!("{good}=")),
        ("no token", "refresh".to_owned()),
    ]
}
