//! What a model is offered so that it need not hold the call open: where to report, and where to put its audio.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Where and how a model reports progress, completion and failure. Holds a secret, so it cannot be printed.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Callback {
    /// Our `POST /jobs/report`.
    pub url: String,
    /// Good for this job, render and fence only.
    pub token: String,
    /// After this the token is refused and the render taken for lost.
    pub expires_at: DateTime<Utc>,
    /// The door for a service that cannot send a header: it holds the token in its path.
    #[serde(skip)]
    pub webhook: String,
    /// How often progress is welcome; each report also keeps the job alive.
    pub every_seconds: u32,
}

/// Where a model puts its audio before it reports completion. Holds a secret, so it cannot be printed.
#[derive(Clone, Serialize)]
pub struct Upload {
    pub url: String,
    /// `PUT`.
    pub method: String,
    /// To be sent as they are.
    pub headers: BTreeMap<String, String>,
}
