//! What a stand-in was asked, for tests to read: `GET` and `DELETE /calls`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use super::chance::Fate;

const MOST_CALLS: usize = 10_000;
/// Longer texts are cut; a callback token fits, so that a test can speak in a late model's name.
const MOST_CHARACTERS: usize = 1_000;
const MOST_ITEMS: usize = 64;

/// One call that asked for work.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// RFC 3339, in milliseconds.
    pub at: String,
    pub method: &'static str,
    pub path: String,
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
    pub traceparent: Option<String>,
    pub job_id: Option<String>,
    pub fate: Fate,
    pub body: Value,
    /// SHA-256 of the plan that came with it, as JSON.
    pub plan_sha256: Option<String>,
    /// SHA-256 of what was delivered under its key: of plans, as JSON, or of audio.
    pub delivered: Vec<String>,
}

/// The latest calls, newest last.
#[derive(Default)]
pub struct Calls(Mutex<VecDeque<Call>>);

impl Calls {
    /// Remembers a call, and forgets the oldest beyond 10,000.
    pub fn note(&self, call: Call) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() == MOST_CALLS {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    /// Remembers what is delivered to whoever called under this key.
    pub fn deliver(&self, key: Option<&str>, sha256: &str) {
        // Without a key nobody can tell whose it is.
        let Some(key) = key else { return };
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = calls
            .iter_mut()
            .filter(|call| call.idempotency_key.as_deref() == Some(key));
        for call in own.filter(|call| !call.delivered.iter().any(|one| one == sha256)) {
            call.delivered.push(sha256.to_owned());
        }
    }

    /// How many of them had this key.
    pub fn under(&self, key: &str) -> usize {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |call: &&Call| call.idempotency_key.as_deref() == Some(key);
        calls.iter().filter(has).count()
    }

    pub fn all(&self) -> Vec<Call> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().cloned().collect()
    }

    pub fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Call {
    /// A call as it came in; a body that is no JSON is kept as text.
    pub fn new(method: &'static str, path: String, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let body = serde_json::from_slice(body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
        let plan_sha256 = body.get("plan").map(json_sha256);
        Self {
            at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            method,
            path,
            request_id: header("x-request-id"),
            idempotency_key: header("idempotency-key"),
            traceparent: header("traceparent"),
            fate: Fate::default(),
            job_id: body.get("jobId").and_then(Value::as_str).map(str::to_owned),
            body: shortened(body),
            plan_sha256,
            delivered: Vec::new(),
        }
    }
}

/// SHA-256 of a value, written without white space.
pub fn json_sha256(value: &Value) -> String {
    shared::job::sha256_hex(value.to_string().as_bytes())
}

fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(match text.char_indices().nth(MOST_CHARACTERS) {
            Some((cut, _)) => format!("{}… ({} bytes)", &text[..cut], text.len()),
            None => text,
        }),
        Value::Array(items) => items.into_iter().take(MOST_ITEMS).map(shortened).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .take(MOST_ITEMS)
            .map(|(name, value)| (name, shortened(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_delivered_is_noted_once_with_the_calls_of_its_key() {
        let calls = Calls::default();
        for key in ["a", "b", "a"] {
            let headers = HeaderMap::from_iter([(
                axum::http::HeaderName::from_static("idempotency-key"),
                axum::http::HeaderValue::from_static(key),
            )]);
            calls.note(Call::new("POST", "/generate".to_owned(), &headers, b"{}"));
        }
        calls.deliver(Some("a"), "hash");
        calls.deliver(Some("a"), "hash");
        calls.deliver(None, "other");
        let delivered: Vec<_> = calls
            .all()
            .iter()
            .map(|call| call.delivered.len())
            .collect();
        assert_eq!(delivered, [1, 0, 1]);
    }

    #[test]
    fn the_log_is_bounded_in_calls_and_in_text() {
        let calls = Calls::default();
        let body = format!(
            "{{\"jobId\": \"j\", \"narrative\": \"{}\"}}",
            "é".repeat(5_000)
        );
        for _ in 0..MOST_CALLS + 5 {
            calls.note(Call::new(
                "POST",
                "/generate".to_owned(),
                &HeaderMap::new(),
                b"{}",
            ));
        }
        calls.note(Call::new(
            "POST",
            "/generate".to_owned(),
            &HeaderMap::new(),
            body.as_bytes(),
        ));
        let all = calls.all();
        assert_eq!(all.len(), MOST_CALLS);
        let last = all.last().unwrap();
        assert_eq!(last.job_id.as_deref(), Some("j"));
        assert!(last.body["narrative"].as_str().unwrap().len() < 2_100);
    }
}
