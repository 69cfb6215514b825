//! Every fault that a model can show, from a service that answers at once and from one that calls back: each job comes to its right
//! end, no attempt and no slot is lost, and no answer is too long for the worker's memory.

use local::StackOptions;
use serde_json::{Value, json};
use std::time::Duration;

use crate::app::{App, Model, PATIENCE, ended, ten_seconds};

/// Under these switches a job ends so.
struct Case {
    switches: Value,
    attempts: u64,
    /// Of a failed job.
    code: Option<&'static str>,
}

fn completes(switches: Value, attempts: u64) -> Case {
    Case {
        switches,
        attempts,
        code: None,
    }
}

fn fails(switches: Value, attempts: u64, code: &'static str) -> Case {
    Case {
        switches,
        attempts,
        code: Some(code),
    }
}

/// What does not depend on how the service answers.
fn always(unavailable: &'static str, refused: &'static str) -> Vec<Case> {
    vec![
        completes(json!({}), 1),
        completes(json!({"failTimes": 1}), 2),
        completes(json!({"failTimes": 1, "failStatus": 408}), 2),
        fails(json!({"failTimes": 1, "failStatus": 422}), 1, refused),
        fails(json!({"failChance": 1}), 3, unavailable),
        completes(json!({"busyTimes": 2, "busyStatus": 503}), 1),
        completes(json!({"busyTimes": 1, "busyStatus": 429}), 1),
    ]
}

/// What only shows in reports.
fn of_reports() -> Vec<Case> {
    vec![
        completes(json!({"reportFailedTimes": 1}), 2),
        completes(json!({"neverReportTimes": 1}), 2),
        completes(json!({"reportDelaySeconds": 0.5}), 1),
        completes(json!({"earlyReport": true}), 1),
        completes(json!({"reportTwice": true}), 1),
    ]
}

/// The same by chance, here a certainty.
fn of_chance(own_code: &'static str) -> Vec<Case> {
    vec![
        completes(json!({"lateChance": 1, "lateSeconds": 0.5}), 1),
        fails(json!({"reportFailedChance": 1}), 3, own_code),
        fails(json!({"neverChance": 1}), 3, "model_silent"),
    ]
}

/// For a service that has nothing to report they mean nothing.
fn mean_nothing(cases: Vec<Case>) -> Vec<Case> {
    let mean_nothing = |case: Case| completes(case.switches, 1);
    cases.into_iter().map(mean_nothing).collect()
}

/// Switches that only say more of another, or are no faults.
const MORE: [&str; 9] = [
    "mode",
    "failStatus",
    "busyStatus",
    "retryAfterSeconds",
    "lateSeconds",
    "chanceSeed",
    "planSeconds",
    "renderSeconds",
    "speed",
];

/// Faults of answers, which a service that calls back gives none of.
const OF_ANSWERS: [&str; 2] = ["hugeTimes", "endlessTimes"];

/// No switch was forgotten.
fn all_are_tried(usual: &Value, cases: &[Case]) {
    let tried = |name: &str| cases.iter().any(|case| !case.switches[name].is_null());
    let calls_back = usual["mode"] == "callback";
    for name in usual.as_object().unwrap().keys() {
        let other = MORE.contains(&name.as_str());
        let elsewhere = calls_back && OF_ANSWERS.contains(&name.as_str());
        assert!(tried(name) || other || elsewhere, "{name} is not tried");
    }
}

/// A stack whose other service is quick, and which waits ten seconds for a word.
async fn app(mode: &str, model: Model) -> (App, Value) {
    let app = App::with(StackOptions {
        env: vec![("RENDER_DEADLINE".to_owned(), "10".to_owned())],
        sweep_every: Duration::from_secs(1),
        workers: 2,
        ..StackOptions::default()
    })
    .await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.1}))
        .await;
    app.faults(model, json!({"mode": mode})).await;
    let usual = app.switches(model).await;
    (app, usual)
}

async fn run(app: &App, model: Model, usual: &Value, cases: Vec<Case>) {
    all_are_tried(usual, &cases);
    for case in cases {
        app.faults(model, usual.clone()).await;
        app.faults(model, case.switches.clone()).await;
        let id = app.submit(ten_seconds()).await;
        let job = app.until(&id, PATIENCE, ended).await;
        let shown = format!("{}: {job:#}", case.switches);
        let status = if case.code.is_some() {
            "failed"
        } else {
            "completed"
        };
        assert_eq!(job["status"], status, "{shown}");
        assert_eq!(job["attempt"], case.attempts, "{shown}");
        if let Some(code) = case.code {
            assert_eq!(job["error"]["code"], code, "{shown}");
        }
        nothing_is_held(app, &shown).await;
    }
    for pid in app.stack.pids("worker").into_iter().flatten() {
        let peak = peak_megabytes(pid);
        assert!(peak < 256, "a worker has used {peak} MB");
    }
    app.stack
        .pids("worker")
        .iter()
        .for_each(|pid| assert!(pid.is_some()));
}

/// No slot, no lease, no delayed retry, nothing to finish.
async fn nothing_is_held(app: &App, shown: &str) {
    for key in ["lease", "delayed", "finish", "run:alice", "q:alice"] {
        let held: usize = app.redis(&["ZCARD", &format!("{{tutti}}:{key}")]).await;
        assert_eq!(held, 0, "{key} after {shown}");
    }
}

/// The most memory that a process ever had in use.
fn peak_megabytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn every_fault_of_a_jen1_that_answers_at_once_ends_as_it_should() {
    let (app, usual) = app("sync", Model::Jen1).await;
    let mut cases = always("jen1_unavailable", "jen1_refused");
    cases.extend([
        completes(json!({"garbageTimes": 1}), 2),
        fails(json!({"hugeTimes": 1}), 1, "jen1_too_large"),
        fails(json!({"endlessTimes": 1}), 1, "jen1_too_large"),
    ]);
    cases.extend(mean_nothing(of_reports()));
    // Told to report now and then, it does, where it is offered a callback.
    cases.extend(of_chance("planner_lost"));
    run(&app, Model::Jen1, &usual, cases).await;
    app.stop().await;
}

#[tokio::test]
async fn every_fault_of_a_jen1_that_calls_back_ends_as_it_should() {
    let (app, usual) = app("callback", Model::Jen1).await;
    let mut cases = always("jen1_unavailable", "jen1_refused");
    cases.extend(of_reports());
    cases.extend(of_chance("planner_lost"));
    // What it reported was refused, so it has not reported.
    cases.push(completes(json!({"garbageTimes": 1}), 2));
    run(&app, Model::Jen1, &usual, cases).await;
    app.stop().await;
}

#[tokio::test]
async fn every_fault_of_a_muscgen_that_answers_at_once_ends_as_it_should() {
    let (app, usual) = app("sync", Model::Muscgen).await;
    let mut cases = always("muscgen_unavailable", "muscgen_refused");
    cases.extend([
        completes(json!({"garbageTimes": 1}), 2),
        completes(json!({"silentTimes": 1}), 2),
        completes(json!({"shortTimes": 1}), 2),
        completes(json!({"hugeTimes": 1}), 1),
        completes(json!({"hugeTimes": 1, "mode": "json"}), 1),
        completes(json!({"hugeTimes": 1, "mode": "url"}), 1),
        fails(json!({"endlessTimes": 1}), 1, "muscgen_too_large"),
        completes(json!({"endlessTimes": 1, "mode": "url"}), 2),
    ]);
    cases.extend(mean_nothing(of_reports()));
    cases.extend(mean_nothing(of_chance("gpu_lost")));
    run(&app, Model::Muscgen, &usual, cases).await;
    app.stop().await;
}

#[tokio::test]
async fn every_fault_of_a_muscgen_that_calls_back_ends_as_it_should() {
    let (app, usual) = app("callback", Model::Muscgen).await;
    let mut cases = always("muscgen_unavailable", "muscgen_refused");
    cases.extend(of_reports());
    cases.extend(of_chance("gpu_lost"));
    cases.extend([
        completes(json!({"garbageTimes": 1}), 2),
        completes(json!({"silentTimes": 1}), 2),
        completes(json!({"shortTimes": 1}), 2),
        completes(json!({"hugeTimes": 1}), 1),
    ]);
    run(&app, Model::Muscgen, &usual, cases).await;
    app.stop().await;
}
