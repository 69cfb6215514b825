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
