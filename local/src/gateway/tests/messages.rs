use super::*;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

fn frame(code: Data, text: &str, last: bool) -> Message {
    let header = FrameHeader {
        is_final: last,
        opcode: OpCode::Data(code),
        ..FrameHeader::default()
    };
    let payload = Bytes::copy_from_slice(text.as_bytes());
    Message::Frame(Frame::from_payload(header, payload))
}

/// A message of so many bytes, in frames of at most 32 KB.
async fn send_frames(client: &mut Client, bytes: usize) {
    let text = "x".repeat(FRAME_MAX);
    let mut left = bytes;
    while left > 0 {
        let length = left.min(FRAME_MAX);
        let kind = match left == bytes {
            true => Data::Text,
            false => Data::Continue,
        };
        left -= length;
        let part = frame(kind, &text[..length], left == 0);
        client.send(part).await.unwrap();
    }
}

#[tokio::test]
async fn a_message_becomes_an_event_of_the_default_route() {
    let mut bench = Bench::start().await;
    let (mut client, id) = bench.connect().await;
    client
        .send(Message::text(r#"{"action":"ping"}"#))
        .await
        .unwrap();
    let event = bench.next("$default").await;
    assert_eq!(event["body"], r#"{"action":"ping"}"#);
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(context["eventType"], "MESSAGE");
    assert_eq!(context["connectionId"], id);
    assert!(context["messageId"].is_string());
    let read: aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest =
        serde_json::from_value(event.clone()).unwrap();
    assert_eq!(read.request_context.connection_id, Some(id));
}

#[tokio::test]
async fn the_events_of_a_connection_come_one_after_the_other_and_its_end_last() {
    let mut bench = Bench::start().await;
    let (mut client, id) = bench.connect().await;
    bench.function(Does::Wait);
    for number in 0..5 {
        client
            .send(Message::text(number.to_string()))
            .await
            .unwrap();
    }
    let leave = CloseFrame {
        code: CloseCode::Library(4007),
        reason: "enough".into(),
    };
    client.close(Some(leave)).await.unwrap();
    assert_eq!(bench.next("$default").await["body"], "0");
    // The closing is answered at once, and the socket forgotten, while the function is still at the first message.
    assert_eq!(closed(&mut client).await.code, CloseCode::Library(4007));
    let forgotten = until(SOON, async || {
        (bench.push(&id, "x").await == 410).then_some(())
    });
    forgotten.await.expect("it is forgotten");
    assert_eq!(*bench.running.borrow(), 1);
    assert!(bench.seen.try_recv().is_err());

    bench.function(Does::Answer(json!({"statusCode": 200})));
    for number in 1..5 {
        assert_eq!(bench.next("$default").await["body"], number.to_string());
    }
    let end = bench.next("$disconnect").await;
    let context = &end["requestContext"];
    assert_eq!(context["connectionId"], id);
    assert_eq!(context["eventType"], "DISCONNECT");
    assert_eq!(context["disconnectStatusCode"], 4007);
    assert_eq!(context["disconnectReason"], "enough");
}

#[tokio::test]
async fn a_client_that_closes_without_a_code_is_reported_with_1005_and_one_that_breaks_with_1006() {
    let mut bench = Bench::start().await;
    let (mut client, _) = bench.connect().await;
    client.close(None).await.unwrap();
    let end = bench.next("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1005);
    let (client, _) = bench.connect().await;
    drop(client);
    let end = bench.next("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1006);
}

#[tokio::test]
async fn a_message_that_the_function_fails_at_is_answered_with_an_internal_error() {
    let mut bench = Bench::start().await;
    let (mut client, id) = bench.connect().await;
    bench.function(Does::Error);
    client.send(Message::text("x")).await.unwrap();
    let event = bench.next("$default").await;
    let said: Value = serde_json::from_str(&text(&mut client).await).unwrap();
    let request = &event["requestContext"]["requestId"];
    assert_eq!(
        said,
        json!({"message": "Internal server error", "connectionId": id, "requestId": request})
    );
    // The socket stays open.
    bench.function(Does::Answer(json!({"statusCode": 200})));
    client.send(Message::text("y")).await.unwrap();
    assert_eq!(bench.next("$default").await["body"], "y");
}

#[tokio::test]
async fn a_message_of_128_kb_in_frames_of_32_passes_and_one_byte_more_closes_the_socket() {
    let mut bench = Bench::start().await;
    let (mut client, _) = bench.connect().await;
    send_frames(&mut client, MESSAGE_MAX).await;
    let event = bench.next("$default").await;
    assert_eq!(event["body"].as_str().unwrap().len(), MESSAGE_MAX);
    send_frames(&mut client, MESSAGE_MAX + 1).await;
    assert_eq!(closed(&mut client).await.code, CloseCode::Size);
    let end = bench.next("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1009);
}

#[tokio::test]
async fn a_frame_of_more_than_32_kb_closes_the_socket() {
    let mut bench = Bench::start().await;
    let (mut client, _) = bench.connect().await;
    client
        .send(Message::text("x".repeat(FRAME_MAX)))
        .await
        .unwrap();
    bench.next("$default").await;
    client
        .send(Message::text("x".repeat(FRAME_MAX + 1)))
        .await
        .unwrap();
    assert_eq!(closed(&mut client).await.code, CloseCode::Size);
}

#[tokio::test]
async fn a_binary_message_closes_the_socket() {
    let mut bench = Bench::start().await;
    let (mut client, _) = bench.connect().await;
    client
        .send(Message::binary(b"{}".as_slice()))
        .await
        .unwrap();
    assert_eq!(closed(&mut client).await.code, CloseCode::Unsupported);
    let end = bench.next("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1003);
}

#[tokio::test]
async fn a_ping_is_answered_and_reaches_no_function() {
    let mut bench = Bench::start().await;
    let (mut client, _) = bench.connect().await;
    let ping = Message::Ping(Bytes::from_static(b"are you there"));
    client.send(ping).await.unwrap();
    assert_eq!(
        hear(&mut client).await.unwrap(),
        Message::Pong(Bytes::from_static(b"are you there"))
    );
    assert!(bench.seen.try_recv().is_err());
}

#[tokio::test]
async fn a_client_is_read_no_faster_than_the_function_answers() {
    let mut bench = Bench::start().await;
    let (mut client, _) = bench.connect().await;
    bench.function(Does::Wait);
    // What the system itself keeps of a connection is some megabytes.
    let most = 512;
    let mut sent = 0;
    let fill = async {
        while sent < most {
            send_frames(&mut client, MESSAGE_MAX).await;
            sent += 1;
        }
    };
    let stalled = tokio::time::timeout(Duration::from_secs(2), fill).await;
    assert!(
        stalled.is_err(),
        "{most} messages of 128 KB were taken unread"
    );
}
