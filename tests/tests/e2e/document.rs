//! The running API keeps to its document.

use local::schemathesis;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::app::{ALICE, App};

fn kept() -> Value {
    let text = std::fs::read_to_string(local::root().join("docs/openapi.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn the_document_is_served_to_anybody_and_known_by_its_tag() {
    let app = App::start().await;
    let url = format!("{}/openapi.json", app.stack.api());
    let answer = app.http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers().clone();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "public, max-age=300");
    assert_eq!(answer.json::<Value>().await.unwrap(), kept());
    let again = app.http.get(&url).header("if-none-match", &headers["etag"]);
    let answer = again.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(answer.headers()["etag"], headers["etag"]);
    assert!(answer.bytes().await.unwrap().is_empty());
    app.stop().await;
}

#[tokio::test]
async fn every_example_of_a_request_is_well_formed() {
    let app = App::start().await;
    let document = kept();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let examples =
                operation["requestBody"]["content"]["application/json"]["examples"].as_object();
            for (name, example) in examples.into_iter().flatten() {
                let role = if path == "/jobs/report" {
                    "worker"
                } else {
                    "admin"
                };
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let path = path.replace("{id}", "01a20428-f7d9-735f-b27d-e74c71c63de9");
                let request = app
                    .http
                    .request(method, format!("{}{path}", app.stack.api()))
                    .bearer_auth(app.stack.token(role, ALICE).unwrap())
                    .header("prefer", "respond-async")
                    .json(&example["value"]);
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                let text = answer.text().await.unwrap();
                // Of what it names there may be nothing.
                let fine = status < 300 || [401, 404, 409].contains(&status);
                assert!(fine, "{path} {name}: {status} {text}");
                tried += 1;
            }
        }
    }
    assert!(tried > 10);
    app.stop().await;
}

/// Few cases of each kind, from a fixed seed; `local/schemathesis` tries ten thousand.
#[tokio::test]
async fn the_running_api_keeps_to_its_document() {
    let app = App::with(schemathesis::options()).await;
    let arguments = "--max-examples 4 --seed 1 --no-color --output-sanitize false";
    let arguments: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
    // Prepared one after the other, as both turn the stand-in's switches; run side by side.
    let mut user = schemathesis::command(&app.stack, "user", &arguments)
        .await
        .unwrap();
    let mut admin = schemathesis::command(&app.stack, "admin", &arguments)
        .await
        .unwrap();
    let (user, admin) = tokio::join!(user.output(), admin.output());
    for (role, output) in [("user", user.unwrap()), ("admin", admin.unwrap())] {
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "as {role}:\n{told}");
    }
    app.stop().await;
}
