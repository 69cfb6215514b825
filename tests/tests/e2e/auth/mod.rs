//! Signing in: sessions, users, tokens of services, limits, and what stands still when a part is down.

mod admin;
mod down;
mod flood;
mod sessions;
mod tokens;
mod users;

use local::StackOptions;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::App;
use crate::doors::with_token;
use crate::secrets::PASSWORDS;

const PASSWORD: &str = "correct horse battery";
/// A stack that counts no attempts.
pub(crate) fn unlimited() -> StackOptions {
    let names = ["LOGIN_RATE", "LOGIN_ADDRESS_RATE", "LOGIN_NAME_RATE"];
    let off = |name: &str| (name.to_owned(), "0".to_owned());
    StackOptions {
        env: names.map(off).to_vec(),
        ..StackOptions::default()
    }
}

/// A request of an operator.
async fn ask(app: &App, method: Method, path: &str, body: Value) -> Response {
    let token = app.stack.token("admin", "ops").unwrap();
    let request = with_token(app, method, path, Some(&token));
    let request = match body {
        Value::Null => request,
        body => request.json(&body),
    };
    request.send().await.unwrap()
}

/// The answer to what an operator may do.
async fn done(app: &App, method: Method, path: &str, body: Value) -> Value {
    let answer = ask(app, method, path, body).await;
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    assert!(
        !PASSWORDS.iter().any(|secret| text.contains(secret)),
        "{text}"
    );
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// A user of this address, as the API answers it.
pub(crate) async fn user(app: &App, email: &str) -> Value {
    let body = json!({"email": email, "password": PASSWORD});
    done(app, Method::POST, "/auth/users", body).await
}

pub(crate) async fn post(app: &App, path: &str, body: Value) -> Response {
    let request = with_token(app, Method::POST, path, None).json(&body);
    request.send().await.unwrap()
}

pub(crate) async fn login(app: &App, name: &str, password: &str) -> Response {
    let body = json!({"emailOrUsername": name, "password": password});
    post(app, "/auth/login", body).await
}

pub(crate) async fn refresh(app: &App, token: &str) -> Response {
    post(app, "/auth/refresh", json!({"refreshToken": token})).await
}

/// The body of an answer that is a session.
pub(crate) async fn session(answer: Response) -> Value {
    let status = answer.status();
    let session: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{session}");
    session
}

fn refresh_token(session: &Value) -> &str {
    session["refreshToken"].as_str().unwrap()
}

async fn empty_redis(app: &App) {
    let _: String = app.redis(&["FLUSHALL"]).await;
}
