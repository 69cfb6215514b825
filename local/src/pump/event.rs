//! The event that a worker sees: the shape in which Lambda hands over one SQS message.

use serde_json::{Value, json};

use super::Delivery;

/// One record; batch size is 1.
pub(super) fn of(delivery: &Delivery) -> Value {
    let now = chrono::Utc::now().timestamp_millis().to_string();
    json!({"Records": [{
        "messageId": delivery.id,
        "receiptHandle": delivery.id,
        "body": delivery.body,
        "attributes": {
            "ApproximateReceiveCount": delivery.count.to_string(),
            "SentTimestamp": now,
            "ApproximateFirstReceiveTimestamp": now,
            "SenderId": "000000000000",
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bells",
        "awsRegion": "us-east-1",
    }]})
}

/// Whether the message `id` may be deleted, by the rules of `ReportBatchItemFailures`: no list means that all went well, a
/// failure without a readable id means that nothing did.
pub(super) fn settles(answer: &Value, id: &str) -> bool {
    match &answer["batchItemFailures"] {
        Value::Null => true,
        Value::Array(failures) => failures.iter().all(|failure| {
            let failed = failure["itemIdentifier"].as_str().unwrap_or_default();
            !failed.is_empty() && failed != id
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_that_is_not_among_the_failures_may_be_deleted() {
        for (answer, settled) in [
            (json!(null), true),
            (json!({}), true),
            (json!({"batchItemFailures": null}), true),
            (json!({"batchItemFailures": []}), true),
            (
                json!({"batchItemFailures": [{"itemIdentifier": "other"}]}),
                true,
            ),
            (
                json!({"batchItemFailures": [{"itemIdentifier": "this"}]}),
                false,
            ),
            (
                json!({"batchItemFailures": [{"itemIdentifier": ""}]}),
                false,
            ),
            (json!({"batchItemFailures": [{}]}), false),
            (json!({"batchItemFailures": "this"}), false),
        ] {
            assert_eq!(settles(&answer, "this"), settled, "{answer}");
        }
    }
}
