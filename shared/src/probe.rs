//! Whether somebody answers at an address, as our own functions do at ours: one short request without credentials, whose answer is
//! judged by its status alone. No redirect is followed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{Client, Method, RequestBuilder};
use url::Url;

use crate::models::http_client;
use crate::reason::Reason;

/// An answer later than this is none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Any 16 bytes will do.
const KEY: &str = "dHV0dGkgaXMgYXNraW5nIQ==";

/// Cheap to clone. Its client is made at the first question: loading certificates would slow every start.
#[derive(Clone, Default)]
pub struct Probe(Arc<OnceLock<Client>>);

impl Probe {
    /// Whether a request is answered with `wanted`.
    pub async fn ask(&self, method: Method, url: Url, wanted: u16) -> Result<(), Reason> {
        let client = self.client()?;
        judge(client.request(method, url), wanted).await
    }

    /// The same of the handshake of a WebSocket.
    pub async fn shake(&self, url: Url, wanted: u16) -> Result<(), Reason> {
        let request = self.client()?.get(url);
        let request = request
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, KEY);
        judge(request, wanted).await
    }

    fn client(&self) -> Result<&Client, Reason> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let made = http_client().map_err(|error| Reason::of(&error))?;
        Ok(self.0.get_or_init(|| made))
    }
}

async fn judge(request: RequestBuilder, wanted: u16) -> Result<(), Reason> {
    let answer = request.timeout(PATIENCE).send().await;
    let answer = answer.map_err(|error| Reason::of(&error))?;
    match answer.status().as_u16() {
        status if status == wanted => Ok(()),
        other => Err(Reason::Status(other)),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::Redirect;
    use axum::routing::{get, post};

    use super::*;
    use crate::models::testing::{nobody, serve};

    #[tokio::test]
    async fn only_the_wanted_status_is_an_answer_and_no_redirect_is_followed() {
        let refuse = async |headers: HeaderMap| match headers.contains_key("authorization") {
            true => StatusCode::OK,
            false => StatusCode::UNAUTHORIZED,
        };
        let routes = Router::new()
            .route("/door", post(refuse))
            .route("/moved", get(async || Redirect::temporary("/here")))
            .route("/here", get("here"))
            .route("/never", get(std::future::pending::<String>));
        let base = serve(routes).await;
        let probe = Probe::default();
        let ask =
            async |method, path, wanted| probe.ask(method, base.join(path).unwrap(), wanted).await;
        assert_eq!(ask(Method::POST, "door", 401).await, Ok(()));
        let other = ask(Method::GET, "door", 401).await;
        assert_eq!(other, Err(Reason::Status(405)));
        let moved = ask(Method::GET, "moved", 200).await;
        assert_eq!(moved, Err(Reason::Status(307)));
        assert_eq!(ask(Method::GET, "never", 200).await, Err(Reason::Timeout));
        let gone = probe.ask(Method::GET, nobody().await, 200).await;
        assert_eq!(gone, Err(Reason::Refused));
    }

    #[tokio::test]
    async fn a_handshake_asks_for_a_websocket() {
        let refuse = async |headers: HeaderMap| {
            let asked = ["upgrade", "sec-websocket-version", "sec-websocket-key"];
            match asked.iter().all(|name| headers.contains_key(*name)) {
                true => StatusCode::UNAUTHORIZED,
                false => StatusCode::BAD_REQUEST,
            }
        };
        let base = serve(Router::new().route("/", get(refuse))).await;
        assert_eq!(Probe::default().shake(base, 401).await, Ok(()));
    }
}
