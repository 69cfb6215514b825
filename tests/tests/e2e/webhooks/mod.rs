//! Webhooks: who is told how a job ended, what a receiver can check, and what the log says of it.

mod forbidden;
mod job;
mod loss;
mod receiver;
mod retries;
mod tenant;

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{ALICE, App, PATIENCE, ten_seconds};
use crate::doors::with_role;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A job that was cancelled, with this webhook.
async fn cancelled(app: &App, webhook: Value) -> String {
    let mut body = ten_seconds();
    body["webhook"] = webhook;
    let id = app.submit(body).await;
    let path = format!("/jobs/{id}/cancel");
    assert_eq!(app.post(&path, ALICE, &json!(null)).await.status(), 200);
    id
}

/// The messages about a job.
async fn deliveries(app: &App, id: &str) -> Vec<Value> {
    let page = app.get(&format!("/jobs/{id}/deliveries"), ALICE).await;
    assert_eq!(page.status(), 200);
    let page: Value = page.json().await.unwrap();
    page["items"].as_array().unwrap().clone()
}

/// The one message about a job, as soon as that holds of it.
async fn delivery(app: &App, id: &str, done: impl Fn(&Value) -> bool) -> Value {
    let look = async || {
        let items = deliveries(app, id).await;
        assert!(items.len() < 2, "{items:?}");
        items.into_iter().find(&done)
    };
    let found = local::until(PATIENCE, look).await;
    match found {
        Some(found) => found,
        None => panic!("{:#?}", deliveries(app, id).await),
    }
}

/// It stands there.
fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |delivery| delivery["state"] == state
}

/// It was tried so often.
fn tried(times: usize) -> impl Fn(&Value) -> bool {
    move |delivery| delivery["attempts"].as_array().unwrap().len() >= times
}

/// An admin's request about ALICE's webhooks: status and JSON of the answer.
async fn admin(app: &App, method: Method, path: &str, body: Value) -> (u16, Value) {
    let path = format!("/admin/tenants/alice/webhooks{path}");
    let mut request = with_role(app, method, &path, "admin");
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}
