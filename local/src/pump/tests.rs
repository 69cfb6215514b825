use super::*;
use crate::place::Scratch;
use crate::redis::Redis;

use std::collections::VecDeque;

use ::redis::AsyncCommands;
use ::redis::aio::MultiplexedConnection;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::mpsc;

const BELL: &str = "{tutti}:bell";
const LATER: &str = "{tutti}:bell_later";

/// What the worker does with its next invocation; when nothing is said, it succeeds.
enum Does {
    Error,
    Failure,
    Nothing,
}

#[derive(Clone)]
struct Worker {
    seen: mpsc::Sender<Value>,
    next: Arc<Mutex<VecDeque<Does>>>,
}

async fn work(State(worker): State<Worker>, Json(event): Json<Value>) -> (StatusCode, Json<Value>) {
    let record = event["Records"][0].clone();
    let id = record["messageId"].clone();
    worker.seen.send(record).await.unwrap();
    let does = worker.next.lock().unwrap().pop_front();
    match does {
        None => (StatusCode::OK, Json(json!({"batchItemFailures": []}))),
        Some(Does::Failure) => {
            let answer = json!({"batchItemFailures": [{"itemIdentifier": id}]});
            (StatusCode::OK, Json(answer))
        }
        Some(Does::Error) => {
            let answer = json!({"errorMessage": "no"});
            (StatusCode::INTERNAL_SERVER_ERROR, Json(answer))
        }
        Some(Does::Nothing) => std::future::pending().await,
    }
}

struct Bench {
    redis: Redis,
    connection: MultiplexedConnection,
    seen: mpsc::Receiver<Value>,
    pump: Pump,
    _tasks: JoinSet<()>,
    _scratch: Scratch,
}

impl Bench {
    async fn start(workers: usize, does: impl IntoIterator<Item = Does>) -> Self {
        Self::with(workers, BellFaults::default(), does).await
    }

    async fn with(
        workers: usize,
        faults: BellFaults,
        does: impl IntoIterator<Item = Does>,
    ) -> Self {
        Self::of(&WORKER, workers, faults, does).await
    }

    async fn of(
        doorbell: &Doorbell,
        workers: usize,
        faults: BellFaults,
        does: impl IntoIterator<Item = Does>,
    ) -> Self {
        let (seen_by, seen) = mpsc::channel(100);
        let worker = Worker {
            seen: seen_by,
            next: Arc::new(Mutex::new(does.into_iter().collect())),
        };
        let function = doorbell.function;
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let router = Router::new().route(&path, post(work)).with_state(worker);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });

        let redis = Redis::start().await.unwrap();
        let connection = connect(&redis).await;
        let scratch = Scratch::new().unwrap();
        let log = Arc::new(Log::create(&scratch.path().join("pump.log")).unwrap());
        let source = Source::Stream(Box::new(
            Stream::new(redis.url(), "tutti", doorbell).unwrap(),
        ));
        let mut tasks = JoinSet::new();
        let pump = Pump::start(
            source,
            function,
            workers,
            faults,
            Invoker::new(&api, Duration::from_secs(900)).unwrap(),
            log,
            &mut tasks,
        );
        Self {
            redis,
            connection,
            seen,
            pump,
            _tasks: tasks,
            _scratch: scratch,
        }
    }

    async fn ring(&mut self, body: &str) {
        let _: String = self
            .connection
            .xadd(BELL, "*", &[("body", body)])
            .await
            .unwrap();
    }

    async fn next(&mut self) -> Value {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, self.seen.recv())
            .await
            .expect("an invocation")
            .unwrap()
    }

    async fn empty(&mut self) -> bool {
        let mut connection = self.connection.clone();
        let gone = crate::wait::until(Duration::from_secs(5), async || {
            let length: u64 = connection.xlen(BELL).await.ok()?;
            (length == 0).then_some(())
        });
        gone.await.is_some()
    }
}

async fn connect(redis: &Redis) -> MultiplexedConnection {
    let client = ::redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_bell_becomes_one_sqs_record_and_is_deleted() {
    let mut bench = Bench::start(1, []).await;
    bench.ring(r#"{"v":1}"#).await;
    let record = bench.next().await;
    assert_eq!(record["body"], r#"{"v":1}"#);
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    assert!(bench.empty().await);
}

#[tokio::test]
async fn a_bell_that_failed_is_delivered_again() {
    let mut bench = Bench::start(1, [Does::Error, Does::Failure]).await;
    bench.ring("x").await;
    for count in ["1", "2", "3"] {
        let record = bench.next().await;
        assert_eq!(record["body"], "x");
        assert_eq!(record["attributes"]["ApproximateReceiveCount"], count);
    }
    assert!(bench.empty().await);
}

#[tokio::test]
async fn a_dropped_bell_is_deleted_and_no_worker_hears_of_it() {
    let faults = BellFaults {
        drop: 1.0,
        ..BellFaults::default()
    };
    let mut bench = Bench::with(1, faults, []).await;
    bench.ring("x").await;
    assert!(bench.empty().await);
    assert!(bench.seen.try_recv().is_err());
}

#[tokio::test]
async fn a_duplicated_bell_is_heard_twice_and_deleted_once() {
    let faults = BellFaults {
        duplicate: 1.0,
        ..BellFaults::default()
    };
    let mut bench = Bench::with(1, faults, []).await;
    bench.ring("x").await;
    let (first, second) = (bench.next().await, bench.next().await);
    assert_eq!(first["messageId"], second["messageId"]);
    assert!(bench.empty().await);
}

#[tokio::test]
async fn a_delayed_bell_rings_when_it_is_due() {
    let mut bench = Bench::start(1, []).await;
    let (seconds, _): (u64, u64) = ::redis::cmd("TIME")
        .query_async(&mut bench.connection)
        .await
        .unwrap();
    let due = [
        (seconds * 1000, "now"),
        ((seconds + 1000) * 1000, "much later"),
    ];
    let () = bench.connection.zadd_multiple(LATER, &due).await.unwrap();
    assert_eq!(bench.next().await["body"], "now");
    assert!(bench.empty().await);
    let left: Vec<String> = bench.connection.zrange(LATER, 0, -1).await.unwrap();
    assert_eq!(left, ["much later"]);
}

#[tokio::test]
async fn notices_have_a_stream_of_their_own_and_wake_their_own_function() {
    let mut bench = Bench::of(&NOTIFY, 1, BellFaults::default(), []).await;
    let (notice, later) = ("{tutti}:notice", "{tutti}:notice_later");
    bench.ring("for a worker").await;
    let connection = &mut bench.connection;
    let _: String = connection
        .xadd(notice, "*", &[("body", "now")])
        .await
        .unwrap();
    assert_eq!(bench.next().await["body"], "now");
    let () = bench.connection.zadd(later, "due", 1).await.unwrap();
    assert_eq!(bench.next().await["body"], "due");
    let mut connection = bench.connection.clone();
    let handled = crate::wait::until(Duration::from_secs(5), async || {
        let left: u64 = connection.xlen(notice).await.ok()?;
        (left == 0).then_some(())
    });
    handled.await.expect("both are deleted");
    let left: u64 = bench.connection.xlen(BELL).await.unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn an_emptied_and_a_restarted_redis_do_not_stop_the_pump() {
    let mut bench = Bench::start(1, []).await;
    bench.ring("first").await;
    bench.next().await;
    let () = ::redis::cmd("FLUSHALL")
        .query_async(&mut bench.connection)
        .await
        .unwrap();
    bench.ring("second").await;
    assert_eq!(bench.next().await["body"], "second");
    bench.redis.restart().await.unwrap();
    bench.connection = connect(&bench.redis).await;
    bench.ring("third").await;
    assert_eq!(bench.next().await["body"], "third");
}

#[tokio::test]
async fn no_more_bells_are_taken_than_workers_are_free() {
    let mut bench = Bench::start(2, [Does::Nothing, Does::Nothing]).await;
    for body in ["a", "b", "c"] {
        bench.ring(body).await;
    }
    bench.next().await;
    bench.next().await;
    let pending: ::redis::streams::StreamPendingReply =
        bench.connection.xpending(BELL, "workers").await.unwrap();
    assert_eq!(pending.count(), 2);
    // Whoever takes the place of a dead worker gets work, though nobody answered for the dead one.
    bench.pump.worker_lost();
    assert_eq!(bench.next().await["body"], "c");
}

#[tokio::test]
async fn bells_come_through_sqs_as_well() {
    let moto = crate::Moto::start().await.unwrap();
    let client = sqs_client(moto.endpoint());
    client
        .send_message()
        .queue_url(moto.queue_url())
        .message_body("x")
        .send()
        .await
        .unwrap();
    let source = Sqs::new(moto.endpoint(), moto.queue_url(), Some(30));
    let mut bells = source.receive(4).await.unwrap();
    assert_eq!(
        (bells.len(), bells[0].body.as_str(), bells[0].count),
        (1, "x", 1)
    );
    bells.remove(0).receipt.delete().await.unwrap();
    let attributes = client
        .get_queue_attributes()
        .queue_url(moto.queue_url())
        .attribute_names(aws_sdk_sqs::types::QueueAttributeName::All)
        .send()
        .await
        .unwrap();
    let left: Vec<_> = attributes
        .attributes
        .unwrap()
        .into_iter()
        .filter(|(name, _)| name.as_str().starts_with("ApproximateNumber"))
        .collect();
    assert!(left.iter().all(|(_, count)| count == "0"), "{left:?}");
    moto.stop().await;
}

#[tokio::test]
async fn a_bell_that_was_not_deleted_comes_again_when_its_queue_says() {
    let moto = crate::Moto::start().await.unwrap();
    let client = sqs_client(moto.endpoint());
    let queue = client
        .create_queue()
        .queue_name("impatient")
        .attributes(
            aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout,
            "1",
        )
        .send()
        .await
        .unwrap();
    let url = queue.queue_url.unwrap();
    let message = client.send_message().queue_url(&url).message_body("x");
    message.send().await.unwrap();
    let source = Sqs::new(moto.endpoint(), &url, None);
    assert_eq!(source.receive(1).await.unwrap()[0].count, 1);
    // A queue's own default is 30 s.
    let again = crate::wait::until(Duration::from_secs(10), async || {
        source.receive(1).await.ok()?.pop()
    });
    assert_eq!(again.await.map(|bell| bell.count), Some(2));
    moto.stop().await;
}
