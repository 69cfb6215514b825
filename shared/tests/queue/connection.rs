//! The connection heals from all that a thawed Lambda, a failover or a cut wire leaves behind.

use std::time::{Duration, Instant};

use redis::Cmd;
use shared::queue::{Acquired, Held, Policy, Queue, QueueError, Redis, Settings, Spent};
use shared::stage::Stage;

use crate::proxy::Proxy;
use crate::redis::{Server, free_port};
use crate::rig::{RETENTION, Rig, new_job, track};

/// A caller hears by then, whatever the network does.
const PATIENCE: Duration = Duration::from_secs(2);

fn over(address: &str) -> Queue {
    let redis = Redis::open(address).unwrap();
    Queue::new(redis, "p", Policy::new(4, 2, 100, RETENTION))
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let answer = tokio::time::timeout(2 * PATIENCE, call).await;
    let took = begin.elapsed();
    assert!(took < PATIENCE, "it took {took:?}");
    answer.unwrap()
}

#[tokio::test]
async fn heals_after_the_server_came_back() {
    let rig = Rig::start();
    rig.put("a").await;
    let Rig { server, queue, .. } = rig;
    let port = server.port;
    drop(server);
    assert!(in_time(queue.ping()).await.is_err());
    let _server = Server::on(port, &[]).expect("the port is still free");
    in_time(queue.enqueue(&new_job("a"))).await.unwrap();
    assert_eq!(
        queue.counts().await.unwrap().queued,
        1,
        "scripts are loaded anew"
    );
}

#[tokio::test]
async fn heals_at_once_when_only_the_old_connection_is_dead() {
    let server = Server::start();
    let proxy = Proxy::to(server.port);
    let queue = over(&proxy.address());
    queue.ping().await.unwrap();
    proxy.swallow_present();
    in_time(queue.enqueue(&new_job("a"))).await.unwrap();
    assert_eq!(proxy.opened(), 2);
    queue.ping().await.unwrap();
    assert_eq!(proxy.opened(), 2, "the new one is kept");
}

#[tokio::test]
async fn heals_after_a_black_hole() {
    let server = Server::start();
    let proxy = Proxy::to(server.port);
    let queue = over(&proxy.address());
    queue.ping().await.unwrap();
    proxy.swallow_all();
    assert!(in_time(queue.ping()).await.is_err());
    assert!(in_time(queue.enqueue(&new_job("a"))).await.is_err());
    proxy.mend();
    in_time(queue.enqueue(&new_job("a"))).await.unwrap();
}

#[tokio::test]
async fn many_callers_of_a_black_hole_all_hear_in_time() {
    let server = Server::start();
    let proxy = Proxy::to(server.port);
    let queue = over(&proxy.address());
    queue.ping().await.unwrap();
    proxy.swallow_all();
    let callers = (0..20).map(|_| queue.ping());
    let answers = in_time(futures_util::future::join_all(callers)).await;
    assert!(answers.iter().all(Result::is_err));
    proxy.mend();
    in_time(queue.ping()).await.unwrap();
}

#[tokio::test]
async fn an_unreachable_server_is_heard_of_in_time() {
    let nobody = over(&format!("redis://127.0.0.1:{}", free_port()));
    let answer = in_time(nobody.ping()).await;
    assert!(answer.unwrap_err().changed_nothing());
    // Reachable, and silent from the first byte on.
    let proxy = Proxy::to(Server::start().port);
    proxy.swallow_all();
    assert!(in_time(over(&proxy.address()).ping()).await.is_err());
}

#[tokio::test]
async fn heals_after_a_failover_left_a_read_only_server() {
    let rig = Rig::start();
    let connection = async || rig.raw::<u64>(redis::cmd("CLIENT").arg("ID")).await;
    let before = connection().await;
    let dead = free_port().to_string();
    let _: () = rig.raw(&replica_of("127.0.0.1", &dead)).await;
    let refused = in_time(rig.queue.enqueue(&new_job("a"))).await;
    assert!(
        matches!(&refused, Err(QueueError::Redis(e)) if e.code() == Some("READONLY")),
        "{refused:?}"
    );
    assert!(connection().await > before, "it looked for another server");
    let _: () = rig.raw(&replica_of("NO", "ONE")).await;
    rig.put("a").await;
}

#[tokio::test]
async fn a_refusal_of_the_second_try_does_not_hide_that_the_first_may_have_been_heard() {
    let rig = Rig::start();
    let proxy = Proxy::to(rig.server.port);
    let queue = over(&proxy.address());
    rig.put("a").await; // the script is loaded
    queue.ping().await.unwrap();
    proxy.swallow_present_replies();
    let job = new_job("a");
    let fail_over = async {
        let known = async || rig.queue.read(job.id).await.unwrap().is_some();
        until(known).await;
        let _: () = rig
            .raw(&replica_of("127.0.0.1", &free_port().to_string()))
            .await;
    };
    let (answer, ()) = tokio::join!(in_time(queue.enqueue(&job)), fail_over);
    let error = answer.unwrap_err();
    assert!(!error.changed_nothing(), "the job is in the line: {error}");
}

#[tokio::test]
async fn a_job_goes_its_way_in_a_cluster() {
    let bus = free_port().to_string();
    let nodes = format!("nodes-{bus}.conf");
    let dir = env!("CARGO_TARGET_TMPDIR");
    let file = std::path::Path::new(dir).join(&nodes);
    let server = Server::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-config-file",
        &nodes,
        "--cluster-announce-ip",
        "127.0.0.1",
        "--dir",
        dir,
    ]);
    let node = Redis::open(&server.address()).unwrap();
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTSRANGE").arg(0).arg(16383);
    let _: () = node.run(&slots).await.unwrap();
    cluster_is_up(&node).await;

    let queue = over(&format!("{}?cluster=true", server.address()));
    let job = new_job("a");
    let settings = Settings {
        loaded: true,
        ..Settings::default()
    };
    queue.configure(&settings).await.unwrap();
    queue.enqueue(&job).await.unwrap();
    let Acquired::Job(_, holder) = queue.acquire().await.unwrap().outcome else {
        panic!("no job")
    };
    let advanced = queue
        .advance(&holder, Stage::Finish, Spent::default())
        .await;
    assert_eq!(advanced.unwrap().outcome, Held::Ok);
    let done = queue
        .complete(&holder, &track(), Spent::default(), &[])
        .await
        .unwrap();
    assert_eq!((done.outcome, done.debt.ended), (Held::Ok, vec![job.id]));
    assert_eq!(queue.events(job.id, 0).await.unwrap().unwrap().seq, 4);
    assert_eq!(queue.counts().await.unwrap().completed, 1);
    drop(server);
    assert!(in_time(queue.ping()).await.is_err());
    std::fs::remove_file(file).unwrap();
}

fn replica_of(host: &str, port: &str) -> Cmd {
    let mut command = redis::cmd("REPLICAOF");
    command.arg(host).arg(port);
    command
}

/// A node takes up to two seconds after its start before it serves.
async fn cluster_is_up(node: &Redis) {
    let mut info = redis::cmd("CLUSTER");
    info.arg("INFO");
    until(async || {
        let state: String = node.run(&info).await.unwrap();
        state.contains("cluster_state:ok")
    })
    .await;
}

async fn until(happened: impl AsyncFn() -> bool) {
    let wait = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while !happened().await {
            tick.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
    waited.expect("it does not happen");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_once() {
    assert!(Redis::open("not an address").is_err());
    assert!(Redis::open("http://127.0.0.1").is_err());
    let named = Redis::open("redis://127.0.0.1:1/2?cluster=false").unwrap();
    assert!(named.run::<()>(&Cmd::get("x")).await.is_err());
}
