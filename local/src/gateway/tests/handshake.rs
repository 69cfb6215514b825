use super::*;

/// The status of a refused handshake.
async fn refused(bench: &Bench) -> u16 {
    match bench.try_connect("/").await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("not refused but {other:?}"),
    }
}

#[tokio::test]
async fn a_handshake_tells_the_function_what_api_gateway_would() {
    let mut bench = Bench::start().await;
    let path = "/stage?ticket=a%20b%3D&tag=1&tag=2";
    let _client = bench.try_connect(path).await.unwrap();
    let event = bench.next("$connect").await;
    assert_eq!(
        event["queryStringParameters"],
        json!({"ticket": "a b=", "tag": "2"})
    );
    assert_eq!(
        event["multiValueQueryStringParameters"],
        json!({"ticket": ["a b="], "tag": ["1", "2"]})
    );
    assert_eq!(event["isBase64Encoded"], false);
    let host = format!("127.0.0.1:{}", bench.gateway.port());
    assert_eq!(event["headers"]["host"], host);
    assert_eq!(event["multiValueHeaders"]["host"], json!([host]));

    let context = &event["requestContext"];
    assert_eq!(context["eventType"], "CONNECT");
    assert_eq!(context["messageDirection"], "IN");
    assert_eq!(context["stage"], "stage");
    assert_eq!(context["domainName"], host);
    assert_eq!(context["identity"]["sourceIp"], "127.0.0.1");
    let id = context["connectionId"].as_str().unwrap();
    assert!(id.len() == 16 && id.ends_with('='), "{id}");
    for text in ["extendedRequestId", "requestId", "apiId", "requestTime"] {
        assert!(context[text].is_string(), "{text}: {event:#}");
    }
    assert!(
        context["connectedAt"].as_u64() <= context["requestTimeEpoch"].as_u64(),
        "{event:#}"
    );
    let read: aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest =
        serde_json::from_value(event.clone()).unwrap();
    assert_eq!(read.request_context.connection_id.as_deref(), Some(id));
}

#[tokio::test]
async fn a_socket_opens_only_with_a_status_of_success() {
    let mut bench = Bench::start().await;
    for (does, status) in [
        (Does::Answer(json!({"statusCode": 403})), 403),
        (Does::Answer(json!({"statusCode": 503})), 503),
        (Does::Answer(json!({"statusCode": 100})), 502),
        (Does::Answer(json!({})), 502),
        (Does::Answer(json!(null)), 502),
        (Does::Error, 502),
    ] {
        bench.function(does.clone());
        assert_eq!(refused(&bench).await, status, "{does:?}");
        // And nothing else: what never opened never ends.
        bench.next("$connect").await;
    }
    bench.function(Does::Answer(json!({"statusCode": 204})));
    bench.connect().await;
}

#[tokio::test]
async fn a_function_that_is_late_refuses_with_a_time_out() {
    let bench = Bench::with(SocketLimits {
        integration: Duration::from_millis(100),
        ..SocketLimits::default()
    })
    .await;
    bench.function(Does::Wait);
    assert_eq!(refused(&bench).await, 504);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_reported_as_gone() {
    let mut bench = Bench::start().await;
    bench.function(Does::Wait);
    let url = bench.socket_url("/");
    let waiting = tokio::spawn(connect_async(url));
    let event = bench.next("$connect").await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    bench.function(Does::Answer(json!({"statusCode": 200})));
    let left = bench.next("$disconnect").await;
    let id = &event["requestContext"]["connectionId"];
    assert_eq!(left["requestContext"]["connectionId"], *id);
    assert_eq!(bench.push(id.as_str().unwrap(), "x").await, 410);
}

#[tokio::test]
async fn a_request_that_is_no_handshake_reaches_no_function() {
    let mut bench = Bench::start().await;
    let address = format!("http://127.0.0.1:{}/", bench.gateway.port());
    let answer = bench.http.get(address).send().await.unwrap();
    assert!(answer.status().is_client_error());
    assert!(bench.seen.try_recv().is_err());
}
