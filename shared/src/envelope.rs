//! What lasts of a job in the object store: the accepted request, the marker that it is unfinished, the finished job.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::job::{JobError, JobId, JobRecord, TenantId, UserId};
use crate::plan::Plan;
use crate::submission::Submission;
use crate::track::Track;

/// A job that nobody has started by then expires.
pub const START_BY: TimeDelta = TimeDelta::hours(24);
/// A job that has not ended by then expires.
pub const FINISH_BY: TimeDelta = TimeDelta::hours(26);

/// `jobs/<id>/request.json`: the accepted request. Written once, before Redis hears of the job; never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub id: JobId,
    pub tenant: TenantId,
    pub user: UserId,
    /// The `sub` as the token says it.
    pub user_id: String,
    pub request_id: String,
    /// W3C trace context of the submission.
    pub traceparent: String,
    pub created_at: DateTime<Utc>,
    pub max_attempts: u32,
    /// SHA-256 of the body as the caller sent it, keys sorted: tells a repeat from another request under the same key.
    pub digest: String,
    #[serde(flatten)]
    pub submission: Submission,
}

/// `open/<id>`: exists as long as the job is unfinished. A retry by a person writes the next generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenMarker {
    pub generation: u32,
    pub start_by: DateTime<Utc>,
    pub finish_by: DateTime<Utc>,
}

impl OpenMarker {
    /// Both clocks start at `from`.
    pub fn starting(generation: u32, from: DateTime<Utc>) -> Self {
        Self {
            generation,
            start_by: from + START_BY,
            finish_by: from + FINISH_BY,
        }
    }
}

/// `jobs/<id>/manifest.json`: the ended job, made from the Redis record alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub job: JobRecord,
    pub request: Envelope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<Track>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
}

impl Manifest {
    /// A marker of a later generation means that a person retried the job since.
    pub fn is_superseded_by(&self, marker: &OpenMarker) -> bool {
        marker.generation > self.job.generation
    }
}
