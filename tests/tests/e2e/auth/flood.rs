//! Somebody tries passwords. The events go to the function directly: the emulator's own have one address.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::stream::{self, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PASSWORD, login, post, user};
use crate::app::App;

const ATTEMPTS: usize = 10_000;
/// Where he sits.
const THERE: &str = "192.0.2.66";

/// Status of one login, and what it says of its limits.
async fn from(app: &App, address: &str, name: &str, password: &str) -> (u64, Value) {
    let body = json!({"emailOrUsername": name, "password": password});
    let event = local::http_event("POST", "/auth/login", address, &body);
    let answer = app.stack.invoke("auth", &event).await.unwrap();
    let status = answer["statusCode"].as_u64().unwrap();
    (status, answer["headers"].clone())
}

#[tokio::test]
async fn ten_thousand_logins_against_one_name_from_one_address_are_limited_and_others_are_not() {
    let app = App::start().await;
    for email in ["ann@example.com", "bob@example.com"] {
        user(&app, email).await;
    }
    let name = |n: usize| format!("guess number {n}");
    let flood = stream::iter(0..ATTEMPTS).map(async |n| {
        // Now and then others sign in: she from elsewhere, and he from the same address.
        if n % (ATTEMPTS / 4) == ATTEMPTS / 8 {
            let elsewhere = format!("198.51.100.{}", n % 251);
            let ann = from(&app, &elsewhere, "ann@example.com", PASSWORD).await;
            let bob = from(&app, THERE, "bob@example.com", PASSWORD).await;
            assert_eq!((ann.0, bob.0), (200, 200), "{ann:?} {bob:?}");
        }
        from(&app, THERE, "ann@example.com", &name(n)).await.0
    });
    let begun = Instant::now();
    let answers: Vec<u64> = flood.buffered(16).collect().await;
    let renewed = usize::try_from(begun.elapsed().as_secs() / 12).unwrap();
    let mut counted: BTreeMap<u64, usize> = BTreeMap::new();
    for status in &answers {
        *counted.entry(*status).or_default() += 1;
    }
    let refused = counted.get(&429).copied().unwrap_or_default();
    let wrong = counted.get(&401).copied().unwrap_or_default();
    assert_eq!(refused + wrong, ATTEMPTS, "{counted:?}");
    // A burst of five, and one more each twelve seconds.
    assert!((5..=6 + renewed).contains(&wrong), "{counted:?}");
    let of_first = answers[..100].iter().filter(|status| **status == 401);
    assert!(of_first.count() <= 6, "limited at once");

    // The right password makes no difference to who is over his limit.
    let (status, headers) = from(&app, THERE, "Ann@Example.com", PASSWORD).await;
    assert_eq!(status, 429);
    assert_eq!(headers["ratelimit-policy"], "\"login\";q=5;w=60");
    let after = headers["retry-after"].as_str().unwrap();
    assert!((1..=12).contains(&after.parse::<u32>().unwrap()), "{after}");
    let state = format!("\"login\";r=0;t={after}");
    assert_eq!(headers["ratelimit"], state);
    let keys: Vec<String> = app.redis(&["KEYS", "*rate:login*"]).await;
    assert!(!keys.is_empty());
    for key in &keys {
        assert!(!key.contains("ann") && !key.contains("192"), "{key}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_caller_cannot_choose_the_address_that_he_is_counted_by() {
    let app = App::start().await;
    let mut last = StatusCode::OK;
    for n in 0..6 {
        let url = format!("{}/auth/login", app.stack.api());
        let body = json!({"emailOrUsername": "ann", "password": "x"});
        let request = app.http.post(url).json(&body);
        let request = request.header("x-forwarded-for", format!("203.0.113.{n}"));
        last = request.send().await.unwrap().status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let other = login(&app, "bob", "x").await;
    assert_eq!(other.headers()["ratelimit"], "\"login\";r=4;t=12");
    let refresh = post(&app, "/auth/refresh", json!({"refreshToken": "x"})).await;
    assert_eq!(
        refresh.headers()["ratelimit-policy"],
        "\"refresh\";q=300;w=60"
    );
    app.stop().await;
}
