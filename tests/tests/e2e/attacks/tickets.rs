//! What is brought to the socket gateway as a ticket, and opens nothing.

use reqwest::Method;
use serde_json::{Value, json};
use shared::callback::CallbackClaims;
use shared::job::{Fence, JobId, RenderKey};
use shared::keyring::{KeyRing, now};
use shared::stage::Stage;

use super::forge::{body, claims, derived, flipped, mac, with};
use super::refusal;
use crate::app::{ALICE, App};
use crate::auth::{login, session, unlimited, user};
use crate::doors::with_token;

#[tokio::test]
async fn no_forged_ticket_opens_a_socket_and_a_good_one_opens_one() {
    let app = App::with(unlimited()).await;
    user(&app, "ann@example.com").await;
    let ann = session(login(&app, "ann@example.com", "correct horse battery").await).await;
    let token = app.stack.token("user", ALICE).unwrap();
    let good = ticket(&app, &token).await;
    let forged = forged(&app, &ann, &token, &good);
    assert!(forged.len() >= 20, "{}", forged.len());
    for (name, ticket) in &forged {
        assert_eq!(handshake(&app, ticket).await, 401, "{name}");
    }
    for turned in flipped(&good).into_iter().step_by(9) {
        assert_eq!(handshake(&app, &turned).await, 401, "{turned}");
    }
    let bare = reqwest::get(app.stack.sockets().replacen("ws", "http", 1)).await;
    assert!(bare.unwrap().status().is_client_error(), "no ticket at all");
    assert_eq!(handshake(&app, &good).await, 101, "the control");
    assert_eq!(handshake(&app, &good).await, 401, "a second time");
    app.stop().await;
}

#[tokio::test]
async fn a_ticket_is_good_for_nothing_else() {
    let app = App::start().await;
    let token = app.stack.token("admin", "root").unwrap();
    let ticket = ticket(&app, &token).await;
    for path in ["/jobs", "/admin/overview", "/auth/users"] {
        let request = with_token(&app, Method::GET, path, Some(&ticket));
        let refused = refusal(request).await;
        assert_eq!(refused, (401, "unauthenticated".to_owned()), "{path}");
    }
    let request = with_token(&app, Method::POST, "/auth/ticket", Some(&ticket));
    assert_eq!(refusal(request).await.0, 401);
    for path in ["/auth/refresh", "/auth/logout"] {
        let request = with_token(&app, Method::POST, path, None);
        let refused = refusal(request.json(&json!({"refreshToken": ticket}))).await;
        assert_eq!(refused, (401, "unauthenticated".to_owned()), "{path}");
    }
    let report = json!({"jobId": JobId::mint(), "type": "status"});
    let request = with_token(&app, Method::POST, "/jobs/report", Some(&ticket));
    assert_eq!(refusal(request.json(&report)).await.0, 401);
    let hook = format!("/hooks/cog/{ticket}");
    let request = with_token(&app, Method::POST, &hook, None);
    assert_eq!(refusal(request.json(&json!({"id": "p"}))).await.0, 401);
    app.stop().await;
}

/// A ticket for the bearer of this token.
async fn ticket(app: &App, token: &str) -> String {
    let answer = with_token(app, Method::POST, "/auth/ticket", Some(token));
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    body["ticket"].as_str().unwrap().to_owned()
}

/// The status that a handshake with this ticket is answered with.
async fn handshake(app: &App, ticket: &str) -> u16 {
    let address = app.stack.sockets().replacen("ws", "http", 1);
    let request = reqwest::Client::new()
        .get(address)
        .query(&[("ticket", ticket)])
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    request.send().await.unwrap().status().as_u16()
}

fn forged(app: &App, ann: &Value, token: &str, good: &str) -> Vec<(&'static str, String)> {
    let secret = app.stack.secret().as_bytes();
    let ring = KeyRing::single(app.stack.secret()).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let header = json!({"alg": "HS256", "typ": "tutti-ticket+jwt"});
    // Sound, but that nobody was given it.
    let sound = json!({"jti": uuid::Uuid::new_v4(), "exp": now() + 60, "caller": claims("user")});
    let key = derived(secret, b"ticket");
    let made = |header: &Value, claims: &Value, key: &[u8]| mac(&body(header, claims), key);
    let job = JobId::mint();
    let callback = CallbackClaims {
        job,
        render: RenderKey::new(job, Stage::Audio, 1, 0),
        stage: Stage::Audio,
        fence: Fence("1-x".to_owned()),
        exp: now() + 600,
    };
    let none = |alg: &str| format!("{}.", body(&with(&header, "alg", json!(alg)), &sound));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let admin = json!({"jti": sound["jti"], "exp": now() + 60, "caller": claims("admin")});
    vec![
        ("a user's access token", token.to_owned()),
        ("an access token of a session", text(&ann["accessToken"])),
        ("a refresh token", text(&ann["refreshToken"])),
        ("a callback token", callback.sign(&ring).unwrap()),
        ("one that nobody was given", made(&header, &sound, &key)),
        (
            "signed with the secret itself",
            made(&header, &sound, secret),
        ),
        (
            "signed as a refresh token",
            made(&header, &sound, &derived(secret, b"refresh")),
        ),
        (
            "of the type of access tokens",
            made(&with(&header, "typ", json!("at+jwt")), &sound, &key),
        ),
        (
            "of no type",
            made(&with(&header, "typ", Value::Null), &sound, &key),
        ),
        (
            "expired",
            made(&header, &with(&sound, "exp", json!(now() - 60)), &key),
        ),
        (
            "without an end",
            made(&header, &with(&sound, "exp", Value::Null), &key),
        ),
        (
            "without a name",
            made(&header, &with(&sound, "jti", Value::Null), &key),
        ),
        (
            "without a caller",
            made(&header, &with(&sound, "caller", Value::Null), &key),
        ),
        ("alg none", none("none")),
        ("alg nOnE", none("nOnE")),
        (
            "claims of another",
            format!(
                "{}.{}.{}",
                parts[0],
                super::forge::part(admin.to_string()),
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
        ("no token", "ticket".to_owned()),
        ("nothing", String::new()),
    ]
}
