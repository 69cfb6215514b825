//! A job's numbered event log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::{JobError, JobId, JobRecord, JobStatus, Progress};
use crate::stage::Stage;

/// How many events a job keeps; older ones are trimmed, and readers are told (`gap`).
pub const KEPT: usize = 200;

/// The kinds of event, as front ends know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum EventKind {
    /// The status or the stage changed.
    #[serde(rename = "job:status")]
    Status,
    /// The model reported how far it is.
    #[serde(rename = "job:progress")]
    Progress,
    /// The track is finished and checked.
    #[serde(rename = "job:completed")]
    Completed,
    /// The job ended without a track: failed, cancelled or expired.
    #[serde(rename = "job:failed")]
    Failed,
    /// One attempt failed; another follows.
    #[serde(rename = "job:error")]
    Error,
}

/// One entry of the log. `seq` grows by one from 1; after a loss of Redis it may jump, never fall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    #[serde(default)]
    pub seq: u64,
    pub event: EventKind,
    pub at: DateTime<Utc>,
    pub status: JobStatus,
    pub stage: Stage,
    pub attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// Why, in a word: `enqueued`, `acquired`, `released`, `retried by bob`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Event {
    /// As it is pushed: with the job that it is of.
    pub fn of_job(&self, id: JobId) -> Value {
        let mut event = serde_json::json!(self);
        event["jobId"] = id.to_string().into();
        event
    }

    /// The last event of an ended job whose log is not kept any more.
    pub fn of_end(job: &JobRecord, error: Option<JobError>) -> Self {
        Self {
            seq: job.seq,
            event: match job.status {
                JobStatus::Completed => EventKind::Completed,
                _ => EventKind::Failed,
            },
            at: job.completed_at.unwrap_or(job.updated_at),
            status: job.status,
            stage: job.stage,
            attempt: job.attempt,
            progress: None,
            error,
            reason: None,
        }
    }
}

/// What lies after a sequence number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// Events between the asked number and the first one here were trimmed.
    pub gap: bool,
    /// Number of the newest event of the job.
    pub seq: u64,
}
