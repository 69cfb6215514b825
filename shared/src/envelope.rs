//! What lasts of a job in the object store: the accepted request, the marker that it is unfinished, the finished job.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::endpoint::{Ending, Line, Target};
use crate::job::{JobError, JobId, JobRecord, MalformedJobId, TenantId, UserId, sha256_hex};
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
    /// The claim on the caller's `Idempotency-Key`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimName>,
    #[serde(flatten)]
    pub submission: Submission,
}

/// Names a claim on an `Idempotency-Key`: the first one, or the one after a job that is dead.
///
/// A claim is never replaced, because two writers could then each believe that theirs stands. A key
/// whose job was deleted is claimed again under a name that follows from the dead job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimName {
    /// SHA-256 of the key, lower-case hex.
    pub key: String,
    /// The deleted job whose claim this one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<JobId>,
}

impl ClaimName {
    /// The first claim on a key.
    pub fn first(key: &str) -> Self {
        Self {
            key: sha256_hex(key.as_bytes()),
            after: None,
        }
    }

    /// The claim that follows the one of a deleted job.
    pub fn following(&self, dead: JobId) -> Self {
        Self {
            key: self.key.clone(),
            after: Some(dead),
        }
    }
}

/// `keys/<tenant>/<key>[.<dead job>]`: whose an `Idempotency-Key` is. Written once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Claim {
    /// The key stands for this job, which may not be stored yet.
    #[serde(rename_all = "camelCase")]
    Job {
        id: JobId,
        user: UserId,
        /// Of the body, as in the envelope.
        digest: String,
    },
    /// The sweep is about to free the key, which may not be claimed here any more.
    Sealed { at: DateTime<Utc> },
}

/// `deleted/<id>`: the job is dead. Whatever is put for it later is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tombstone {
    pub tenant: TenantId,
    /// Freed when nothing can be put for the job any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimName>,
    /// The job among whose objects the track lies, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_of: Option<JobId>,
}

impl Tombstone {
    /// The tombstone of a job that was accepted, or was refused.
    pub fn of(request: &Envelope, track: Option<&Track>) -> Self {
        Self {
            tenant: request.tenant.clone(),
            claim: request.claim.clone(),
            track_of: track.and_then(|track| track.source),
        }
    }
}

/// Names a marker: one generation of one job, `<id>.<generation>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Open {
    pub id: JobId,
    pub generation: u32,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.generation)
    }
}

impl FromStr for Open {
    type Err = MalformedJobId;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let (id, generation) = name.split_once('.').ok_or(MalformedJobId)?;
        Ok(Self {
            id: id.parse()?,
            generation: generation.parse().map_err(|_| MalformedJobId)?,
        })
    }
}

/// `open/<id>.<generation>`: exists as long as this generation of the job is unfinished. A retry by a
/// person begins the next generation; an operator changes the priority.
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

    /// For messages of this end that are sent again by hand, or that waited for room.
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

/// `jobs/<id>/manifest-<generation>.json`: how one generation of the job ended, made from the Redis
/// record alone. The first one that is written stays. A later generation begins only when the earlier
/// ones are on record, so their numbers have no gap.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_has_one_name() {
        let (id, generation) = (JobId::mint(), 12);
        let marker = Open { id, generation };
        assert_eq!(marker.to_string().parse::<Open>().unwrap(), marker);
        for name in [id.to_string(), format!("{id}."), "x.0".to_owned()] {
            assert!(name.parse::<Open>().is_err(), "{name}");
        }
    }
}
