//! What is owed survives a loss of Redis.

use std::time::Duration;

use local::{Signal, StackOptions};
use serde_json::json;

use super::receiver::Receiver;
use super::{SECRET, cancelled, delivery, is};
use crate::app::{ALICE, App, PATIENCE};

#[tokio::test]
async fn a_message_arrives_though_redis_was_emptied_between_the_end_and_the_delivery() {
    let app = App::with(StackOptions {
        sweep_every: Duration::from_secs(1),
        ..StackOptions::default()
    })
    .await;
    let receiver = Receiver::start().await;
    receiver.trust("/late", &[SECRET]).await;
    app.stack.kill("deliver", 0, Signal::SIGSTOP).unwrap();
    let id = cancelled(
        &app,
        json!({"url": receiver.url("/late"), "secret": SECRET}),
    )
    .await;
    let due = app.stack.folder().join("artifacts/due").join(&id).join("0");
    assert!(due.exists());
    app.redis::<()>(&["FLUSHALL"]).await;
    app.stack.kill("deliver", 0, Signal::SIGCONT).unwrap();
    let call = receiver.until("/late", 1).await.remove(0);
    assert_eq!(call["good"], json!([0]));
    let over = local::until(PATIENCE, async || (!due.exists()).then_some(())).await;
    over.expect("nothing is owed any more");
    let page = app.get(&format!("/jobs/{id}/deliveries"), ALICE).await;
    let page: serde_json::Value = page.json().await.unwrap();
    assert_eq!(page["gap"], true, "what came before is forgotten");
    delivery(&app, &id, is("delivered")).await;
    app.stop().await;
}

#[tokio::test]
async fn a_message_whose_taker_is_lost_is_taken_again() {
    let app = App::with(StackOptions {
        sweep_every: Duration::from_secs(1),
        ..StackOptions::default()
    })
    .await;
    let receiver = Receiver::start().await;
    receiver.trust("/again", &[SECRET]).await;
    app.stack.kill("deliver", 0, Signal::SIGSTOP).unwrap();
    let id = cancelled(
        &app,
        json!({"url": receiver.url("/again"), "secret": SECRET}),
    )
    .await;
    // As if a taker had died a minute ago; and the bell is lost.
    app.redis::<()>(&["DEL", "{tutti}:message"]).await;
    let lines: Vec<String> = app.redis(&["ZRANGE", "{tutti}:owing", "0", "-1"]).await;
    for line in lines {
        app.redis::<()>(&["ZADD", "{tutti}:owing", "1", &line])
            .await;
    }
    app.stack.kill("deliver", 0, Signal::SIGKILL).unwrap();
    assert_eq!(receiver.until("/again", 1).await[0]["good"], json!([0]));
    delivery(&app, &id, is("delivered")).await;
    app.stop().await;
}
