//! Users: who makes and changes them, and that it is on record.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{PASSWORD, ask, done, login, session, unlimited, user};
use crate::app::{ALICE, App};
use crate::doors::{fields, refused, with_token};
use crate::secrets::PASSWORDS;

#[tokio::test]
async fn admins_make_and_change_users_and_all_of_it_is_on_record() {
    let app = App::with(unlimited()).await;
    only_an_admin_may(&app).await;
    let ann = user(&app, "ann@example.com").await;
    a_user_is_what_was_asked_for(&app, &ann).await;
    all_that_is_wrong_is_said_at_once(&app).await;
    a_name_is_given_once(&app).await;
    the_list_shows_each_once(&app).await;
    nobody_locks_himself_out(&app).await;
    all_of_it_is_on_record(&app, &ann).await;
    app.stop().await;
}

async fn only_an_admin_may(app: &App) {
    for (method, path) in [
        (Method::GET, "/auth/users"),
        (Method::POST, "/auth/users"),
        (Method::GET, "/auth/service-tokens"),
        (Method::POST, "/auth/service-tokens"),
    ] {
        let answer = app.request(method.clone(), path, ALICE).send().await;
        refused(answer.unwrap(), 403, "forbidden").await;
        let answer = with_token(app, method, path, None).send().await;
        refused(answer.unwrap(), 401, "unauthenticated").await;
    }
}

async fn a_user_is_what_was_asked_for(app: &App, ann: &Value) {
    let mut expected = ann.clone();
    for (name, value) in [
        ("email", json!("ann@example.com")),
        ("role", json!("user")),
        ("disabled", json!(false)),
    ] {
        expected[name] = value;
    }
    assert_eq!(*ann, expected);
    assert_eq!(ann.as_object().unwrap().len(), 6, "{ann}");
    let path = format!("/auth/users/{}", ann["id"].as_str().unwrap());
    assert_eq!(done(app, Method::GET, &path, Value::Null).await, *ann);
    assert_eq!(done(app, Method::PATCH, &path, json!({})).await, *ann);
    let changed = done(app, Method::PATCH, &path, json!({"role": "worker"})).await;
    assert_eq!(changed["role"], "worker");
    assert_ne!(changed["updatedAt"], ann["updatedAt"]);
    let nobody = "/auth/users/0199a1b2-0000-7000-8000-000000000000";
    for (path, status, code) in [
        (nobody, 404, "unknown_user"),
        ("/auth/users/ann", 400, "malformed_id"),
        (
            &path.to_uppercase().replace("/AUTH/USERS", "/auth/users"),
            400,
            "malformed_id",
        ),
    ] {
        let answer = ask(app, Method::GET, path, Value::Null).await;
        refused(answer, status, code).await;
        let answer = ask(app, Method::PATCH, path, json!({"role": "user"})).await;
        refused(answer, status, code).await;
    }
}

async fn all_that_is_wrong_is_said_at_once(app: &App) {
    let body = json!({"email": "x", "username": "a@b", "password": "short", "role": "king"});
    let answer = ask(app, Method::POST, "/auth/users", body).await;
    let problem = refused(answer, 422, "validation_failed").await;
    assert_eq!(
        fields(&problem),
        [
            ("/email", "malformed"),
            ("/username", "malformed"),
            ("/password", "too_short"),
            ("/role", "unknown_value"),
        ]
    );
    let answer = ask(app, Method::POST, "/auth/users", json!([1])).await;
    refused(answer, 422, "validation_failed").await;
    let answer = ask(app, Method::GET, "/auth/users?cursor=x", Value::Null).await;
    let problem = refused(answer, 400, "invalid_query").await;
    assert_eq!(fields(&problem), [("/cursor", "invalid_cursor")]);
}

async fn a_name_is_given_once(app: &App) {
    let make = async |email: &str, username: &str| {
        let body = json!({"email": email, "username": username, "password": PASSWORD});
        ask(app, Method::POST, "/auth/users", body).await
    };
    let made = make("bob@example.com", "bob").await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let location = made.headers()["location"].to_str().unwrap().to_owned();
    let bob = done(app, Method::GET, &location, Value::Null).await;
    assert_eq!(bob["username"], "bob");
    refused(make("BOB@example.com", "robert").await, 409, "name_taken").await;
    refused(make("robert@example.com", "Bob").await, 409, "name_taken").await;
    let made = make("robert@example.com", "robert").await;
    assert_eq!(made.status(), StatusCode::CREATED);
}

async fn the_list_shows_each_once(app: &App) {
    let mut emails = Vec::new();
    let mut path = "/auth/users?limit=2".to_owned();
    loop {
        let page = done(app, Method::GET, &path, Value::Null).await;
        let items = page["items"].as_array().unwrap();
        emails.extend(items.iter().map(|user| user["email"].clone()));
        let Some(cursor) = page["nextCursor"].as_str() else {
            break;
        };
        path = format!("/auth/users?limit=2&cursor={cursor}");
    }
    let expected = ["ann@example.com", "bob@example.com", "robert@example.com"];
    assert_eq!(emails, expected);
}

async fn nobody_locks_himself_out(app: &App) {
    let body = json!({"email": "boss@example.com", "password": PASSWORD, "role": "admin"});
    let boss = done(app, Method::POST, "/auth/users", body).await;
    let session = session(login(app, "boss@example.com", PASSWORD).await).await;
    let path = format!("/auth/users/{}", boss["id"].as_str().unwrap());
    let change = async |body: Value| {
        let token = session["accessToken"].as_str();
        let request = with_token(app, Method::PATCH, &path, token);
        request.json(&body).send().await.unwrap()
    };
    for body in [json!({"disabled": true}), json!({"role": "user"})] {
        refused(change(body).await, 409, "own_account").await;
    }
    let own = change(json!({"password": "another password", "role": "admin"})).await;
    assert_eq!(own.status(), StatusCode::OK);
}

async fn all_of_it_is_on_record(app: &App, ann: &Value) {
    let page = done(app, Method::GET, "/admin/audit", Value::Null).await;
    let entries = page["items"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| &entry["action"]).collect();
    let (change, create) = (&json!("user.change"), &json!("user.create"));
    assert_eq!(actions, [change, create, create, create, change, create]);
    assert_eq!(entries[0]["after"]["password"], "changed");
    let made = entries.last().unwrap();
    assert_eq!((&made["target"], &made["after"]), (&ann["id"], ann));
    assert_eq!(made["who"], "ops");
    let text = page.to_string();
    assert!(!PASSWORDS.iter().any(|secret| text.contains(secret)));
}
