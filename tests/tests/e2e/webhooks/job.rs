//! The webhook of one job.

use chrono::Utc;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{OTHER, SECRET, cancelled, deliveries, delivery, is, tried};
use crate::app::{ALICE, App, ten_seconds};
use crate::doors::{fields, refused};

#[tokio::test]
async fn the_end_of_a_job_arrives_once_and_the_published_library_believes_it() {
    let (app, receiver) = (App::start().await, Receiver::start().await);
    receiver.trust("/done", &[SECRET]).await;
    let mut body = ten_seconds();
    body["tags"] = json!(["demo"]);
    body["webhook"] = json!({"url": receiver.url("/done"), "secret": SECRET});
    let id = app.submit(body).await;
    let job = app.until_completed(&id).await;
    let shown = json!({"url": receiver.url("/done"), "events": ["job.completed", "job.failed", "job.cancelled", "job.expired"]});
    assert_eq!(job["webhook"], shown);

    let call = receiver.until("/done", 1).await.remove(0);
    assert_eq!(call["good"], json!([0]), "{call:#}");
    assert!(call["bytes"].as_u64().unwrap() < 20 * 1024);
    let (headers, message) = (&call["headers"], &call["message"]);
    assert_eq!(headers["webhook-id"], format!("msg_{id}_0_job"));
    let sent: i64 = headers["webhook-timestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((Utc::now().timestamp() - sent).abs() < 60);
    assert_eq!(headers["x-request-id"], job["requestId"]);
    assert!(headers["traceparent"].as_str().unwrap().starts_with("00-"));
    assert_eq!(message["type"], "job.completed");
    assert_eq!(message["timestamp"], job["completedAt"]);
    let data = &message["data"];
    for name in [
        "jobId",
        "userId",
        "status",
        "tags",
        "duration",
        "seed",
        "attempt",
        "seq",
        "usage",
        "completedAt",
    ] {
        assert_eq!(data[name], job[name], "{name}");
    }
    for name in ["narrative", "options", "plan", "webhook"] {
        assert_eq!(data[name], Value::Null, "{name}");
    }
    assert_eq!(data["track"]["sha256"], job["track"]["sha256"]);
    assert_eq!(data["track"]["waveform"], Value::Null);
    // Its link needs no token.
    let audio = app.http.get(data["track"]["url"].as_str().unwrap());
    assert_eq!(audio.send().await.unwrap().status(), 200);

    let log = delivery(&app, &id, is("delivered")).await;
    assert_eq!(log["url"], format!("{}/done", receiver.base));
    assert_eq!(
        (&log["id"], &log["target"]),
        (&headers["webhook-id"], &json!("job"))
    );
    assert_eq!(log["attempts"][0]["status"], 204);
    assert_eq!((&log["nextAt"], tried(2)(&log)), (&Value::Null, false));
    app.stack.sweep().await.unwrap();
    assert_eq!(receiver.calls("/done").await.len(), 1);
    for secret in ["hunter2", &SECRET[6..]] {
        assert_eq!(app.logged(&[secret]), Vec::<Value>::new());
    }
    app.stop().await;
}

#[tokio::test]
async fn a_message_under_another_secret_is_refused_by_its_receiver_and_sent_again_by_hand() {
    let (app, receiver) = (App::start().await, Receiver::start().await);
    receiver.trust("/spoilt", &[OTHER]).await;
    let id = cancelled(
        &app,
        json!({"url": receiver.url("/spoilt"), "secret": SECRET}),
    )
    .await;
    let log = delivery(&app, &id, tried(1)).await;
    assert_eq!(log["attempts"][0]["reason"], "401 Unauthorized");
    assert_eq!(receiver.calls("/spoilt").await[0]["good"], json!([]));

    receiver.trust("/spoilt", &[SECRET]).await;
    let path = format!("/jobs/{id}/deliveries/redeliver");
    let one = json!({"id": log["id"]});
    let again = app.post(&path, ALICE, &one).await;
    assert_eq!(again.status(), 202);
    let log = delivery(&app, &id, is("delivered")).await;
    assert_eq!(log["attempts"].as_array().unwrap().len(), 2);
    let again = app.post(&path, ALICE, &one).await;
    let pause = again.headers()["retry-after"].to_str().unwrap().to_owned();
    assert!((30..=60).contains(&pause.parse().unwrap()), "{pause}");
    refused(again, 429, "rate_limited").await;
    let calls = receiver.calls("/spoilt").await;
    assert_eq!(calls.len(), 2);
    assert!(
        calls
            .iter()
            .all(|call| call["headers"]["webhook-id"] == log["id"])
    );
    assert_eq!(calls[1]["good"], json!([0]));

    let unknown = json!({"id": format!("msg_{id}_7_job")});
    refused(
        app.post(&path, ALICE, &unknown).await,
        404,
        "unknown_delivery",
    )
    .await;
    let wrong = refused(
        app.post(&path, ALICE, &json!({"id": 7})).await,
        422,
        "validation_failed",
    )
    .await;
    assert_eq!(fields(&wrong), [("/id", "wrong_type")]);
    let bobs = app.post(&path, "bob", &one).await;
    refused(bobs, 404, "unknown_job").await;
    app.stop().await;
}

#[tokio::test]
async fn a_job_is_told_of_the_ends_that_were_asked_for_and_of_each_end_anew() {
    let (app, receiver) = (App::start().await, Receiver::start().await);
    receiver.trust("/failed", &[SECRET]).await;
    receiver.trust("/all", &[SECRET]).await;
    let hook = json!({"url": receiver.url("/failed"), "events": ["job.failed"], "secret": SECRET});
    let silent = cancelled(&app, hook).await;
    let all = cancelled(&app, json!({"url": receiver.url("/all"), "secret": SECRET})).await;
    delivery(&app, &all, is("delivered")).await;
    assert_eq!(deliveries(&app, &silent).await, Vec::<Value>::new());
    assert_eq!(receiver.calls("/failed").await.len(), 0);

    let redeliver = format!("/jobs/{all}/deliveries/redeliver");
    let retry = app
        .post(&format!("/jobs/{all}/retry"), ALICE, &json!(null))
        .await;
    assert_eq!(retry.status(), 202);
    refused(
        app.post(&redeliver, ALICE, &json!({})).await,
        409,
        "not_ended",
    )
    .await;
    app.until_completed(&all).await;
    let calls = receiver.until("/all", 2).await;
    let told: Vec<_> = calls
        .iter()
        .map(|call| (&call["headers"]["webhook-id"], &call["message"]["type"]))
        .collect();
    let ids = [format!("msg_{all}_0_job"), format!("msg_{all}_1_job")].map(Value::from);
    let types = ["job.cancelled", "job.completed"].map(Value::from);
    assert_eq!(told, [(&ids[0], &types[0]), (&ids[1], &types[1])]);
    delivery(&app, &all, is("delivered")).await;

    let delete = app.request(reqwest::Method::DELETE, &format!("/jobs/{all}"), ALICE);
    assert_eq!(delete.send().await.unwrap().status(), 204);
    let due = app.stack.folder().join("artifacts/due").join(&all);
    assert_eq!(std::fs::read_dir(due).unwrap().count(), 0);
    app.stop().await;
}
