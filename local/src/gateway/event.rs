//! What the function sees: API Gateway's WebSocket proxy events.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// What is known of a socket from its handshake.
#[derive(Debug, Clone)]
pub(super) struct Handshake {
    pub(super) connection_id: String,
    pub(super) at: DateTime<Utc>,
    pub(super) stage: String,
    pub(super) source_ip: String,
    pub(super) headers: HeaderMap,
    /// Decoded, in the order of the address.
    pub(super) query: Vec<(String, String)>,
}

/// An id as API Gateway makes them: 11 bytes in base64, so it ends in `=`.
pub(super) fn mint_id() -> String {
    URL_SAFE.encode(std::array::from_fn::<u8, 11, _>(|_| fastrand::u8(..)))
}

/// Names with their last value, and with all their values.
fn both_ways<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> (Value, Value) {
    let mut all = BTreeMap::<&str, Vec<&str>>::new();
    for (name, value) in pairs {
        all.entry(name).or_default().push(value);
    }
    let last: BTreeMap<_, _> = all
        .iter()
        .map(|(name, values)| (name, values.last()))
        .collect();
    (json!(last), json!(all))
}

impl Handshake {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn identity(&self) -> Value {
        let mut identity = json!({"sourceIp": self.source_ip});
        if let Some(agent) = self.header("user-agent") {
            identity["userAgent"] = agent.into();
        }
        identity
    }

    /// The socket is about to open; the function may refuse it.
    pub(super) fn connect(&self) -> Value {
        let headers = self.headers.iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let (single, multiple) = both_ways(headers);
        let mut event = json!({
            "headers": single,
            "multiValueHeaders": multiple,
            "requestContext": self.context("$connect", "CONNECT"),
            "isBase64Encoded": false,
        });
        if !self.query.is_empty() {
            let pairs = self
                .query
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let (single, multiple) = both_ways(pairs);
            event["queryStringParameters"] = single;
            event["multiValueQueryStringParameters"] = multiple;
        }
        event
    }

    /// The client sent `body`.
    pub(super) fn message(&self, body: &str) -> Value {
        let mut context = self.context("$default", "MESSAGE");
        context["messageId"] = mint_id().into();
        json!({"requestContext": context, "body": body, "isBase64Encoded": false})
    }

    /// The socket is closed.
    pub(super) fn disconnect(&self, code: u16, reason: &str) -> Value {
        let mut context = self.context("$disconnect", "DISCONNECT");
        context["disconnectStatusCode"] = code.into();
        context["disconnectReason"] = reason.into();
        let host = [("Host", self.domain())];
        let (single, multiple) = both_ways(host.into_iter());
        json!({
            "headers": single,
            "multiValueHeaders": multiple,
            "requestContext": context,
            "isBase64Encoded": false,
        })
    }

    fn domain(&self) -> &str {
        self.header("host").unwrap_or("127.0.0.1")
    }

    fn context(&self, route: &str, kind: &str) -> Value {
        let (now, request) = (Utc::now(), mint_id());
        json!({
            "routeKey": route,
            "eventType": kind,
            "extendedRequestId": request,
            "requestTime": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "messageDirection": "IN",
            "stage": self.stage,
            "connectedAt": self.at.timestamp_millis(),
            "requestTimeEpoch": now.timestamp_millis(),
            "identity": self.identity(),
            "requestId": request,
            "domainName": self.domain(),
            "connectionId": self.connection_id,
            "apiId": "local",
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::HOST;

    use super::*;
    use crate::shapes::{compare, recorded};

    /// Nobody has an API key here.
    const LACKING: [&str; 2] = [
        "requestContext.identity.apiKey",
        "requestContext.identity.apiKeyId",
    ];

    #[test]
    fn what_a_socket_does_is_told_in_the_shape_that_api_gateway_has() {
        let handshake = Handshake {
            connection_id: mint_id(),
            at: Utc::now(),
            stage: "prod".to_owned(),
            source_ip: "127.0.0.1".to_owned(),
            headers: HeaderMap::from_iter([(HOST, "localhost".parse().unwrap())]),
            query: vec![("ticket".to_owned(), "t".to_owned())],
        };
        compare(&handshake.connect(), &recorded("live-connect"), &LACKING);
        compare(
            &handshake.message("{}"),
            &recorded("live-message"),
            &LACKING,
        );
        let end = handshake.disconnect(1005, "Client-side close frame status not set");
        compare(&end, &recorded("live-disconnect"), &[]);
    }
}
