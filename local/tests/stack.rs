//! The harness itself: everything starts, what dies comes back, nothing stays. The programs must be built; `local/test` does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what is wrong by panicking"
)]

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use axum::extract::{Path as Segment, State};
use axum::routing::post;
use axum::{Json, Router};
use local::api::Api;
use local::{
    Artifacts, Moto, Opening, Redis, Scratch, Signal, SocketClient, Stack, StackOptions, demo,
    free_port, tool, until,
};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Waits end by events; this ends one whose event never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of no password that anybody uses.
const PASSWORD_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$xBDVpLHi7RsLV3lkbBpjfg$kIeWSuD7Cx4nHU1FhCO2YYlj2JA/Xet/gpm4itExvFI";

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn a_track_is_composed_although_every_worker_was_killed_and_nothing_stays_behind() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let before: Vec<u32> = stack.pids("worker").into_iter().flatten().collect();
    assert_eq!(before.len(), 4);
    for index in 0..before.len() {
        stack.kill("worker", index, Signal::SIGKILL).unwrap();
    }
    let back = until(PATIENCE, async || {
        let now: Vec<u32> = stack.pids("worker").into_iter().flatten().collect();
        (now.len() == before.len() && now.iter().all(|pid| !before.contains(pid))).then_some(now)
    });
    let workers = back.await.expect("the workers come back");

    let api = Api::new(stack.api(), &stack.token("user", "alice").unwrap()).unwrap();
    let scratch = Scratch::new().unwrap();
    let file = scratch.path().join("track.wav");
    let job = demo::compose(&api, "a slow waltz", 5, &file).await.unwrap();
    assert_eq!(job["status"], "completed");
    assert!(std::fs::metadata(&file).unwrap().len() > 800_000);
    assert!(
        stack
            .log_lines()
            .iter()
            .any(|line| line["job_id"] == job["jobId"])
    );

    let redis = stack.redis_url().to_owned();
    stack.stop().await;
    assert!(workers.into_iter().all(|pid| !runs(pid)));
    let client = redis::Client::open(redis).unwrap();
    assert!(client.get_multiplexed_async_connection().await.is_err());
}

#[tokio::test]
async fn a_function_that_cannot_start_is_named_with_what_it_said() {
    let options = StackOptions {
        env: vec![("REDIS_URL".into(), "nonsense".into())],
        ..StackOptions::default()
    };
    let error = Stack::start(options).await.unwrap_err().to_string();
    assert!(
        error.contains("ended while the stack was starting"),
        "{error}"
    );
    assert!(error.contains("REDIS_URL"), "{error}");
}

#[tokio::test]
async fn many_callers_are_answered_and_long_polls_keep_nobody_waiting() {
    // A tenant may hold half of the places.
    let variables = [("READ_RATE", "0"), ("WAITERS_MAX", "200")];
    let stack = Stack::start(StackOptions {
        env: variables
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        ..StackOptions::default()
    });
    let stack = stack.await.unwrap();
    let http = reqwest::Client::new();
    let user = stack.token("user", "alice").unwrap();
    let url = |path: &str| format!("{}{path}", stack.api());
    let get = |path: &str| http.get(url(path)).bearer_auth(&user).send();
    let post = |token: &str, path: &str, body: Value| {
        http.post(url(path)).bearer_auth(token).json(&body).send()
    };
    let admin = stack.token("admin", "root").unwrap();
    let paused = post(&admin, "/admin/queue/pause", json!({})).await.unwrap();
    assert!(paused.status().is_success());
    let job = post(&user, "/jobs", json!({"narrative": "rain"}));
    let job: Value = job.await.unwrap().json().await.unwrap();
    let job = format!("/jobs/{}", job["jobId"].as_str().unwrap());

    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let read = [get("/jobs"), get(&job)];
        readers.spawn(futures_util::future::join_all(read));
    }
    for answer in readers.join_all().await.into_iter().flatten() {
        assert_eq!(answer.unwrap().status(), 200);
    }

    let mut polls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        polls.spawn(get(&format!("{job}?wait=25")));
    }
    let client = redis::Client::open(stack.redis_url()).unwrap();
    let redis = client.get_multiplexed_async_connection().await.unwrap();
    let waiters = format!("{{{}}}:waiters", stack.partition());
    let open = until(PATIENCE, async || {
        let mut count = redis::cmd("ZCARD");
        let count: usize = count
            .arg(&waiters)
            .query_async(&mut redis.clone())
            .await
            .ok()?;
        (count == 64).then_some(())
    });
    open.await.expect("all polls wait");
    let taken = post(&user, "/jobs", json!({"narrative": "sun"}))
        .await
        .unwrap();
    assert_eq!(taken.status(), 202);
    assert!(polls.try_join_next().is_none(), "every poll still waits");
    stack.stop().await;
}

#[tokio::test]
async fn a_track_is_composed_over_sqs_and_s3_as_well() {
    let moto = Moto::start().await.unwrap();
    let options = StackOptions {
        bells: moto.bells(),
        artifacts: Artifacts::S3 {
            endpoint: moto.endpoint().to_owned(),
            bucket: Moto::BUCKET.to_owned(),
            prefix: "tracks".to_owned(),
        },
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let api = Api::new(stack.api(), &stack.token("user", "alice").unwrap()).unwrap();
    let scratch = Scratch::new().unwrap();
    let file = scratch.path().join("track.wav");
    let job = demo::compose(&api, "a slow waltz", 5, &file).await.unwrap();
    assert_eq!(job["status"], "completed");
    stack.stop().await;
    moto.stop().await;
}

/// What stands for the functions: it tells which was invoked, and with what.
async fn functions() -> (String, mpsc::Receiver<(String, Value)>) {
    let (sender, seen) = mpsc::channel(100);
    let invoke = async |State(sender): State<mpsc::Sender<(String, Value)>>,
                        Segment(name): Segment<String>,
                        Json(event): Json<Value>| {
        sender.send((name, event)).await.unwrap();
        Json(json!({"batchItemFailures": [], "statusCode": 200}))
    };
    let router = Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (api, seen)
}

/// `harness beside`, as in its container but for the address at which it listens.
fn beside(api: &str, listen: &str, variables: &[(&str, &str)]) -> Child {
    let arguments = ["beside", "--api", api, "--listen", listen];
    harness(&arguments, "/usr/bin:/bin", variables)
}

fn harness(arguments: &[&str], path: &str, variables: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn ended(child: Child) -> Output {
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output());
    ended.await.expect("it ends").unwrap()
}

async fn ring(moto: &Moto, queue: &str, body: &str) {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(moto.endpoint())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .build();
    let message = Client::from_conf(config).send_message().queue_url(queue);
    message.message_body(body).send().await.unwrap();
}

#[tokio::test]
async fn what_stands_beside_functions_runs_alone_until_it_is_told_to_stop() {
    let moto = Moto::start().await.unwrap();
    let (api, mut seen) = functions().await;
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let variables = [
        ("QUEUE_URL", moto.queue_url()),
        ("NOTIFY_QUEUE_URL", moto.notify_queue_url()),
        ("DELIVER_QUEUE_URL", moto.deliver_queue_url()),
        ("AWS_ENDPOINT_URL_SQS", moto.endpoint()),
    ];
    let child = beside(&api, &listen, &variables);
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());

    ring(&moto, moto.queue_url(), "a bell").await;
    ring(&moto, moto.notify_queue_url(), "a notice").await;
    ring(&moto, moto.deliver_queue_url(), "a message").await;
    let opened = until(PATIENCE, async || {
        match SocketClient::open(&format!("ws://{listen}")).await.ok()? {
            Opening::Open(client) => Some(client),
            Opening::Refused(_) => None,
        }
    });
    let _client = opened.await.expect("the gateway opens a socket");
    let mut events = std::collections::BTreeMap::new();
    while events.len() < 5 {
        let next = tokio::time::timeout(PATIENCE, seen.recv());
        let (name, event) = next.await.expect("five functions are invoked").unwrap();
        events.entry(name).or_insert(event);
    }
    assert_eq!(events["worker"]["Records"][0]["body"], "a bell");
    assert_eq!(events["notify"]["Records"][0]["body"], "a notice");
    assert_eq!(events["deliver"]["Records"][0]["body"], "a message");
    assert_eq!(events["sweep"]["source"], "aws.scheduler");
    assert_eq!(events["live"]["requestContext"]["eventType"], "CONNECT");

    kill(pid, Signal::SIGTERM).unwrap();
    assert!(ended(child).await.status.success());
    moto.stop().await;
}

#[tokio::test]
async fn what_cannot_stand_beside_functions_says_why_and_fails() {
    let nobody = "http://127.0.0.1:1";
    let half = [("QUEUE_URL", nobody), ("AWS_ENDPOINT_URL_SQS", nobody)];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let redis = [("REDIS_URL", "redis://127.0.0.1:1")];
    for (listen, variables, why) in [
        ("127.0.0.1:0", &half[..], "NOTIFY_QUEUE_URL"),
        ("127.0.0.1:0", &[][..], "REDIS_URL"),
        (&taken, &redis[..], &taken),
    ] {
        let output = ended(beside(nobody, listen, variables)).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

/// A folder with what a container has in place of Cargo: its answer to `cargo metadata`, by which the emulator knows the routes.
fn without_cargo() -> Scratch {
    let folder = Scratch::new().unwrap();
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let mut cargo = std::process::Command::new("cargo");
    let answer = cargo.args(arguments).output().unwrap().stdout;
    let (file, program) = (folder.path().join("answer"), folder.path().join("cargo"));
    std::fs::write(&file, answer).unwrap();
    std::fs::write(
        &program,
        format!("#!/bin/sh\nexec cat {}\n", file.display()),
    )
    .unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test]
async fn functions_run_alone_without_cargo_until_they_are_told_to_stop() {
    let redis = Redis::start().await.unwrap();
    let folder = without_cargo();
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let (api, nobody) = (format!("http://{listen}"), "http://127.0.0.1:1");
    let artifacts = format!("file://{}", folder.path().display());
    let variables = [
        ("REDIS_URL", redis.url()),
        ("ARTIFACTS_URL", &artifacts),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("ADMIN_EMAIL", "admin@example.com"),
        ("ADMIN_PASSWORD_HASH", PASSWORD_HASH),
        ("PUBLIC_URL", &api),
        ("SOCKETS_URL", nobody),
        ("JEN1_URL", nobody),
        ("MUSCGEN_URL", nobody),
    ];
    let emulator = tool("cargo-lambda").unwrap();
    let path = [folder.path(), emulator.parent().unwrap()].map(|path| path.display().to_string());
    let path = format!("{}:/usr/bin:/bin", path.join(":"));
    let child = harness(&["functions", "--listen", &listen], &path, &variables);
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());

    let http = reqwest::Client::new();
    let ready = until(PATIENCE, async || {
        let answer = http.get(format!("{api}/health/ready")).send();
        answer.await.ok()?.error_for_status().ok()
    });
    assert!(ready.await.is_some());

    kill(pid, Signal::SIGTERM).unwrap();
    assert!(ended(child).await.status.success());
    let is_free = until(PATIENCE, async || TcpListener::bind(&listen).ok());
    assert!(is_free.await.is_some(), "the emulator ends, too");
    redis.stop().await;
}
