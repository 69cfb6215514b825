//! One user's way: in, on by refreshing, out.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{PASSWORD, done, empty_redis, login, post, refresh, refresh_token};
use super::{session, unlimited, user};
use crate::app::{App, ten_seconds};
use crate::doors::{fields, refused, with_token};
use crate::secrets::PASSWORDS;

#[tokio::test]
async fn a_user_signs_in_goes_on_by_refreshing_and_is_out_when_the_session_has_ended() {
    let app = App::with(unlimited()).await;
    let body = json!({"email": "Ann@Example.com", "username": "ann", "password": PASSWORD, "tenant": "band"});
    let ann = done(&app, Method::POST, "/auth/users", body).await;
    the_right_words_open_the_doors(&app, &ann).await;
    wrong_words_are_refused_alike(&app).await;
    input_that_is_no_login_is_named(&app).await;
    a_second_use_of_a_refresh_token_ends_the_session(&app).await;
    of_many_refreshes_at_once_one_succeeds(&app).await;
    a_logout_ends_the_session_also_when_redis_is_emptied(&app).await;
    a_disabled_user_is_out_and_stays_out_of_old_sessions(&app, &ann).await;
    a_new_password_ends_every_session(&app, &ann).await;
    no_log_has_a_secret(&app);
    app.stop().await;
}

async fn the_right_words_open_the_doors(app: &App, ann: &Value) {
    for name in ["ann@example.com", "ANN@example.com", "ann", "Ann"] {
        let answer = login(app, name, PASSWORD).await;
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let session = session(answer).await;
        assert_eq!(session["user"], *ann);
        assert_eq!(session["expiresIn"], 900);
    }
    let session = session(login(app, "ann", PASSWORD).await).await;
    let token = session["accessToken"].as_str();
    let request = with_token(app, Method::POST, "/jobs", token);
    let answer = request.json(&ten_seconds()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let job: Value = answer.json().await.unwrap();
    assert_eq!(job["userId"], ann["id"]);
    let refresh = Some(refresh_token(&session));
    let answer = with_token(app, Method::GET, "/jobs", refresh);
    refused(answer.send().await.unwrap(), 401, "unauthenticated").await;
    let users = with_token(app, Method::GET, "/auth/users", token);
    refused(users.send().await.unwrap(), 403, "forbidden").await;
}

async fn wrong_words_are_refused_alike(app: &App) {
    let mut seen = Vec::new();
    for (name, password) in [
        ("ann", "wrong password"),
        ("nobody", PASSWORD),
        ("no@body.org", "x"),
    ] {
        let answer = login(app, name, password).await;
        let mut headers = answer.headers().clone();
        headers.remove("x-request-id");
        headers.remove("date");
        let mut problem = refused(answer, 401, "wrong_credentials").await;
        problem.as_object_mut().unwrap().remove("requestId");
        seen.push((headers, problem));
    }
    assert!(seen.iter().all(|answer| *answer == seen[0]), "{seen:?}");
}

async fn input_that_is_no_login_is_named(app: &App) {
    let body = json!({"emailOrUsername": 7, "more": 1});
    let problem = refused(
        post(app, "/auth/login", body).await,
        422,
        "validation_failed",
    )
    .await;
    assert_eq!(
        fields(&problem),
        [
            ("/emailOrUsername", "wrong_type"),
            ("/password", "required"),
            ("/more", "unknown_field"),
        ]
    );
    let long = login(app, "ann", &"x".repeat(1025)).await;
    let problem = refused(long, 422, "validation_failed").await;
    assert_eq!(fields(&problem), [("/password", "too_long")]);
    let url = format!("{}/auth/login", app.stack.api());
    let form = app.http.post(&url).body("a=b").send().await.unwrap();
    refused(form, 415, "unsupported_media_type").await;
    let json = app
        .http
        .post(&url)
        .header("content-type", "application/json");
    refused(json.body("{").send().await.unwrap(), 400, "malformed_json").await;
    refused(refresh(app, "x.y.z").await, 401, "unauthenticated").await;
}

async fn a_second_use_of_a_refresh_token_ends_the_session(app: &App) {
    let first = session(login(app, "ann", PASSWORD).await).await;
    let other = session(login(app, "ann", PASSWORD).await).await;
    let second = session(refresh(app, refresh_token(&first)).await).await;
    assert_eq!(second["user"], first["user"]);
    assert_ne!(second["accessToken"], first["accessToken"]);
    refused(
        refresh(app, refresh_token(&first)).await,
        401,
        "refresh_reused",
    )
    .await;
    for _ in 0..2 {
        empty_redis(app).await;
        let token = refresh_token(&second);
        refused(refresh(app, token).await, 401, "session_ended").await;
    }
    session(refresh(app, refresh_token(&other)).await).await;
    let access = first["accessToken"].as_str().unwrap();
    refused(refresh(app, access).await, 401, "unauthenticated").await;
}

async fn of_many_refreshes_at_once_one_succeeds(app: &App) {
    let first = session(login(app, "ann", PASSWORD).await).await;
    let all = (0..8).map(|_| refresh(app, refresh_token(&first)));
    let answers = join_all(all).await;
    let good = answers.iter().filter(|a| a.status() == StatusCode::OK);
    assert_eq!(good.count(), 1);
}

async fn a_logout_ends_the_session_also_when_redis_is_emptied(app: &App) {
    let first = session(login(app, "ann", PASSWORD).await).await;
    let token = json!({"refreshToken": refresh_token(&first)});
    for _ in 0..2 {
        let answer = post(app, "/auth/logout", token.clone()).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
    empty_redis(app).await;
    refused(
        refresh(app, refresh_token(&first)).await,
        401,
        "session_ended",
    )
    .await;
    let forged = json!({"refreshToken": "x.y.z"});
    refused(
        post(app, "/auth/logout", forged).await,
        401,
        "unauthenticated",
    )
    .await;
}

async fn change(app: &App, user: &Value, body: Value) -> Value {
    let path = format!("/auth/users/{}", user["id"].as_str().unwrap());
    done(app, Method::PATCH, &path, body).await
}

async fn a_disabled_user_is_out_and_stays_out_of_old_sessions(app: &App, ann: &Value) {
    let old = session(login(app, "ann", PASSWORD).await).await;
    let disabled = change(app, ann, json!({"disabled": true})).await;
    assert_eq!(disabled["disabled"], true);
    refused(login(app, "ann", PASSWORD).await, 401, "wrong_credentials").await;
    refused(
        refresh(app, refresh_token(&old)).await,
        401,
        "session_ended",
    )
    .await;
    change(app, ann, json!({"disabled": false})).await;
    refused(
        refresh(app, refresh_token(&old)).await,
        401,
        "session_ended",
    )
    .await;
    session(login(app, "ann", PASSWORD).await).await;
}

async fn a_new_password_ends_every_session(app: &App, ann: &Value) {
    let bob = user(app, "bob@example.com").await;
    let of_bob = session(login(app, "bob@example.com", PASSWORD).await).await;
    let old = session(login(app, "ann", PASSWORD).await).await;
    change(app, ann, json!({"role": "admin"})).await;
    let old = session(refresh(app, refresh_token(&old)).await).await;
    assert_eq!(old["user"]["role"], "admin");
    change(app, ann, json!({"password": "another password"})).await;
    refused(
        refresh(app, refresh_token(&old)).await,
        401,
        "session_ended",
    )
    .await;
    refused(login(app, "ann", PASSWORD).await, 401, "wrong_credentials").await;
    session(login(app, "ann", "another password").await).await;
    let of_bob = session(refresh(app, refresh_token(&of_bob)).await).await;
    assert_eq!(of_bob["user"]["id"], bob["id"]);
}

fn no_log_has_a_secret(app: &App) {
    let log = std::fs::read_to_string(app.stack.logs()).unwrap();
    assert!(log.contains("/auth/login"));
    for secret in PASSWORDS.iter().chain(&["ann@example.com", "eyJ"]) {
        assert!(!log.contains(secret), "the log has {secret}");
    }
}
