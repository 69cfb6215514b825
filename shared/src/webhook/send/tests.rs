use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;

use super::*;
use crate::models::http_client;
use crate::models::testing::{nobody, out, serve};

async fn send(sender: &Sender, url: &str) -> (Option<u16>, Verdict) {
    let message = Message {
        id: "msg_1",
        timestamp: 1,
        signatures: "v1,x",
        body: "{}".to_owned(),
        out: &out(),
    };
    sender.send(&url.parse().unwrap(), message).await
}

fn sender(dev_mode: bool) -> Sender {
    Sender::new(http_client().unwrap(), dev_mode)
}

async fn answered(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Verdict {
    let base = serve(Router::new().route("/", post(async || answer))).await;
    send(&sender(true), base.as_str()).await.1
}

fn failed(reason: &str, seconds: Option<u64>) -> Verdict {
    Verdict::Failed {
        reason: reason.to_owned(),
        after: seconds.map(Duration::from_secs),
    }
}

fn status(code: u16) -> axum::http::StatusCode {
    axum::http::StatusCode::from_u16(code).unwrap()
}

#[tokio::test]
async fn a_status_is_a_verdict() {
    for code in [200, 201, 202, 204, 299] {
        assert_eq!(answered(status(code)).await, Verdict::Delivered, "{code}");
    }
    assert_eq!(answered(status(410)).await, Verdict::Gone);
    for (code, reason) in [
        (400, "400 Bad Request"),
        (404, "404 Not Found"),
        (413, "413 Payload Too Large"),
        (429, "429 Too Many Requests"),
        (500, "500 Internal Server Error"),
        (304, "304 Not Modified"),
    ] {
        assert_eq!(answered(status(code)).await, failed(reason, None));
    }
}

#[tokio::test]
async fn a_pause_that_the_receiver_asks_for_is_heard() {
    for code in [429, 503, 500] {
        let verdict = answered((status(code), [("retry-after", "7200")])).await;
        assert!(
            matches!(&verdict, Verdict::Failed { after: Some(after), .. } if after.as_secs() == 7200),
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let target = async move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let routes = Router::new()
        .route(
            "/here",
            post(async || Redirect::temporary("/there?token=x")),
        )
        .route(
            "/away",
            post(async || Redirect::temporary("http://169.254.169.254/latest")),
        )
        .route("/there", post(target));
    let base = serve(routes).await;
    for (path, host) in [("here", "127.0.0.1"), ("away", "169.254.169.254")] {
        let (code, verdict) = send(&sender(true), &format!("{base}{path}")).await;
        assert_eq!(
            (code, verdict),
            (Some(307), failed(&format!("redirect to {host}"), None))
        );
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endless_answer_is_read_to_a_bound() {
    let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 1000]));
    let endless = move || Body::from_stream(futures_util::stream::repeat_with(chunk));
    let base = serve(Router::new().route("/", post(async move || endless()))).await;
    let sender = sender(true);
    let call = send(&sender, base.as_str());
    let (_, verdict) = tokio::time::timeout(Duration::from_secs(5), call)
        .await
        .unwrap();
    assert_eq!(verdict, Verdict::Delivered);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_said_without_its_address() {
    let base = nobody().await;
    let (code, verdict) = send(&sender(true), &format!("{base}?token=hunter2")).await;
    let Verdict::Failed { reason, after } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((code, after), (None, None));
    assert!(reason.starts_with("no connection: "), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");
}

/// Every form of an inner address that the parser knows, and a name that leads to one.
#[tokio::test]
async fn what_is_not_public_https_is_forbidden_and_nothing_arrives() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (host, reason) in [
        ("127.0.0.1", "the address is not public"),
        ("2130706433", "the address is not public"),
        ("0177.0.0.1", "the address is not public"),
        ("0x7f.1", "the address is not public"),
        ("10.0.0.1", "the address is not public"),
        ("169.254.169.254", "the address is not public"),
        ("[::1]", "the address is not public"),
        ("[::ffff:127.0.0.1]", "the address is not public"),
        ("[64:ff9b::7f00:1]", "the address is not public"),
        ("[fd00:ec2::254]", "the address is not public"),
        ("localhost", "the name has no public address"),
    ] {
        let answer = send(&sender(false), &format!("https://{host}:{port}/")).await;
        let forbidden = Verdict::Forbidden(reason.to_owned());
        assert_eq!(answer, (None, forbidden), "{host}");
    }
    let plain = send(&sender(false), "http://example.com/").await.1;
    assert_eq!(
        plain,
        Verdict::Forbidden("the address is not https".to_owned())
    );
    let arrived = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(arrived.is_err(), "somebody connected");
}
