//! What a message says, and its signature (Standard Webhooks).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::clients::Clients;
use crate::endpoint::{Ending, Hook, SigningSecret};
use crate::envelope::Manifest;
use crate::job::JobId;
use crate::settle::artifact_url;
use crate::view::{JobView, Known};

/// The fields of a job that a message has: the short ones.
const FIELDS: [&str; 19] = [
    "jobId",
    "userId",
    "status",
    "stage",
    "tags",
    "model",
    "duration",
    "seed",
    "attempt",
    "cached",
    "error",
    "track",
    "requestId",
    "seq",
    "createdAt",
    "startedAt",
    "completedAt",
    "usage",
    "links",
];
/// Texts of others, cut so that the whole stays below 20 KB.
const TEXT_MAX: usize = 1000;

/// Names a message, at each try and when it is sent again: who has seen it may drop it.
pub(crate) fn id(job: JobId, generation: u32, hook: Hook) -> String {
    format!("msg_{job}_{generation}_{hook}")
}

/// `{type, timestamp, data}`.
pub(crate) fn body(clients: &Clients, manifest: &Manifest, event: Ending) -> String {
    let id = manifest.job.id;
    let known = Known::from(manifest.clone());
    let view = JobView::new(known, |_| Some(artifact_url(clients, id)));
    let ended = manifest.job.completed_at.unwrap_or(manifest.job.updated_at);
    said(event, ended, &json!(view)).to_string()
}

fn said(event: Ending, at: DateTime<Utc>, view: &Value) -> Value {
    let mut data = Map::new();
    for name in FIELDS {
        if let Some(value) = view.get(name) {
            data.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(track) = data.get_mut("track").and_then(Value::as_object_mut) {
        track.remove("waveform");
        for name in ["model", "version"] {
            track.get_mut(name).map(shorten);
        }
    }
    let message = data.get_mut("error").and_then(|e| e.get_mut("message"));
    message.map(shorten);
    json!({"type": event, "timestamp": at, "data": data})
}

fn shorten(value: &mut Value) {
    if let Value::String(text) = value {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
    }
}

/// `webhook-signature`: one of each secret, separated by spaces.
pub(crate) fn signatures(
    secrets: &[SigningSecret],
    id: &str,
    timestamp: i64,
    body: &str,
) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    let each = secrets
        .iter()
        .filter_map(|secret| secret.sign(signed.as_bytes()));
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let secret = SigningSecret::parse(&secret).unwrap();
        let (id, at, body) = (
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(
            signatures(std::slice::from_ref(&secret), id, at, body),
            expected
        );
        let both = signatures(&[secret.clone(), secret], id, at, body);
        assert_eq!(both, format!("{expected} {expected}"));
    }

    #[test]
    fn a_message_has_the_short_parts_of_a_job_and_stays_below_20_kb() {
        let long = "é".repeat(50_000);
        let view = json!({
            "jobId": "1", "narrative": long, "options": {"a": long}, "plan": {"title": long}, "webhook": {"url": "https://x/"},
            "userId": "\u{1}".repeat(256), "tags": vec!["t".repeat(64); 10], "links": {"self": "/jobs/1"}, "usage": {"planMs": 1},
            "error": {"code": "x".repeat(64), "message": long},
            "track": {"url": "/a", "waveform": vec![[0.5, 0.5]; 400], "model": long, "version": long, "bytes": 7},
        });
        let body = said(Ending::Failed, Utc::now(), &view);
        let data = body["data"].as_object().unwrap();
        let names: Vec<_> = data.keys().map(String::as_str).collect();
        let expected = [
            "error", "jobId", "links", "tags", "track", "usage", "userId",
        ];
        assert_eq!(names, expected);
        assert_eq!(data["track"]["waveform"], Value::Null);
        assert_eq!(
            (&body["type"], &data["track"]["bytes"]),
            (&json!("job.failed"), &json!(7))
        );
        assert!(
            body.to_string().len() < 20 * 1024,
            "{}",
            body.to_string().len()
        );
    }
}
