//! The connection heals from all that a thawed Lambda, a failover or a cut wire leaves behind.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::Cmd;
use shared::queue::{Policy, Queue, QueueError, Redis};

use crate::proxy::Proxy;
use crate::redis::{KIND, Server, asked, order};
use crate::rig::{RETENTION, Rig, new_job};

/// A caller hears by then, whatever the network does.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn over(address: &str) -> Queue {
    let redis = Redis::open(address).unwrap();
    Queue::new(redis, "p", Policy::new(4, 2, 100, RETENTION))
}

pub(crate) async fn in_time<T>(call: impl Future<Output = T>) -> T {
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
    assert!(in_time(queue.probe()).await.is_err());
    let _server = Server::on(port).expect("the port is still free");
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
    queue.probe().await.unwrap();
    proxy.swallow_present();
    in_time(queue.enqueue(&new_job("a"))).await.unwrap();
    assert_eq!(proxy.opened(), 2);
    queue.probe().await.unwrap();
    assert_eq!(proxy.opened(), 2, "the new one is kept");
}

#[tokio::test]
async fn heals_after_a_black_hole() {
    let server = Server::start();
    let proxy = Proxy::to(server.port);
    let queue = over(&proxy.address());
    queue.probe().await.unwrap();
    proxy.swallow_all();
    assert!(in_time(queue.probe()).await.is_err());
    assert!(in_time(queue.enqueue(&new_job("a"))).await.is_err());
    proxy.mend();
    in_time(queue.enqueue(&new_job("a"))).await.unwrap();
}

#[tokio::test]
async fn many_callers_of_a_black_hole_all_hear_in_time() {
    let server = Server::start();
    let proxy = Proxy::to(server.port);
    let queue = over(&proxy.address());
    queue.probe().await.unwrap();
    proxy.swallow_all();
    let callers = || (0..20).map(|_| queue.probe());
    let answers = in_time(join_all(callers())).await;
    assert!(answers.iter().all(Result::is_err));
    proxy.mend();
    let answers = in_time(join_all(callers())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn a_call_after_the_hole_closed_works_though_others_still_wait_in_it() {
    let server = Server::start();
    let proxy = Proxy::to(server.port);
    let queue = over(&proxy.address());
    queue.probe().await.unwrap();
    proxy.swallow_all();
    let callers = join_all((0..20).map(|_| queue.probe()));
    let hole_closes = async {
        until(async || proxy.opened() == 2).await;
        proxy.mend();
        in_time(queue.enqueue(&new_job("a"))).await.unwrap();
    };
    in_time(async { tokio::join!(callers, hole_closes) }).await;
}

#[tokio::test]
async fn an_unreachable_server_is_heard_of_in_time() {
    let nobody = KIND.url(local::free_port().unwrap()).unwrap();
    let answer = in_time(over(&nobody).probe()).await;
    assert!(answer.unwrap_err().changed_nothing());
    // Reachable, and silent from the first byte on.
    let server = Server::start();
    let proxy = Proxy::to(server.port);
    proxy.swallow_all();
    let queue = over(&proxy.address());
    let answer = in_time(queue.probe()).await;
    assert!(answer.unwrap_err().changed_nothing());
    proxy.mend();
    in_time(queue.probe()).await.unwrap();
}

#[tokio::test]
async fn heals_after_a_failover_left_a_read_only_server() {
    if no_replica() {
        return;
    }
    let rig = Rig::start();
    let connection = async || rig.raw::<u64>(redis::cmd("CLIENT").arg("ID")).await;
    let before = connection().await;
    let dead = local::free_port().unwrap().to_string();
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
async fn a_server_that_stalls_gets_each_call_once_and_one_new_connection() {
    let server = Server::start();
    let proxy = Proxy::to(server.port);
    let queue = over(&proxy.address());
    let job = new_job("a");
    queue.enqueue(&job).await.unwrap();
    queue.read(job.id).await.unwrap(); // the script is loaded
    let calls = || {
        let stats = asked(&server.address(), redis::cmd("INFO").arg("commandstats"));
        let (_, rest) = stats.split_once("cmdstat_evalsha:calls=").unwrap();
        let calls: u64 = rest.split(',').next().unwrap().parse().unwrap();
        calls
    };
    let (before, opened) = (calls(), proxy.opened());
    let mut pause = redis::cmd("CLIENT");
    order(&server.address(), pause.arg(&["PAUSE", "900", "ALL"]));
    let begin = Instant::now();
    let answers = in_time(join_all((0..16).map(|_| queue.read(job.id)))).await;
    assert!(begin.elapsed() > Duration::from_millis(700), "it stalled");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(calls() - before, 16);
    assert!(proxy.opened() - opened <= 1, "{}", proxy.opened());
}

#[tokio::test]
async fn a_refusal_of_the_second_try_does_not_hide_that_the_first_may_have_been_heard() {
    if no_replica() {
        return;
    }
    let rig = Rig::start();
    let proxy = Proxy::to(rig.server.port);
    let queue = over(&proxy.address());
    rig.put("a").await; // the script is loaded
    queue.probe().await.unwrap();
    proxy.swallow_present_replies();
    let job = new_job("a");
    let fail_over = async {
        let known = async || rig.queue.read(job.id).await.unwrap().is_some();
        until(known).await;
        let dead = local::free_port().unwrap().to_string();
        let _: () = rig.raw(&replica_of("127.0.0.1", &dead)).await;
    };
    let (answer, ()) = tokio::join!(in_time(queue.enqueue(&job)), fail_over);
    let error = answer.unwrap_err();
    assert!(!error.changed_nothing(), "the job is in the line: {error}");
}

/// A cluster does not know REPLICAOF: there a demoted master sends its clients on.
fn no_replica() -> bool {
    KIND.is_cluster()
}

fn replica_of(host: &str, port: &str) -> Cmd {
    let mut command = redis::cmd("REPLICAOF");
    command.arg(host).arg(port);
    command
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
