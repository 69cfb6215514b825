use super::*;

use std::time::Instant;

use futures_util::SinkExt;
use futures_util::future::join_all;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn a_silent_socket_is_closed_and_one_that_is_used_is_not() {
    let idle = Duration::from_millis(600);
    let mut bench = Bench::with(SocketLimits {
        idle,
        ..SocketLimits::default()
    })
    .await;
    let (mut silent, _) = bench.connect().await;
    let (mut used, id) = bench.connect().await;
    let from = Instant::now();
    let ended = tokio::spawn(async move { closed(&mut silent).await });
    while !ended.is_finished() {
        assert!(from.elapsed() < SOON);
        // Twice, in and out, within the time.
        used.send(Message::text("x")).await.unwrap();
        assert_eq!(bench.push(&id, "y").await, 200);
        assert_eq!(text(&mut used).await, "y");
        tokio::time::sleep(idle / 4).await;
    }
    let frame = ended.await.unwrap();
    assert_eq!(frame.code, CloseCode::Away);
    assert_eq!(frame.reason, "Going away");
    assert_eq!(bench.push(&id, "z").await, 200);
}

#[tokio::test]
async fn a_socket_is_closed_at_the_end_of_its_life_though_it_is_used() {
    let life = Duration::from_millis(500);
    let mut bench = Bench::with(SocketLimits {
        life,
        ..SocketLimits::default()
    })
    .await;
    let from = Instant::now();
    let (mut client, id) = bench.connect().await;
    let frame = loop {
        bench.push(&id, "x").await;
        match hear(&mut client).await.unwrap() {
            Message::Close(frame) => break frame.unwrap(),
            _ => assert!(from.elapsed() < SOON),
        }
    };
    assert_eq!(frame.code, CloseCode::Away);
    assert!(from.elapsed() >= life);
    let end = bench.next("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1001);
}

#[tokio::test]
async fn a_client_that_does_not_read_fills_a_bounded_queue_and_is_cut() {
    let mut bench = Bench::with(SocketLimits {
        // Longer than it takes to fill the queue on a busy machine.
        stalled: Duration::from_secs(5),
        ..SocketLimits::default()
    })
    .await;
    let (client, id) = bench.connect().await;
    let long = "x".repeat(MESSAGE_MAX);
    let mut taken = 0;
    let refused = loop {
        match bench.push(&id, long.clone()).await {
            200 => taken += 1,
            status => break status,
        }
        assert!(taken < 512, "{taken} messages of 128 KB were queued");
    };
    assert_eq!(refused, 429);
    let end = bench.next("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1006);
    assert_eq!(bench.push(&id, "x").await, 410);
    drop(client);
}

#[tokio::test]
async fn a_cut_breaks_the_sockets_of_now_and_no_later_one() {
    let mut bench = Bench::start().await;
    let (mut one, _) = bench.connect().await;
    let (mut other, _) = bench.connect().await;
    bench.gateway.cut();
    for client in [&mut one, &mut other] {
        let broken = hear(client).await;
        assert!(broken.is_err(), "{broken:?}");
        let end = bench.next("$disconnect").await;
        assert_eq!(end["requestContext"]["disconnectStatusCode"], 1006);
    }
    let (mut later, id) = bench.connect().await;
    assert_eq!(bench.push(&id, "x").await, 200);
    assert_eq!(text(&mut later).await, "x");
}

#[tokio::test]
async fn a_gateway_that_ends_leaves_no_socket_open() {
    let mut bench = Bench::start().await;
    let (mut client, _) = bench.connect().await;
    drop(bench.gateway);
    assert!(hear(&mut client).await.is_err());
}

#[tokio::test]
async fn so_many_invocations_are_on_their_way_and_others_wait_for_their_turn() {
    let mut bench = Bench::start().await;
    bench.function(Does::Wait);
    let most = INVOCATIONS + 10;
    let opening: Vec<_> = (0..most)
        .map(|_| tokio::spawn(connect_async(bench.socket_url("/"))))
        .collect();
    bench
        .running
        .wait_for(|count| *count == INVOCATIONS)
        .await
        .unwrap();
    let mut running = bench.running.clone();
    let more = running.wait_for(|count| *count > INVOCATIONS);
    let more = tokio::time::timeout(Duration::from_millis(300), more);
    assert!(more.await.is_err());
    bench.function(Does::Answer(json!({"statusCode": 200})));
    for opened in join_all(opening).await {
        opened.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sockets_hear_a_push_each() {
    let mut bench = Bench::start().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let bunch = join_all((0..50).map(|_| bench.try_connect("/"))).await;
        clients.extend(bunch.into_iter().map(Heard::unwrap));
    }
    let mut ids = Vec::new();
    for _ in 0..clients.len() {
        let event = bench.next("$connect").await;
        let id = event["requestContext"]["connectionId"].as_str().unwrap();
        ids.push(id.to_owned());
    }
    for id in &ids {
        assert_eq!(bench.push(id, id.clone()).await, 200);
    }
    let mut heard = join_all(clients.iter_mut().map(text)).await;
    heard.sort();
    ids.sort();
    assert_eq!(heard, ids);
}
