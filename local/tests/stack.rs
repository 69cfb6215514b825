//! The harness itself: everything starts, what dies comes back, nothing stays. The programs must be built; `local/test` does.

use std::path::Path;
use std::time::Duration;

use local::api::Api;
use local::{Artifacts, Bells, Moto, Scratch, Signal, Stack, StackOptions, demo, until};

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
    let back = until(Duration::from_secs(10), async || {
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
async fn a_track_is_composed_over_sqs_and_s3_as_well() {
    let moto = Moto::start().await.unwrap();
    let options = StackOptions {
        bells: Bells::Sqs {
            endpoint: moto.endpoint().to_owned(),
            queue_url: moto.queue_url().to_owned(),
            notify_queue_url: moto.notify_queue_url().to_owned(),
            visibility: 30,
        },
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
