//! Bells through an SQS queue.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use tokio::sync::OnceCell;

use super::{Bell, RingError};
use crate::reason::Reason;
use crate::{aws, config};

#[derive(Clone)]
pub(super) struct Queue {
    url: String,
    client: Arc<OnceCell<Client>>,
}

/// A call with its retries.
const CALL: Duration = Duration::from_secs(3);

impl Queue {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            client: Arc::default(),
        }
    }

    /// Loaded at the first ring: it reads the environment and the certificates, which a cold start need not wait for.
    async fn client(&self) -> &Client {
        self.client
            .get_or_init(|| async {
                let config = aws::config(CALL, config::sqs_endpoint()).await;
                Client::new(&config)
            })
            .await
    }

    pub(super) async fn ring(
        &self,
        bell: &Bell,
        count: u32,
        delay: Duration,
    ) -> Result<(), RingError> {
        let body = bell.encode();
        let seconds = i32::try_from(delay.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let entries = (0..count)
            .map(|n| {
                SendMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .message_body(&body)
                    .delay_seconds(seconds)
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| RingError::Sqs {
                text: e.to_string(),
                reason: Reason::Malformed,
            })?;
        let answer = self
            .client()
            .await
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|e| trouble(&e))?;
        match answer.failed() {
            [] => Ok(()),
            [first, ..] => Err(RingError::Partly {
                refused: answer.failed().len(),
                asked: count,
                code: first.code().to_owned(),
            }),
        }
    }
}

impl Queue {
    /// Shows a message again after `rest`, whoever has received it.
    pub(super) async fn show_after(&self, receipt: &str, rest: Duration) -> Result<(), RingError> {
        let seconds = i32::try_from(rest.as_secs()).unwrap_or(i32::MAX);
        let changed = self
            .client()
            .await
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds)
            .send();
        changed.await.map(drop).map_err(|e| trouble(&e))
    }

    pub(super) async fn depth(&self) -> Result<u64, RingError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
            ApproximateNumberOfMessagesNotVisible,
        };
        let names = vec![
            ApproximateNumberOfMessages,
            ApproximateNumberOfMessagesDelayed,
            ApproximateNumberOfMessagesNotVisible,
        ];
        let answer = self
            .client()
            .await
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(names))
            // Somebody looks at it, and will look again.
            .customize()
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(|e| trouble(&e))?;
        let counts = answer.attributes().into_iter().flatten();
        Ok(counts.filter_map(|(_, n)| n.parse::<u64>().ok()).sum())
    }
}

/// The text is for the log.
fn trouble<E: ProvideErrorMetadata + Error + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> RingError {
    let reason = match error {
        SdkError::TimeoutError(_) => Reason::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Reason::Timeout,
        SdkError::DispatchFailure(failure) => failure
            .as_connector_error()
            .map_or(Reason::Unreachable, |error| Reason::of(error)),
        SdkError::ServiceError(answer) => match answer.err().code() {
            Some(code) if code.contains("QueueDoesNotExist") => Reason::NotFound,
            Some(code) if code.contains("NonExistentQueue") => Reason::NotFound,
            _ => Reason::of_status(answer.raw().status().as_u16()),
        },
        SdkError::ResponseError(_) => Reason::Malformed,
        _ => Reason::Unreachable,
    };
    let text = with_causes(error);
    RingError::Sqs { text, reason }
}

/// The SDK's outermost error says only "service error".
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aws_sdk_sqs::config::{Credentials, Region};
    use axum::body::Bytes;
    use axum::http::header;
    use axum::response::IntoResponse;
    use axum::routing::post;
    use serde_json::{Value, json};

    use super::*;
    use crate::models::testing::{nobody, serve};

    /// A queue whose requests go to `answer`, in SQS's JSON protocol.
    async fn queue(answer: impl Fn(Value) -> Value + Clone + Send + Sync + 'static) -> Queue {
        let route = post(async move |body: Bytes| {
            let asked = serde_json::from_slice(&body).unwrap();
            let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.0")];
            (kind, answer(asked).to_string()).into_response()
        });
        at(&serve(axum::Router::new().route("/", route)).await).await
    }

    async fn at(base: &url::Url) -> Queue {
        let shared = aws::config(CALL, Some(base.to_string())).await;
        let config = aws_sdk_sqs::config::Builder::from(&shared)
            .region(Region::new("eu-north-1"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .build();
        Queue {
            url: format!("{base}1/bells"),
            client: Arc::new(OnceCell::from(Client::from_conf(config))),
        }
    }

    #[tokio::test]
    async fn a_queue_that_does_not_tell_its_depth_says_why_in_a_word() {
        let answer = |status: u16, kind: &'static str| {
            let status = axum::http::StatusCode::from_u16(status).unwrap();
            let body =
                json!({"__type": format!("com.amazonaws.sqs#{kind}"), "message": "10.0.0.7"});
            let json = [(header::CONTENT_TYPE, "application/x-amz-json-1.0")];
            post(async move || (status, json, body.to_string()))
        };
        for (status, kind, word) in [
            (400, "QueueDoesNotExist", "not found"),
            (403, "AccessDenied", "unauthorized"),
            (503, "ServiceUnavailable", "status 503"),
        ] {
            let routes = axum::Router::new().route("/", answer(status, kind));
            let error = at(&serve(routes).await).await.depth().await.unwrap_err();
            assert_eq!(Reason::from(&error).to_string(), word, "{error}");
        }
        let error = at(&nobody().await).await.depth().await.unwrap_err();
        assert_eq!(Reason::from(&error), Reason::Refused, "{error}");
    }

    fn entries(asked: &Value) -> Vec<Value> {
        asked["Entries"].as_array().unwrap().clone()
    }

    #[tokio::test]
    async fn every_bell_is_one_message_of_one_batch_with_its_delay_rounded_up() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = seen.clone();
        let queue = queue(move |asked| {
            let sent: Vec<_> = entries(&asked)
                .iter()
                .map(|e| json!({"Id": e["Id"], "MessageId": "m", "MD5OfMessageBody": "0"}))
                .collect();
            notes.lock().unwrap().push(asked);
            json!({"Successful": sent, "Failed": []})
        })
        .await;
        let bell = Bell::new(None, "tutti".to_owned());
        queue
            .ring(&bell, 3, Duration::from_millis(1200))
            .await
            .unwrap();

        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 1);
        let entries = entries(&seen[0]);
        assert_eq!(entries.len(), 3);
        for (n, entry) in entries.iter().enumerate() {
            assert_eq!(entry["Id"], n.to_string());
            assert_eq!(entry["DelaySeconds"], 2);
            let body = entry["MessageBody"].as_str().unwrap();
            assert_eq!(Bell::decode(body).unwrap(), bell);
        }
    }

    #[tokio::test]
    async fn a_message_is_shown_again_after_its_rest() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = seen.clone();
        let queue = queue(move |asked| {
            notes.lock().unwrap().push(asked);
            json!({})
        })
        .await;
        let rest = Duration::from_millis(9_900);
        queue.show_after("handle", rest).await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(
            (&seen[0]["ReceiptHandle"], &seen[0]["VisibilityTimeout"]),
            (&json!("handle"), &json!(9))
        );
    }

    #[tokio::test]
    async fn a_refused_bell_is_an_error() {
        let queue = queue(|_| {
            json!({"Successful": [], "Failed": [{"Id": "0", "Code": "Throttled", "SenderFault": false}]})
        })
        .await;
        let bell = Bell::new(None, "tutti".to_owned());
        let refused = queue.ring(&bell, 1, Duration::ZERO).await.unwrap_err();
        assert!(
            matches!(refused, RingError::Partly { refused: 1, .. }),
            "{refused}"
        );
    }
}
