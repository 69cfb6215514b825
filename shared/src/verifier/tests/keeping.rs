//! When the issuer is asked for its keys, and what holds while it does not answer.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::future::join_all;

use super::*;
use crate::verifier::jwks::Jwks;

/// An issuer that answers as it is told, and counts.
#[derive(Clone, Default)]
struct Stage {
    answer: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Stage {
    async fn jwks(&self) -> Jwks {
        let app = Router::new()
            .route("/", get(Self::serve))
            .with_state(self.clone());
        Jwks::new(serve(app).await, crate::models::http_client().unwrap())
    }

    async fn serve(State(stage): State<Self>) -> Response {
        stage.asked.fetch_add(1, SeqCst);
        let answer = stage.answer.lock().unwrap().clone();
        let down = StatusCode::BAD_GATEWAY;
        answer.map_or_else(|| down.into_response(), String::into_response)
    }

    fn lists(&self, keys: &[&Pair]) {
        let keys: Vec<_> = keys.iter().map(|pair| &pair.0.jwk).collect();
        *self.answer.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }

    fn fails(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

async fn has(jwks: &Jwks, kid: &str, now: u64) -> Result<bool, Unverified> {
    let keys = jwks.find(Some(kid), now).await?;
    Ok(keys.fitting(Some(kid)).next().is_some())
}

#[tokio::test]
async fn keys_are_fetched_once_in_ten_minutes() {
    let (stage, pair) = (Stage::default(), Pair::new(Algorithm::ES256, "a"));
    stage.lists(&[&pair]);
    let jwks = stage.jwks().await;
    for (now, asked) in [(1000, 1), (1599, 1), (1600, 2), (2199, 2)] {
        assert_eq!(
            (has(&jwks, "a", now).await, stage.asked()),
            (Ok(true), asked),
            "{now}"
        );
    }
}

#[tokio::test]
async fn an_unknown_name_is_asked_for_at_most_once_a_minute() {
    let stage = Stage::default();
    let (old, new) = (
        Pair::new(Algorithm::ES256, "a"),
        Pair::new(Algorithm::ES256, "b"),
    );
    stage.lists(&[&old]);
    let jwks = stage.jwks().await;
    assert_eq!(has(&jwks, "a", 1000).await, Ok(true));
    stage.lists(&[&old, &new]);
    for (now, found, asked) in [(1059, false, 1), (1060, true, 2), (1061, true, 2)] {
        assert_eq!(
            (has(&jwks, "b", now).await, stage.asked()),
            (Ok(found), asked),
            "{now}"
        );
    }
    for n in 0..100 {
        assert_eq!(has(&jwks, &format!("guess-{n}"), 1119).await, Ok(false));
    }
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn those_who_come_together_share_one_fetch() {
    let (stage, pair) = (Stage::default(), Pair::new(Algorithm::ES256, "a"));
    for (working, asked) in [(false, 1), (true, 2)] {
        let now = 1000 * asked as u64;
        match working {
            true => stage.lists(&[&pair]),
            false => stage.fails(),
        }
        let jwks = stage.jwks().await;
        let answers = join_all((0..50).map(|_| has(&jwks, "a", now))).await;
        assert!(answers.iter().all(|answer| answer.is_ok() == working));
        assert_eq!(stage.asked(), asked);
    }
}

#[tokio::test]
async fn keys_serve_for_a_day_while_the_issuer_is_down() {
    let (stage, pair) = (Stage::default(), Pair::new(Algorithm::ES256, "a"));
    stage.lists(&[&pair]);
    let jwks = stage.jwks().await;
    assert_eq!(has(&jwks, "a", 1000).await, Ok(true));
    stage.fails();
    for (now, asked) in [(1600, 2), (1659, 2), (1660, 3), (1000 + 86_399, 4)] {
        assert_eq!(
            (has(&jwks, "a", now).await, stage.asked()),
            (Ok(true), asked),
            "{now}"
        );
    }
    let day = 1000 + 86_400;
    assert_eq!(
        has(&jwks, "a", day).await,
        Err(Unverified::IssuerUnavailable)
    );
    stage.lists(&[&pair]);
    assert_eq!(has(&jwks, "a", day + 4).await, Ok(true));
}

#[tokio::test]
async fn without_any_keys_the_issuer_is_asked_every_five_seconds() {
    let (stage, pair) = (Stage::default(), Pair::new(Algorithm::ES256, "a"));
    let jwks = stage.jwks().await;
    for (now, asked) in [(1000, 1), (1004, 1), (1005, 2)] {
        let answer = has(&jwks, "a", now).await;
        assert_eq!(
            (answer, stage.asked()),
            (Err(Unverified::IssuerUnavailable), asked),
            "{now}"
        );
    }
    stage.lists(&[&pair]);
    assert_eq!(has(&jwks, "a", 1010).await, Ok(true));
}

#[tokio::test]
async fn an_answer_that_is_no_set_of_keys_is_none() {
    let pair = Pair::new(Algorithm::ES256, "a");
    let good = json!({"keys": [pair.jwk()]}).to_string();
    let padded = |bytes: usize| format!("{good}{}", " ".repeat(bytes - good.len()));
    let many = |count: usize| json!({"keys": vec![pair.jwk(); count]}).to_string();
    for (answer, is_taken) in [
        (padded(256 * 1024), true),
        (padded(256 * 1024 + 1), false),
        (many(100), true),
        (many(101), false),
        ("[]".to_owned(), false),
        ("{}".to_owned(), false),
        ("<html>".to_owned(), false),
    ] {
        let stage = Stage::default();
        let shown = answer[..answer.len().min(60)].to_owned();
        *stage.answer.lock().unwrap() = Some(answer);
        assert_eq!(
            has(&stage.jwks().await, "a", 1000).await.is_ok(),
            is_taken,
            "{shown}"
        );
    }
}

#[tokio::test]
async fn no_redirect_is_followed_and_no_silence_endured() {
    let pair = Pair::new(Algorithm::ES256, "a");
    let document = json!({"keys": [pair.jwk()]}).to_string();
    let app = Router::new()
        .route("/", get(async || Redirect::temporary("/keys")))
        .route("/keys", get(async move || document))
        .route("/silent", get(std::future::pending::<()>));
    let base = serve(app).await;
    for (path, is_taken) in [("keys", true), ("", false), ("silent", false)] {
        let url = base.join(path).unwrap();
        let jwks = Jwks::new(url, crate::models::http_client().unwrap());
        let answer = tokio::time::timeout(Duration::from_secs(5), has(&jwks, "a", 1000));
        assert_eq!(answer.await.unwrap().is_ok(), is_taken, "{path}");
    }
}

#[tokio::test]
async fn nobody_is_asked_on_behalf_of_a_token_that_cannot_pass() {
    let (stage, pair) = (Stage::default(), Pair::new(Algorithm::ES256, "a"));
    stage.lists(&[&pair]);
    let app = Router::new()
        .route("/", get(Stage::serve))
        .with_state(stage.clone());
    let verifier = verifier(serve(app).await.as_str());
    let changed = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        pair.token(&pair.header(), &claims)
    };
    let mut id_token = pair.header();
    id_token.typ = Some("id+jwt".to_owned());
    for token in [
        "nonsense".to_owned(),
        format!("{}.x", pair.good()),
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA".to_owned(),
        changed("iss", json!("https://else.example")),
        changed("exp", json!(now() - 60)),
        pair.token(&id_token, &claims()),
    ] {
        assert!(verdict(&verifier, &token).await.is_err(), "{token}");
    }
    assert_eq!(stage.asked(), 0);
    assert!(verdict(&verifier, &pair.good()).await.is_ok());
    assert_eq!(stage.asked(), 1);
}
