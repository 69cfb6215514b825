use super::*;
use crate::app::ALICE;
use crate::doors::{refused, with_token};

async fn refusal(address: &str) -> u16 {
    match SocketClient::open(address).await.unwrap() {
        Opening::Refused(status) => status,
        Opening::Open(_) => panic!("{address} opened"),
    }
}

#[tokio::test]
async fn a_ticket_opens_one_socket_and_nothing_else_opens_any() {
    let app = App::start().await;
    let address = app.socket_address(ALICE).await;
    let opened = SocketClient::open(&address).await.unwrap();
    let Opening::Open(socket) = opened else {
        panic!("{opened:?}")
    };
    assert_eq!(refusal(&address).await, 401);
    // Also after the socket is closed.
    drop(socket);
    assert_eq!(refusal(&address).await, 401);

    let sockets = app.stack.sockets();
    let token = app.stack.token("user", ALICE).unwrap();
    for query in [
        String::new(),
        "?ticket=".to_owned(),
        "?ticket=nonsense".to_owned(),
        format!("?ticket={token}"),
        format!("?token={token}"),
    ] {
        assert_eq!(refusal(&format!("{sockets}/{query}")).await, 401, "{query}");
    }
    app.stop().await;
}

#[tokio::test]
async fn two_sockets_with_one_ticket_at_the_same_moment_are_one() {
    let app = App::start().await;
    for _ in 0..5 {
        let address = app.socket_address(ALICE).await;
        let (one, other) = tokio::join!(SocketClient::open(&address), SocketClient::open(&address));
        let opened = [one.unwrap(), other.unwrap()];
        let count = opened
            .iter()
            .filter(|o| matches!(o, Opening::Open(_)))
            .count();
        assert_eq!(count, 1, "{opened:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_ticket_is_given_only_for_a_token_and_opens_no_door_of_http() {
    let app = App::start().await;
    let answer = with_token(&app, Method::POST, "/auth/ticket", None);
    refused(answer.send().await.unwrap(), 401, "unauthenticated").await;
    let address = app.socket_address(ALICE).await;
    let (_, ticket) = address.split_once("ticket=").unwrap();
    let answer = with_token(&app, Method::GET, "/jobs", Some(ticket));
    assert_eq!(answer.send().await.unwrap().status(), 401);
    app.stop().await;
}
