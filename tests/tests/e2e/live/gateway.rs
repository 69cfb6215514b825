use super::*;
use crate::app::{ALICE, ten_seconds};

use local::{SocketLimits, StackOptions};

#[tokio::test]
async fn what_is_too_long_or_no_text_closes_the_socket_and_the_next_one_works() {
    let app = App::start().await;
    let mut listener = app.listen(ALICE).await;
    let long = json!({"action": "ping", "more": "x".repeat(33 * 1024)});
    listener.say(&long).await;
    assert_eq!(listener.closed().await, 1009);
    let mut listener = app.listen(ALICE).await;
    listener.socket.say_bytes(b"{}".to_vec()).await.unwrap();
    assert_eq!(listener.closed().await, 1003);
    app.listen(ALICE).await.hears_nothing_more().await;
    app.stop().await;
}

#[tokio::test]
async fn a_silent_socket_is_closed_and_one_that_pings_is_not() {
    let idle = Duration::from_secs(2);
    let app = App::with(StackOptions {
        sockets: SocketLimits {
            idle,
            ..SocketLimits::default()
        },
        ..StackOptions::default()
    })
    .await;
    let mut silent = app.listen(ALICE).await;
    let mut awake = app.listen(ALICE).await;
    let ended = tokio::spawn(async move { silent.closed().await });
    while !ended.is_finished() {
        awake.hears_nothing_more().await;
        tokio::time::sleep(idle / 10).await;
    }
    assert_eq!(ended.await.unwrap(), 1001);
    awake.hears_nothing_more().await;
    app.stop().await;
}

#[tokio::test]
async fn a_user_may_have_so_many_sockets_and_closed_ones_do_not_count() {
    let app = App::with(StackOptions {
        env: vec![("SOCKETS_MAX".to_owned(), "2".to_owned())],
        ..StackOptions::default()
    })
    .await;
    let (first, _second) = (app.listen(ALICE).await, app.listen(ALICE).await);
    let address = app.socket_address(ALICE).await;
    let third = SocketClient::open(&address).await.unwrap();
    assert!(matches!(third, Opening::Refused(429)), "{third:?}");
    app.listen("bob").await;
    drop(first);
    let free = local::until(SOON, async || {
        let address = app.socket_address(ALICE).await;
        match SocketClient::open(&address).await.unwrap() {
            Opening::Open(socket) => Some(socket),
            Opening::Refused(_) => None,
        }
    });
    let socket = free.await.expect("the closed one is forgotten");
    Listener::new(socket).hears_nothing_more().await;
    app.stop().await;
}

#[tokio::test]
async fn thirty_two_sockets_are_served_side_by_side() {
    let app = App::start().await;
    let id = app.submit(ten_seconds()).await;
    let listeners = (0..32).map(|_| async {
        let mut listener = app.listen(ALICE).await;
        listener.subscribe(&id, 0).await;
        listener.until_ended(&id).await
    });
    for heard in futures_util::future::join_all(listeners).await {
        assert_whole(&heard);
    }
    app.stop().await;
}
