//! Tokens that somebody made, changed or took from elsewhere: none of them opens a door, and none leaves anything behind.
//!
//! `forge` writes tokens by hand, `issuer` plays another issuer and an impostor, `access` lists what is sent as an access token,
//! `reports` what is sent in the name of a model or with a link, `sessions` what is sent as a refresh token, `tickets` what is brought to the socket gateway.

mod access;
mod forge;
mod issuer;
mod reports;
mod sessions;
mod tickets;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;

use futures_util::{StreamExt, stream};
use local::StackOptions;
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::doors::{held_by_the_model, kept, quiet};
use crate::routes::{Route, routes};
use access::Forger;
use issuer::Issuer;

/// The ring of the stack: the first key signs, both verify.
const KID: &str = "one";
const SECRET: &str = "a-secret-of-more-than-thirty-two-bytes";
const OTHER_KID: &str = "two";
const OTHER_SECRET: &str = "the-next-secret-of-more-than-thirty-two-bytes";

/// Requests at a time; one process serves 16.
const TOGETHER: usize = 12;
/// Functions that judge tokens, and so may ask the issuer.
const JUDGES: usize = 5;

#[tokio::test]
async fn no_forged_token_opens_a_door() {
    let issuer = Issuer::start().await;
    let app = App::with(options(&issuer)).await;
    let (completed, _) = app.compose(json!({"renderSeconds": 0})).await;
    let (held, callback) = held_by_the_model(&app).await;
    let before = kept(&app).await;
    let state = [app.job(&held).await, app.job(&completed).await].map(without_link);

    let mut tried = forged_access_tokens(&app, &issuer, &completed).await;
    tried.extend(reports::all(&app, &held, &callback, &completed).await);
    every_turned_bit_is_noticed(&app, &issuer).await;
    a_doubled_header_opens_nothing(&app, &issuer).await;
    tried.extend([
        "header doubled",
        "header doubled, one of them Basic",
        "bits turned",
    ]);

    println!("{} cases, all refused", tried.len());
    assert!(tried.len() >= 150);
    let (files, keys) = kept(&app).await;
    assert_eq!(files, before.0, "a file was stored or removed");
    assert_eq!(keys.difference(&before.1).next(), None, "a key was stored");
    let mut gone = before.1.difference(&keys);
    assert!(gone.all(|key| is_short_lived(key)), "a key was removed");
    let after = [app.job(&held).await, app.job(&completed).await].map(without_link);
    assert_eq!(after, state, "a job was changed");
    assert_eq!(issuer.trapped(), 0, "somebody followed a header");
    let asked = issuer.asked.load(SeqCst);
    assert!(
        (1..=2 * JUDGES).contains(&asked),
        "the issuer was asked {asked} times"
    );

    reports::the_unspoilt_callback_token_is_accepted(&app, &held, &callback).await;
    the_unspoilt_tokens_are_accepted(&app, &issuer, &completed).await;
    app.stop().await;
}

/// What an acquire answered and how fast a caller is are remembered for a minute, which all these attacks may take.
fn is_short_lived(key: &str) -> bool {
    ["{tutti}:call:", "{tutti}:rate:"]
        .iter()
        .any(|kind| key.starts_with(kind))
}

fn options(issuer: &Issuer) -> StackOptions {
    let mut options = quiet();
    let ring = format!("{KID}:{SECRET},{OTHER_KID}:{OTHER_SECRET}");
    // The app's own tokens have no name, and are good under any.
    options.secret = Some(SECRET.to_owned());
    options.env = issuer.env();
    options.env.extend([
        ("JWT_SECRET".to_owned(), String::new()),
        ("JWT_SECRETS".to_owned(), ring),
    ]);
    options
}

fn without_link(mut job: Value) -> Value {
    job["track"]["url"].take();
    job
}

/// Every address that asks for an access token, as docs/api.md lists them.
fn doors() -> Vec<Route> {
    let mut doors = routes();
    doors.retain(|route| route.status("nobody") == 401 && !route.holds_token());
    doors
}

/// The role that opens this door.
fn role(route: &Route) -> &'static str {
    match route.status("admin") {
        ..300 => "admin",
        _ => "orchestrator",
    }
}

async fn forged_access_tokens(app: &App, issuer: &Issuer, job: &str) -> BTreeSet<&'static str> {
    let mut attempts = Vec::new();
    for route in doors() {
        let cases = Forger::new(issuer, role(&route)).all();
        for (name, value) in cases {
            let request = dressed(route.request(app, job, "", ""), value.as_deref());
            attempts.push((name, route.name.clone(), request));
        }
    }
    let names = attempts.iter().map(|(name, ..)| *name).collect();
    let refusals = stream::iter(attempts).map(async |(name, door, request)| {
        let refusal = refusal(request).await;
        (refusal != (401, "unauthenticated".to_owned()))
            .then(|| format!("{door}, {name}: {refusal:.200?}"))
    });
    let wrong: Vec<_> = refusals.buffer_unordered(TOGETHER).collect().await;
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    names
}

/// A request with this `Authorization`.
fn dressed(request: RequestBuilder, value: Option<&str>) -> RequestBuilder {
    match value {
        Some(value) => {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.header("authorization", value)
        }
        None => request,
    }
}

/// As API Gateway hands it over, joined by commas; the emulator hands over the first alone.
async fn a_doubled_header_opens_nothing(app: &App, issuer: &Issuer) {
    let good = format!("Bearer {}", Forger::new(issuer, "admin").good());
    for (authorization, status) in [
        (good.clone(), 200),
        (format!("{good},{good}"), 401),
        (format!("{good},Basic YTpi"), 401),
        (format!("Basic YTpi,{good}"), 401),
    ] {
        let event = json!({
            "version": "2.0", "routeKey": "GET /admin/overview", "rawPath": "/admin/overview", "rawQueryString": "",
            "headers": {"authorization": authorization, "host": "tutti.example"}, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "tutti.example", "domainPrefix": "tutti", "requestId": "r",
                "routeKey": "GET /admin/overview", "stage": "$default", "time": "26/Nov/2026:18:00:00 +0000", "timeEpoch": 0,
                "http": {"method": "GET", "path": "/admin/overview", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "t"},
            },
        });
        let answer = app.stack.invoke("admin", &event).await.unwrap();
        assert_eq!(answer["statusCode"], status, "{answer}");
    }
}

/// Status and code of a refusal, which must be a problem.
async fn refusal(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or(&text).to_owned())
}

async fn every_turned_bit_is_noticed(app: &App, issuer: &Issuer) {
    let forger = Forger::new(issuer, "admin");
    let mut tokens: Vec<String> = Vec::new();
    for (_, token) in forger.sound() {
        tokens.extend(forge::flipped(&token));
    }
    assert!(tokens.len() > 500, "{}", tokens.len());
    let url = format!("{}/jobs", app.stack.api());
    let answers = stream::iter(tokens).map(async |token| {
        let refusal = refusal(app.http.get(&url).bearer_auth(&token)).await;
        (refusal.0 != 401).then(|| format!("{token}: {refusal:?}"))
    });
    let wrong: Vec<_> = answers.buffer_unordered(TOGETHER).collect().await;
    assert_eq!(
        wrong.into_iter().flatten().collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

/// The control: what is refused above is refused for what is wrong with it.
async fn the_unspoilt_tokens_are_accepted(app: &App, issuer: &Issuer, job: &str) {
    let (last, doors): (Vec<_>, Vec<_>) = doors()
        .into_iter()
        .partition(|route| route.name.starts_with("DELETE"));
    for route in doors.iter().chain(&last) {
        let mut sound = Forger::new(issuer, role(route)).sound();
        if route.name.starts_with("DELETE") {
            sound.truncate(1);
        }
        for (name, token) in sound {
            let request = route.request(app, job, "", "").bearer_auth(token);
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            // A job is neither a user nor a token nor a webhook: whoever hears that was let in.
            let unknown = ["unknown_user", "unknown_token", "unknown_webhook"];
            let asked = unknown.iter().any(|code| text.contains(code));
            let is_in = asked || !matches!(status, 401 | 403 | 404 | 405 | 500..);
            assert!(is_in, "{}, {name}: {status} {text}", route.name);
        }
    }
}
