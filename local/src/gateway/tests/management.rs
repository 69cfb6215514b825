use super::*;

use reqwest::Method;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn a_push_reaches_its_socket_and_no_other() {
    let mut bench = Bench::start().await;
    let (mut one, first) = bench.connect().await;
    let (mut other, second) = bench.connect().await;
    // Signed or not.
    let signed = bench.call(Method::POST, &first).body("to one").header(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/execute-api/aws4_request",
    );
    let answer = signed.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
    assert_eq!(bench.push(&second, "to the other").await, 200);
    assert_eq!(text(&mut one).await, "to one");
    assert_eq!(text(&mut other).await, "to the other");
}

#[tokio::test]
async fn the_management_api_is_also_below_the_stage_and_its_ids_may_be_escaped() {
    let mut bench = Bench::start().await;
    let (mut client, id) = bench.connect().await;
    for id in [id.clone(), id.replace('=', "%3D")] {
        let port = bench.gateway.port();
        let url = format!("http://127.0.0.1:{port}/prod/@connections/{id}");
        let answer = bench.http.post(url).body("x").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(text(&mut client).await, "x");
    }
}

#[tokio::test]
async fn a_push_of_more_than_128_kb_is_refused() {
    let mut bench = Bench::start().await;
    let (mut client, id) = bench.connect().await;
    let long = "x".repeat(MESSAGE_MAX);
    assert_eq!(bench.push(&id, long.clone()).await, 200);
    assert_eq!(text(&mut client).await, long);
    let longer = bench
        .call(Method::POST, &id)
        .body(long + "x")
        .send()
        .await
        .unwrap();
    assert_eq!(longer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        longer.headers()["x-amzn-errortype"],
        "PayloadTooLargeException"
    );
}

#[tokio::test]
async fn what_is_asked_of_an_unknown_connection_is_gone() {
    let bench = Bench::start().await;
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let answer = bench.call(method.clone(), "L0SM9cOFvHcCIhw=").send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::GONE, "{method}");
        assert_eq!(answer.headers()["x-amzn-errortype"], "GoneException");
        let body: Value = answer.json().await.unwrap();
        assert!(body["message"].is_string());
    }
}

#[tokio::test]
async fn a_connection_tells_when_it_was_opened_and_last_used() {
    let mut bench = Bench::start().await;
    let (mut client, id) = bench.connect().await;
    let ask = async || -> Value {
        let answer = bench.call(Method::GET, &id).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let at = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    let before = ask().await;
    assert_eq!(before["identity"]["sourceIp"], "127.0.0.1");
    let later = until(SOON, async || {
        bench.push(&id, "x").await;
        text(&mut client).await;
        let now = ask().await;
        (at(&now["lastActiveAt"]) > at(&before["lastActiveAt"])).then_some(now)
    });
    let later = later.await.expect("a push is a use");
    assert_eq!(later["connectedAt"], before["connectedAt"]);
}

#[tokio::test]
async fn a_deleted_connection_is_closed_after_what_was_pushed_and_gone() {
    let mut bench = Bench::start().await;
    let (mut client, id) = bench.connect().await;
    assert_eq!(bench.push(&id, "last words").await, 200);
    let answer = bench.call(Method::DELETE, &id).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(bench.push(&id, "too late").await, 410);
    assert_eq!(text(&mut client).await, "last words");
    assert_eq!(closed(&mut client).await.code, CloseCode::Normal);
    let end = bench.next("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1000);
}

#[tokio::test]
async fn a_connection_whose_client_left_is_gone() {
    let mut bench = Bench::start().await;
    let (client, id) = bench.connect().await;
    drop(client);
    bench.next("$disconnect").await;
    assert_eq!(bench.push(&id, "x").await, 410);
}
