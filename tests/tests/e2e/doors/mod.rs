//! Each door of the API: what it lets in, what it refuses and how, and that a refusal leaves nothing behind.

mod audio;
mod change;
mod hook;
mod identity;
mod input;
mod lists;
mod proxy;
mod read;
mod ready;
mod report;
mod role;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use local::StackOptions;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::app::{App, Model, PATIENCE, ten_seconds};

pub(crate) use report::tone;

/// The timer's first sweep is the only one: what a test sees move, a door has moved.
pub(crate) fn quiet() -> StackOptions {
    StackOptions {
        sweep_every: 10 * PATIENCE,
        ..StackOptions::default()
    }
}

/// A request with this token, or with none.
pub(crate) fn with_token(
    app: &App,
    method: Method,
    path: &str,
    token: Option<&str>,
) -> RequestBuilder {
    let request = app
        .http
        .request(method, format!("{}{path}", app.stack.api()));
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

/// A request of somebody with this role.
pub(crate) fn with_role(app: &App, method: Method, path: &str, role: &str) -> RequestBuilder {
    let token = app.stack.token(role, role).unwrap();
    with_token(app, method, path, Some(&token))
}

/// A report with this token.
pub(crate) async fn report(app: &App, token: &str, body: Value) -> Response {
    let request = with_token(app, Method::POST, "/jobs/report", Some(token));
    request.json(&body).send().await.unwrap()
}

/// The problem that a refusal is, with all that every problem has.
pub(crate) async fn refused(response: Response, status: u16, code: &str) -> Value {
    let (path, headers) = (response.url().path().to_owned(), response.headers().clone());
    let answered = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(answered, status, "{path} {text}");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(status), &json!(code)),
        "{path} {text}"
    );
    assert_eq!(
        problem["requestId"],
        headers["x-request-id"].to_str().unwrap()
    );
    for member in ["type", "title", "detail"] {
        assert!(problem[member].is_string(), "{member}: {text}");
    }
    problem
}

/// Pointer and code of every field that a problem names.
pub(crate) fn fields(problem: &Value) -> Vec<(&str, &str)> {
    let errors = problem["errors"].as_array().map(Vec::as_slice);
    let mut fields = Vec::new();
    for error in errors.unwrap_or_default() {
        let text = |member: &str| error[member].as_str().unwrap();
        fields.push((text("pointer"), text("code")));
    }
    fields
}

/// Everything that is kept, the names of files and of Redis keys, once every job that has ended is settled: its
/// marker goes a moment after its end is seen.
pub(crate) async fn kept(app: &App) -> (BTreeSet<PathBuf>, BTreeSet<String>) {
    let folder = app.stack.folder().join("artifacts");
    let settled = async || {
        let mut files = BTreeSet::new();
        collect(&folder, &mut files);
        let ends = |marker: &Path| {
            let (job, generation) = marker.file_name()?.to_str()?.rsplit_once('.')?;
            Some(folder.join(format!("jobs/{job}/manifest-{generation}.json")))
        };
        let mut markers = files
            .iter()
            .filter(|file| file.starts_with(folder.join("open")));
        let settling = markers.any(|marker| ends(marker).is_some_and(|end| files.contains(&end)));
        (!settling).then_some(files)
    };
    let files = local::until(PATIENCE, settled)
        .await
        .expect("the jobs settle");
    let keys: Vec<String> = app.redis(&["KEYS", "*"]).await;
    (files, keys.into_iter().collect())
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path);
        }
    }
}

/// A job that muscgen has accepted and will never report on, and the callback token of its present run.
pub(crate) async fn held_by_the_model(app: &App) -> (String, String) {
    let silent = json!({"mode": "callback", "neverReportTimes": 1, "renderSeconds": 0});
    app.faults(Model::Muscgen, silent).await;
    let id = app.submit(ten_seconds()).await;
    parked(app, &id, 1).await;
    let token = callback_token(app, &id).await;
    (id, token)
}

/// Waits until a model has taken the job over for the `times`-th time.
async fn parked(app: &App, id: &str, times: usize) {
    local::until(PATIENCE, async || {
        let events = app.events(id).await;
        let parked = events.iter().filter(|event| event["reason"] == "parked");
        (parked.count() >= times).then_some(())
    })
    .await
    .expect("the model takes the job over");
}

/// The token that muscgen was given last for a job.
async fn callback_token(app: &App, id: &str) -> String {
    let calls = app.calls(Model::Muscgen, id).await;
    let token = &calls.last().expect("a call")["body"]["callback"]["token"];
    token.as_str().unwrap().to_owned()
}
