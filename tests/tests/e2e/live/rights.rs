use local::StackOptions;

use super::*;
use crate::app::{ALICE, ten_seconds};

/// What a problem says, without its words.
fn told(problem: &Value) -> (&str, &str, &str) {
    let text = |member: &str| problem[member].as_str().unwrap_or_default();
    (text("event"), text("code"), text("jobId"))
}

#[tokio::test]
async fn somebody_elses_job_is_an_unknown_one_except_to_an_admin() {
    let app = App::start().await;
    let id = app.submit(ten_seconds()).await;
    let mut bob = app.listen("bob").await;
    let unknown = "01a20428-f7d9-735f-b27d-e74c71c63de9";
    for job in [id.as_str(), unknown] {
        bob.say(&json!({"action": "job:subscribe", "jobId": job}))
            .await;
        let problem = bob.next(SOON).await;
        assert_eq!(told(&problem), ("problem", "unknown_job", job));
    }
    let token = app.stack.token("admin", "root").unwrap();
    let url = format!("{}/auth/ticket", app.stack.api());
    let ticket = app.http.post(url).bearer_auth(token).send().await.unwrap();
    let ticket: Value = ticket.json().await.unwrap();
    let ticket = ticket["ticket"].as_str().unwrap();
    let address = format!("{}/?ticket={ticket}", app.stack.sockets());
    let Opening::Open(socket) = SocketClient::open(&address).await.unwrap() else {
        panic!("the admin was refused")
    };
    let mut admin = Listener::new(socket);
    admin.subscribe(&id, 0).await;
    assert_whole(&admin.until_ended(&id).await);
    bob.hears_nothing_more().await;
    app.stop().await;
}

#[tokio::test]
async fn a_message_that_means_nothing_is_a_problem_and_the_socket_stays_open() {
    let app = App::start().await;
    let mut listener = app.listen(ALICE).await;
    for text in [
        "",
        "ping",
        "[]",
        "{}",
        r#"{"action":"job:delete"}"#,
        r#"{"action":"job:subscribe","jobId":"x"}"#,
    ] {
        listener.socket.say(text.to_owned()).await.unwrap();
        let problem = listener.next(SOON).await;
        assert_eq!(
            told(&problem),
            ("problem", "malformed_message", ""),
            "{text}"
        );
    }
    let id = app.submit(ten_seconds()).await;
    let ahead = json!({"action": "job:subscribe", "jobId": id, "after": 1_000_000});
    listener.say(&ahead).await;
    let problem = listener.next(SOON).await;
    assert_eq!(told(&problem), ("problem", "unknown_event", id.as_str()));
    listener.hears_nothing_more().await;
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_says_too_much_is_refused_and_then_closed() {
    let app = App::with(StackOptions {
        env: vec![("SOCKET_RATE".to_owned(), "10".to_owned())],
        ..StackOptions::default()
    })
    .await;
    let mut other = app.listen("bob").await;
    let mut listener = app.listen(ALICE).await;
    let mut pongs = 0;
    let problem = loop {
        listener.say(&json!({"action": "ping"})).await;
        let said = listener.next(SOON).await;
        if said["event"] != "pong" {
            break said;
        }
        pongs += 1;
    };
    assert!((10..20).contains(&pongs), "{pongs}");
    assert_eq!(told(&problem), ("problem", "rate_limited", ""));
    assert!(problem["detail"].as_str().unwrap().contains(" s, or"));
    // What means nothing counts like the rest.
    for _ in 0..60 {
        if listener.socket.say("nonsense".to_owned()).await.is_err() {
            break;
        }
    }
    let closed = loop {
        match listener.try_next(SOON).await {
            Ok(said) => assert_eq!(told(&said), ("problem", "rate_limited", "")),
            Err(ended) => break ended,
        }
    };
    assert!(matches!(closed, Some(Heard::Closed(_))), "{closed:?}");
    other.say(&json!({"action": "ping"})).await;
    assert_eq!(other.next(SOON).await["event"], "pong");
    app.stop().await;
}

#[tokio::test]
async fn the_sockets_and_tickets_of_a_token_that_was_taken_back_end_with_it() {
    let app = App::start().await;
    let root = app.stack.token("admin", "root").unwrap();
    let url = |path: &str| format!("{}{path}", app.stack.api());
    let issued = app
        .http
        .post(url("/auth/service-tokens"))
        .bearer_auth(&root);
    let issued = issued.json(&json!({"sub": "gpu-1", "role": "worker"}));
    let issued: Value = issued.send().await.unwrap().json().await.unwrap();
    let ticket = async || {
        let token = issued["token"].as_str().unwrap();
        let ticket = app.http.post(url("/auth/ticket")).bearer_auth(token);
        let ticket: Value = ticket.send().await.unwrap().json().await.unwrap();
        let ticket = ticket["ticket"].as_str().unwrap();
        format!("{}/?ticket={ticket}", app.stack.sockets())
    };
    let Opening::Open(socket) = SocketClient::open(&ticket().await).await.unwrap() else {
        panic!("the service was refused")
    };
    let mut listener = Listener::new(socket);
    listener.say(&json!({"action": "ping"})).await;
    assert_eq!(listener.next(SOON).await["event"], "pong");
    let unused = ticket().await;
    let path = format!("/auth/service-tokens/{}", issued["jti"].as_str().unwrap());
    let revoked = app.http.delete(url(&path)).bearer_auth(&root).send().await;
    assert_eq!(revoked.unwrap().status(), StatusCode::NO_CONTENT);
    listener.closed().await;
    let late = SocketClient::open(&unused).await.unwrap();
    assert!(matches!(late, Opening::Refused(401)), "{late:?}");
    app.stop().await;
}
