//! The event that a worker sees: the shape in which Lambda hands over one SQS message.

use md5::{Digest, Md5};
use serde_json::{Value, json};

/// One record, delivered for the `count`-th time; batch size is 1. By `receipt` its receiver can name it to the queue.
pub(super) fn of(id: &str, receipt: &str, body: &str, count: u64) -> Value {
    let now = chrono::Utc::now().timestamp_millis().to_string();
    let md5 = Md5::digest(body);
    json!({"Records": [{
        "messageId": id,
        "receiptHandle": receipt,
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": count.to_string(),
            "SentTimestamp": now,
            "ApproximateFirstReceiveTimestamp": now,
            "SenderId": "000000000000",
        },
        "messageAttributes": {},
        "md5OfBody": md5.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
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
    use crate::shapes::{compare, recorded};

    /// Traces are not kept on a laptop, and a bell has no attributes.
    const LACKING: [&str; 2] = [
        "Records.0.attributes.AWSTraceHeader",
        "Records.0.md5OfMessageAttributes",
    ];

    #[test]
    fn a_bell_is_handed_over_in_the_shape_that_sqs_has() {
        let ours = of("m", "r", "Message Body", 2);
        for name in ["worker", "notify", "deliver"] {
            compare(&ours, &recorded(name), &LACKING);
        }
        let md5 = &ours["Records"][0]["md5OfBody"];
        assert_eq!(*md5, recorded("worker")["Records"][0]["md5OfBody"]);
    }

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
