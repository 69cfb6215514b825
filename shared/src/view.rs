//! A job as its owner sees it: one JSON, whether it is read from Redis or from its manifest.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::callback::sign_link;
use crate::clients::Clients;
use crate::envelope::{Envelope, Manifest};
use crate::job::{JobError, JobId, JobRecord, JobStatus, Progress, Usage, sha256_hex};
use crate::keyring::now;
use crate::plan::Plan;
use crate::stage::Stage;
use crate::track::Track;

/// The job in the API.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    pub job_id: JobId,
    pub id: JobId,
    pub user_id: String,
    pub status: JobStatus,
    pub stage: Stage,
    pub narrative: String,
    /// Seconds asked for.
    pub duration: u32,
    pub model: String,
    pub options: Map<String, Value>,
    pub seed: u32,
    pub tags: Vec<String>,
    pub start_by: DateTime<Utc>,
    pub finish_by: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Place in the caller's own line; 1 goes next. Only while it waits there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    pub attempt: u32,
    pub max_attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackView>,
    /// Of a failed job; of a live one: why its last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    pub request_id: String,
    /// Number of the newest event.
    pub seq: u64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    pub links: Links,
    pub usage: Usage,
}

/// The track with a link that works without a token, for an hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(flatten)]
    pub track: Track,
}

/// Where to go from here, relative to the API's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Links {
    #[serde(rename = "self")]
    pub this: String,
    pub events: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
}

/// Everything that is known of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub job: JobRecord,
    pub request: Envelope,
    pub plan: Option<Plan>,
    pub track: Option<Track>,
    pub error: Option<JobError>,
    /// Jobs before it in its own line.
    pub ahead: Option<u64>,
}

impl From<Manifest> for Known {
    fn from(m: Manifest) -> Self {
        Self {
            job: m.job,
            request: m.request,
            plan: m.plan,
            track: m.track,
            error: m.error,
            ahead: None,
        }
    }
}

/// How long the link to a track works, in seconds.
const LINK_LIFE: u64 = 3600;

/// As its owner sees it, with a fresh link to its track.
pub fn shown(clients: &Clients, known: Known) -> JobView {
    JobView::new(known, |path| {
        Some(sign_link(&clients.config.keys, path, now() + LINK_LIFE))
    })
}

/// 202 with the job, and where to follow it.
pub fn accepted(clients: &Clients, known: Known) -> Response {
    let location = job_path(known.job.id);
    (
        StatusCode::ACCEPTED,
        [(LOCATION, location)],
        Json(shown(clients, known)),
    )
        .into_response()
}

/// Path of a job in the API.
pub fn job_path(id: JobId) -> String {
    format!("/jobs/{id}")
}

/// Path of a job's audio in the API.
pub fn audio_path(id: JobId) -> String {
    format!("/jobs/{id}/audio")
}

impl JobView {
    /// `sign` makes a link out of the audio's path; it is asked only for a job that has a track.
    pub fn new(known: Known, sign: impl FnOnce(&str) -> Option<String>) -> Self {
        let Known {
            job,
            request,
            plan,
            track,
            error,
            ahead,
        } = known;
        let audio = track.is_some().then(|| audio_path(job.id));
        let url = audio.as_deref().and_then(sign);
        Self {
            job_id: job.id,
            id: job.id,
            user_id: request.user_id,
            status: job.status,
            stage: job.stage,
            narrative: request.submission.narrative.as_str().to_owned(),
            duration: request.submission.duration,
            model: request.submission.model,
            options: request.submission.options,
            seed: job.seed,
            tags: request.submission.tags,
            start_by: job.start_by,
            finish_by: job.finish_by,
            progress: job.progress,
            position: ahead
                .filter(|_| job.status == JobStatus::Queued)
                .map(|n| n + 1),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            plan,
            track: track.map(|track| TrackView { url, track }),
            error,
            request_id: job.request_id,
            seq: job.seq,
            created_at: job.created_at,
            updated_at: job.updated_at,
            started_at: job.started_at,
            completed_at: job.completed_at,
            links: Links {
                this: job_path(job.id),
                events: format!("/jobs/{}/events", job.id),
                audio,
            },
            usage: job.usage,
        }
    }

    /// Changes when anything but the signed link does. Weak: the link differs from read to read.
    pub fn etag(&self) -> String {
        let mut same = self.clone();
        if let Some(track) = &mut same.track {
            track.url = None;
        }
        let text = serde_json::to_string(&same).unwrap_or_default();
        format!("W/\"{}\"", &sha256_hex(text.as_bytes())[..32])
    }
}
