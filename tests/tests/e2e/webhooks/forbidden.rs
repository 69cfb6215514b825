//! Addresses that may not be called: inner ones in every disguise. Each is refused with its reason in the log, and nothing arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use local::StackOptions;
use serde_json::json;
use tokio::net::TcpListener;

use super::receiver::Receiver;
use super::{SECRET, cancelled, delivery, is, tried};
use crate::app::App;

/// Somebody inside who must hear of nothing.
struct Inside {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Inside {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, connections }
    }

    fn heard(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn no_inner_address_is_called_in_any_disguise() {
    let app = App::with(StackOptions {
        env: vec![("DEV_MODE".to_owned(), "0".to_owned())],
        ..StackOptions::default()
    })
    .await;
    let inside = Inside::listen().await;
    let port = inside.port;
    let not_public = "the address is not public";
    for (url, reason) in [
        (format!("https://127.0.0.1:{port}/"), not_public),
        (format!("https://2130706433:{port}/"), not_public),
        (format!("https://0177.0.0.1:{port}/"), not_public),
        (format!("https://0x7f.1:{port}/"), not_public),
        (format!("https://[::1]:{port}/"), not_public),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), not_public),
        (format!("https://[64:ff9b::127.0.0.1]:{port}/"), not_public),
        (
            format!("https://localhost:{port}/"),
            "the name has no public address",
        ),
        (
            "https://169.254.169.254/latest/meta-data".to_owned(),
            not_public,
        ),
        ("https://169.254.1.1/".to_owned(), not_public),
        ("https://[::ffff:10.0.0.1]/".to_owned(), not_public),
        ("https://[64:ff9b::a00:1]/".to_owned(), not_public),
        ("https://[fd00:ec2::254]/".to_owned(), not_public),
        ("https://10.0.0.1/".to_owned(), not_public),
        // The hosts of the models are trusted as such, and not as receivers.
        (app.stack.muscgen().replace("http:", "https:"), not_public),
    ] {
        let id = cancelled(&app, json!({"url": url, "secret": SECRET})).await;
        let log = delivery(&app, &id, is("given_up")).await;
        assert_eq!(log["attempts"][0]["reason"], reason, "{url}");
        assert_eq!(log["attempts"].as_array().unwrap().len(), 1, "{url}");
    }
    assert_eq!(inside.heard(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_redirect_to_an_inner_address_is_said_and_not_followed() {
    let (app, receiver) = (App::start().await, Receiver::start().await);
    let inside = Inside::listen().await;
    let here = format!("http://127.0.0.1:{}/", inside.port);
    for (path, location, host) in [
        ("/metadata", "http://169.254.169.254/", "169.254.169.254"),
        ("/inside", here.as_str(), "127.0.0.1"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let path = format!("{path}/{status}");
            let answer = json!([{"status": status, "headers": {"location": location}}]);
            receiver.answer(&path, answer).await;
            let id = cancelled(&app, json!({"url": receiver.url(&path), "secret": SECRET})).await;
            let log = delivery(&app, &id, tried(1)).await;
            let reason = format!("redirect to {host}");
            assert_eq!(log["attempts"][0]["reason"], reason, "{path}");
        }
    }
    assert_eq!(inside.heard(), 0);
    app.stop().await;
}
