//! The first admin, from the configuration.

use local::{LocalAdmin, StackOptions};
use reqwest::Method;
use serde_json::json;

use super::{login, session, unlimited};
use crate::app::App;
use crate::doors::{refused, with_token};

#[tokio::test]
async fn the_first_admin_is_made_once_whatever_the_configuration_says_later() {
    let admin = LocalAdmin {
        email: "admin@example.com".to_owned(),
        password: "as configured".to_owned(),
    };
    let mut options = unlimited();
    options.env.extend(admin.env().await.unwrap());
    let scratch = local::Scratch::new().unwrap();
    options.folder = Some(scratch.path().to_owned());

    let app = App::with(options.clone()).await;
    let made = session(login(&app, &admin.email, &admin.password).await).await;
    assert_eq!(made["user"]["role"], "admin");
    let path = format!("/auth/users/{}", made["user"]["id"].as_str().unwrap());
    let own = with_token(&app, Method::PATCH, &path, made["accessToken"].as_str());
    let own = own
        .json(&json!({"password": "as he wants it"}))
        .send()
        .await;
    assert!(own.unwrap().status().is_success());
    app.stop().await;

    let app = App::with(options).await;
    let old = login(&app, &admin.email, &admin.password).await;
    refused(old, 401, "wrong_credentials").await;
    session(login(&app, &admin.email, "as he wants it").await).await;
    app.stop().await;
}

#[tokio::test]
async fn a_hash_without_an_address_keeps_the_functions_from_starting() {
    let hash = local::hash_password("correct horse battery").await.unwrap();
    let options = StackOptions {
        env: vec![("ADMIN_PASSWORD_HASH".to_owned(), hash.clone())],
        ..StackOptions::default()
    };
    let error = local::Stack::start(options).await.unwrap_err().to_string();
    assert!(error.contains("ADMIN_EMAIL"), "{error}");
    assert!(!error.contains(&hash), "{error}");
}
