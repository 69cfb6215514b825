//! A request for audio, read and checked.

use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use crate::stand_ins::exchange::{Callback, text_header};
use crate::stand_ins::report::Upload;

const SECONDS: std::ops::RangeInclusive<f64> = 0.5..=600.0;

/// What `POST /generate` is asked; unknown fields are left alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    #[serde(default)]
    pub(crate) job_id: String,
    #[serde(default)]
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) prompt: String,
    #[serde(default)]
    pub(crate) plan: Value,
    #[serde(default = "usual_seconds")]
    pub(crate) duration: f64,
    #[serde(default)]
    pub(crate) seed: u64,
    pub(crate) callback: Option<Callback>,
    pub(crate) upload: Option<Upload>,
}

impl Request {
    /// Reads the body; the request id of the header counts more than the body's.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, String> {
        let mut request: Self = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        if !SECONDS.contains(&request.duration) {
            return Err(format!(
                "duration must be {} to {} seconds",
                SECONDS.start(),
                SECONDS.end()
            ));
        }
        if let Some(id) = text_header(headers, "x-request-id") {
            request.request_id = id;
        }
        if let Some(callback) = &mut request.callback {
            callback.traceparent = text_header(headers, "traceparent");
        }
        Ok(request)
    }
}

fn usual_seconds() -> f64 {
    30.0
}
