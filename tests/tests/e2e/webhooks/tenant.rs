//! The endpoints of a tenant, and its secrets.

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{admin, cancelled, deliveries, delivery, is};
use crate::app::{ALICE, App, Model, PATIENCE, ten_seconds};
use crate::doors::fields;

#[tokio::test]
async fn a_tenant_is_told_of_all_its_jobs_and_changes_its_secret_without_a_gap() {
    let (app, receiver) = (App::start().await, Receiver::start().await);
    let (first, endpoint) = the_first_endpoint_brings_the_first_secret(&app, &receiver).await;
    a_filter_holds(&app, &receiver).await;
    both_secrets_sign_until_the_old_one_ends(&app, &receiver, &first).await;
    an_endpoint_is_disabled_by_410_and_enabled_by_hand(&app, &receiver, &endpoint).await;
    there_are_bounds(&app, &receiver, &endpoint).await;
    all_of_it_is_on_record_and_nothing_secret(&app, &first).await;
    app.stop().await;
}

async fn create(app: &App, url: &str, events: Value) -> Value {
    let body = json!({"url": url, "events": events});
    let (status, created) = admin(app, Method::POST, "", body).await;
    assert_eq!(status, 201, "{created:#}");
    created
}

async fn the_first_endpoint_brings_the_first_secret(
    app: &App,
    receiver: &Receiver,
) -> (String, String) {
    let created = create(app, &receiver.url("/all"), json!(null)).await;
    let secret = created["secret"]["secret"].as_str().unwrap();
    assert_eq!(created["events"].as_array().unwrap().len(), 4);
    let (status, listed) = admin(app, Method::GET, "", json!(null)).await;
    assert_eq!(
        (status, &listed["secrets"][0]["id"]),
        (200, &created["secret"]["id"])
    );
    assert!(!listed.to_string().contains("whsec_"), "{listed:#}");

    receiver.trust("/all", &[secret]).await;
    let id = app.submit(ten_seconds()).await;
    app.until_completed(&id).await;
    let call = receiver.until("/all", 1).await.remove(0);
    assert_eq!(call["good"], json!([0]));
    let endpoint = created["id"].as_str().unwrap().to_owned();
    assert_eq!(
        call["headers"]["webhook-id"],
        format!("msg_{id}_0_{endpoint}")
    );
    let log = delivery(app, &id, is("delivered")).await;
    assert_eq!(log["target"], json!(endpoint));
    // Jobs of others are their business.
    let bobs = app.post("/jobs", "bob", &ten_seconds()).await;
    let bobs: Value = bobs.json().await.unwrap();
    let path = format!("/jobs/{}/cancel", bobs["jobId"].as_str().unwrap());
    assert_eq!(app.post(&path, "bob", &json!(null)).await.status(), 200);
    (secret.to_owned(), endpoint)
}

async fn a_filter_holds(app: &App, receiver: &Receiver) {
    let created = create(app, &receiver.url("/failed"), json!(["job.failed"])).await;
    assert_eq!(created["secret"], Value::Null, "the tenant has one");
    let id = cancelled(app, json!(null)).await;
    delivery(app, &id, is("delivered")).await;
    let broken = json!({"failStatus": 400, "failTimes": 1});
    app.faults(Model::Muscgen, broken).await;
    let id = app.submit(ten_seconds()).await;
    assert_eq!(app.until_ended(&id).await["status"], "failed");
    let call = receiver.until("/failed", 1).await.remove(0);
    assert_eq!(
        call["headers"]["webhook-id"],
        format!("msg_{id}_0_{}", created["id"].as_str().unwrap())
    );
    assert_eq!(receiver.until("/all", 3).await.len(), 3);
    let path = format!("/{}", created["id"].as_str().unwrap());
    assert_eq!(admin(app, Method::DELETE, &path, json!(null)).await.0, 204);
    assert_eq!(
        admin(app, Method::DELETE, &path, json!(null)).await.1["code"],
        "unknown_webhook"
    );
}

async fn both_secrets_sign_until_the_old_one_ends(app: &App, receiver: &Receiver, first: &str) {
    let before = receiver.calls("/all").await.len();
    let (status, second) = admin(app, Method::POST, "/secrets", json!({"keepFor": 3600})).await;
    assert_eq!(status, 201);
    let second = second["secret"].as_str().unwrap().to_owned();
    receiver.trust("/all", &[first, &second]).await;
    cancelled(app, json!(null)).await;
    assert_eq!(
        receiver.until("/all", before + 1).await[before]["good"],
        json!([0, 1])
    );

    let (_, third) = admin(app, Method::POST, "/secrets", json!({"keepFor": 0})).await;
    let third = third["secret"].as_str().unwrap();
    receiver.trust("/all", &[first, &second, third]).await;
    cancelled(app, json!(null)).await;
    assert_eq!(
        receiver.until("/all", before + 2).await[before + 1]["good"],
        json!([2])
    );
    // It signs for a job's own webhook as well, where that has no secret.
    receiver.trust("/own", &[third]).await;
    cancelled(app, json!({"url": receiver.url("/own")})).await;
    assert_eq!(receiver.until("/own", 1).await[0]["good"], json!([0]));
}

async fn an_endpoint_is_disabled_by_410_and_enabled_by_hand(
    app: &App,
    receiver: &Receiver,
    endpoint: &str,
) {
    receiver.answer("/all", json!([{"status": 410}])).await;
    let id = cancelled(app, json!(null)).await;
    let log = delivery(app, &id, is("disabled")).await;
    assert_eq!(
        (&log["attempts"][0]["status"], &log["attempts"][0]["reason"]),
        (&json!(410), &json!("410 Gone"))
    );
    let disabled = async || {
        let (_, listed) = admin(app, Method::GET, "", json!(null)).await;
        let reason = listed["items"][0]["disabled"]["reason"].clone();
        reason.is_string().then_some(reason)
    };
    let reason = local::until(PATIENCE, disabled).await;
    assert_eq!(reason.expect("it is disabled"), "it answered 410 Gone");
    let silent = cancelled(app, json!(null)).await;
    assert_eq!(deliveries(app, &silent).await, Vec::<Value>::new());

    let (status, enabled) = admin(
        app,
        Method::PATCH,
        &format!("/{endpoint}"),
        json!({"disabled": false}),
    )
    .await;
    assert_eq!((status, &enabled["disabled"]), (200, &Value::Null));
    receiver.answer("/all", json!([{"status": 200}])).await;
    let again = app
        .post(
            &format!("/jobs/{id}/deliveries/redeliver"),
            ALICE,
            &json!({}),
        )
        .await;
    assert_eq!(again.status(), 202);
    delivery(app, &id, is("delivered")).await;
}

async fn there_are_bounds(app: &App, receiver: &Receiver, endpoint: &str) {
    for _ in 0..9 {
        create(app, &receiver.url("/many"), json!(["job.expired"])).await;
    }
    let body = json!({"url": receiver.url("/many")});
    let (status, problem) = admin(app, Method::POST, "", body).await;
    assert_eq!((status, &problem["code"]), (409, &json!("limit_reached")));
    for status in [201, 201, 201, 409] {
        assert_eq!(
            admin(app, Method::POST, "/secrets", json!({})).await.0,
            status
        );
    }
    assert_eq!(
        admin(app, Method::POST, "/secrets", json!({"keepFor": 0}))
            .await
            .0,
        201
    );
    let body = json!({"url": "gopher://x", "events": []});
    let (status, problem) = admin(app, Method::PATCH, &format!("/{endpoint}"), body).await;
    assert_eq!(status, 422);
    assert_eq!(
        fields(&problem),
        [("/url", "malformed"), ("/events", "too_short")]
    );
    let (status, problem) = admin(app, Method::PATCH, "/7", json!({})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("malformed_id")));
}

async fn all_of_it_is_on_record_and_nothing_secret(app: &App, secret: &str) {
    let request = crate::doors::with_role(app, Method::GET, "/admin/audit?limit=100", "admin");
    let audit = request.send().await.unwrap().text().await.unwrap();
    for action in ["create", "change", "delete", "secret", "disable"] {
        assert!(audit.contains(&format!("\"webhook.{action}\"")), "{action}");
    }
    assert!(!audit.contains("whsec_") && !audit.contains("hunter2"));
    for told in ["hunter2", secret] {
        assert_eq!(app.logged(&[told]), Vec::<Value>::new());
    }
}
