//! What lasts of a job in the object store: the accepted request, the marker that it is unfinished, the finished job.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::endpoint::{Ending, Line, Target};
use crate::job::{JobError, JobId, JobRecord, TenantId, UserId};
use crate::plan::Planned;
use crate::priority::Priority;
use crate::provenance::Provenance;
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
    /// The caller wants nothing out of the caches.
    #[serde(default)]
    pub no_cache: bool,
    #[serde(flatten)]
    pub submission: Submission,
}

/// `open/<id>`: exists as long as the job is unfinished. A retry by a person writes the next generation, an operator another priority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenMarker {
    pub generation: u32,
    pub start_by: DateTime<Utc>,
    pub finish_by: DateTime<Utc>,
    /// As the caller asked, or as an operator changed it.
    #[serde(default)]
    pub priority: Priority,
}

impl OpenMarker {
    /// Both clocks start at `from` and run as long as they did when the job was submitted.
    pub fn starting(generation: u32, from: DateTime<Utc>, request: &Envelope) -> Self {
        let asked = &request.submission;
        let start_by = asked.start_by.map(|at| at - request.created_at);
        let finish_by = asked.finish_by.map(|at| at - request.created_at);
        let start_in =
            start_by.unwrap_or_else(|| finish_by.map_or(START_BY, |end| end.min(START_BY)));
        let finish_in =
            finish_by.unwrap_or_else(|| FINISH_BY.max(start_in + (FINISH_BY - START_BY)));
        Self {
            generation,
            start_by: from + start_in,
            finish_by: from + finish_in,
            priority: asked.priority,
        }
    }
}

/// `due/<id>/…`: messages about the end of a job that have not all arrived and are not all given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Due {
    /// Of the end; its manifest has the same.
    pub generation: u32,
    pub event: Ending,
    pub targets: Vec<DueTarget>,
}

/// Names an object that holds a [`Due`]. Each settling of an end and each redelivery has its own: none removes what another noted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DueName(String);

impl DueName {
    /// For the end of this generation; again it is the same.
    pub fn of_end(generation: u32) -> Self {
        Self(generation.to_string())
    }

    /// For messages of this end that are sent again by hand.
    pub fn again(generation: u32) -> Self {
        Self(format!("{generation}-{}", Uuid::now_v7()))
    }

    /// As it was stored.
    pub fn stored(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The last part of the object's path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One message of [`Due`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DueTarget {
    pub target: Target,
    /// Where it goes, as it may be shown.
    pub url: String,
    pub line: Line,
    /// It is given up where it has not arrived by then.
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub until: DateTime<Utc>,
}

/// `jobs/<id>/manifest.json`: the ended job, made from the Redis record alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub job: JobRecord,
    pub request: Envelope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Planned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<Track>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// Of a track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

impl Manifest {
    /// This end was put on record before the other, which Redis came to because it had forgotten this one.
    pub fn outranks(&self, other: &Self) -> bool {
        let (mine, others) = (self.job.generation, other.job.generation);
        mine > others || mine == others && self.job.status != other.job.status
    }

    /// A marker of a later generation means that a person retried the job since.
    pub fn is_superseded_by(&self, marker: &OpenMarker) -> bool {
        marker.generation > self.job.generation
    }
}
