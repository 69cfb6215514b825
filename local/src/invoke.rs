//! One invocation of one function, through the Invoke API of `cargo lambda watch`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{HarnessError, Result};

/// A client of the Invoke API; clones share connections.
#[derive(Debug, Clone)]
pub(crate) struct Invoker {
    http: reqwest::Client,
    api: String,
}

impl Invoker {
    /// An invocation that takes longer than `limit` is given up.
    pub(crate) fn new(api: &str, limit: Duration) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(limit)
            .no_proxy()
            .build()?;
        let api = api.to_owned();
        Ok(Self { http, api })
    }

    /// The function's answer; a handler's error is [`HarnessError::Answer`] with its text.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Result<Value> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.api);
        let answer = self.http.post(url).json(event).send().await?;
        let status = answer.status().as_u16();
        let body = answer.text().await?;
        // `null` is what a handler without an answer answers.
        match serde_json::from_str(&body) {
            Ok(value) if status == 200 => Ok(value),
            _ => Err(HarnessError::Answer {
                what: format!("the function {function}"),
                status,
                body: body.chars().take(500).collect(),
            }),
        }
    }
}

/// A request as API Gateway's HTTP API hands it to a function (payload 2.0), from a caller at this address.
pub fn http_event(method: &str, path: &str, address: &str, body: &Value) -> Value {
    let route = format!("{method} {path}");
    json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "api.example.com"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": address,
                "userAgent": "harness",
            },
            "requestId": "harness",
            "routeKey": route,
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "body": body.to_string(),
        "isBase64Encoded": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::{compare, recorded};

    /// A client's certificate, an authorizer and variables of a stage are of APIs that have them; the rest is of requests that do.
    const LACKING: [&str; 4] = [
        "cookies",
        "requestContext.authentication",
        "requestContext.authorizer",
        "stageVariables",
    ];

    #[test]
    fn a_request_is_handed_over_in_the_shape_that_api_gateway_has() {
        let body = json!({"narrative": "rain"});
        let ours = http_event("POST", "/compose", "192.0.2.1", &body);
        compare(&ours, &recorded("compose"), &LACKING);
    }
}
