//! A service of the test's own, on a port of its own.

use axum::Router;
use tokio::net::TcpListener;
use url::Url;

use super::Outgoing;

/// Serves until the test's runtime ends.
pub(crate) async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/").parse().unwrap()
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    format!("http://{address}/").parse().unwrap()
}

/// The headers of a job's calls.
pub(crate) fn out() -> Outgoing {
    Outgoing {
        request_id: "req-1".to_owned(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        idempotency_key: Some("job:audio:7:1".to_owned()),
    }
}
