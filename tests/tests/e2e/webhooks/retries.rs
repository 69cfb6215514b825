//! What fails is tried again, and the log says why it failed.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::receiver::Receiver;
use super::{SECRET, cancelled, delivery, is, tried};
use crate::app::App;

fn at(attempt: &Value) -> DateTime<Utc> {
    attempt["at"].as_str().unwrap().parse().unwrap()
}

/// Seconds until the next try.
fn pause(log: &Value, attempt: usize) -> i64 {
    let next: DateTime<Utc> = log["nextAt"].as_str().unwrap().parse().unwrap();
    (next - at(&log["attempts"][attempt])).num_seconds()
}

#[tokio::test]
async fn what_fails_is_tried_again_later_and_later_and_the_log_says_why() {
    let (app, receiver) = (App::start().await, Receiver::start().await);
    let hook = |path: &str| json!({"url": receiver.url(path), "secret": SECRET});
    receiver.trust("/twice", &[SECRET]).await;
    receiver
        .answer("/twice", json!([{"status": 500}, {"status": 204}]))
        .await;
    receiver.answer("/thrice", json!([{"status": 413}])).await;
    let (twice, thrice) = (
        cancelled(&app, hook("/twice")).await,
        cancelled(&app, hook("/thrice")).await,
    );
    // Meanwhile, what one try says.
    for (path, answer, reason) in [
        ("/large", json!({"status": 413}), "413 Payload Too Large"),
        (
            "/moved",
            json!({"status": 302, "headers": {"location": "https://example.com/new?a=1"}}),
            "redirect to example.com",
        ),
        ("/lost", json!({"status": 404}), "404 Not Found"),
    ] {
        receiver.answer(path, json!([answer])).await;
        let id = cancelled(&app, hook(path)).await;
        let log = delivery(&app, &id, tried(1)).await;
        assert_eq!(
            (&log["state"], &log["attempts"][0]["reason"]),
            (&json!("pending"), &json!(reason))
        );
        assert!((3..=6).contains(&pause(&log, 0)), "{log:#}");
    }
    receiver.answer("/gone", json!([{"status": 410}])).await;
    let id = cancelled(&app, hook("/gone")).await;
    let log = delivery(&app, &id, is("given_up")).await;
    assert_eq!(log["attempts"][0]["reason"], "410 Gone");
    receiver
        .answer(
            "/busy",
            json!([{"status": 429, "headers": {"retry-after": "7200"}}]),
        )
        .await;
    let id = cancelled(&app, hook("/busy")).await;
    let log = delivery(&app, &id, tried(1)).await;
    assert!((7_195..=7_205).contains(&pause(&log, 0)), "{log:#}");
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let id = cancelled(
        &app,
        json!({"url": format!("http://{nobody}/"), "secret": SECRET}),
    )
    .await;
    let log = delivery(&app, &id, tried(1)).await;
    let reason = log["attempts"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("no connection: "), "{reason}");
    assert_eq!(log["attempts"][0]["status"], Value::Null);

    let log = delivery(&app, &twice, is("delivered")).await;
    let attempts = log["attempts"].as_array().unwrap();
    assert_eq!(attempts[0]["reason"], "500 Internal Server Error");
    assert!((at(&attempts[1]) - at(&attempts[0])).num_milliseconds() >= 4_500);
    let calls = receiver.calls("/twice").await;
    let (first, second) = (&calls[0]["headers"], &calls[1]["headers"]);
    assert_eq!(first["webhook-id"], second["webhook-id"]);
    assert_ne!(first["webhook-timestamp"], second["webhook-timestamp"]);
    assert_eq!(calls[1]["good"], json!([0]));
    let log = delivery(&app, &thrice, tried(2)).await;
    assert!((265..=335).contains(&pause(&log, 1)), "{log:#}");
    app.stop().await;
}
