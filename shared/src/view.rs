//! A job as its owner sees it: one JSON, whether it is read from Redis or from its manifest.

mod short;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::callback::sign_link;
use crate::clients::Clients;
use crate::endpoint::{Ending, Endings, Endpoint, EndpointUrl};
use crate::envelope::{Envelope, Manifest, OpenMarker};
use crate::job::{JobError, JobId, JobRecord, JobStatus, Progress, Usage, sha256_hex};
use crate::keyring::now;
use crate::plan::{Plan, Planned};
use crate::priority::Priority;
use crate::queue::{Eta, WhyWaiting};
use crate::stage::Stage;
use crate::track::Track;

pub use short::item;

/// The job in the API.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub struct JobView {
    pub job_id: JobId,
    pub id: JobId,
    pub user_id: String,
    pub status: JobStatus,
    pub stage: Stage,
    /// In a list at most 280 characters, then `…`.
    pub narrative: String,
    /// Seconds asked for.
    pub duration: u32,
    pub model: String,
    /// Not in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    pub seed: u32,
    pub priority: Priority,
    pub tags: Vec<String>,
    pub start_by: DateTime<Utc>,
    pub finish_by: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Place in the caller's own line; 1 goes next. Only while it waits there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// When it will probably start. Only while it waits, and nobody has paused it; not in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<EtaView>,
    /// Why it waits at this moment. Not in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingView>,
    pub attempt: u32,
    pub max_attempts: u32,
    /// As the planner made it. Not in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub plan: Option<Plan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackView>,
    /// The result cache answered; nothing was run.
    pub cached: bool,
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
    /// Who is told of its end. Not in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookView>,
    pub links: Links,
    pub usage: Usage,
}

/// The webhook of a job, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = JobWebhookShown)]
pub struct WebhookView {
    #[schema(value_type = String)]
    pub url: EndpointUrl,
    #[schema(value_type = Vec<Ending>)]
    pub events: Endings,
}

impl From<Endpoint> for WebhookView {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            url: endpoint.url,
            events: endpoint.events,
        }
    }
}

/// The track with a link that works without a token, for an hour. In a list its `waveform` is empty.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = SharedTrack)]
pub struct TrackView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(flatten)]
    pub track: Track,
}

/// Where to go from here, relative to the API's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Links {
    #[serde(rename = "self")]
    pub this: String,
    pub events: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
}

/// Seconds until a job starts, to a tenth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Eta)]
pub struct EtaView {
    /// Half of such jobs start sooner.
    pub p50: f64,
    /// Nine in ten do.
    pub p90: f64,
}

impl From<Eta> for EtaView {
    fn from(eta: Eta) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "waits are far below 2^52 ms")]
        let tenths = |ms: u64| (ms as f64 / 100.0).ceil() / 10.0;
        Self {
            p50: tenths(eta.p50),
            p90: tenths(eta.p90),
        }
    }
}

/// Why a job waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Waiting)]
pub struct WaitingView {
    /// Stable: `line`, `cap`, `slots`, `turn`, `starting`, `retry_delay`, `queue_paused`, `tenant_paused`, `loading`, `busy`, `hold` or `finish`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Jobs before it in its own line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// When that is over, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl From<WhyWaiting> for WaitingView {
    fn from(why: WhyWaiting) -> Self {
        let message = match why.code.as_str() {
            "line" => match why.ahead.unwrap_or(0) {
                1 => "One job of the same tenant goes first.".to_owned(),
                n => format!("{n} jobs of the same tenant go first."),
            },
            "cap" => "The tenant has as many running jobs as it may have.".to_owned(),
            "slots" => "All slots are taken.".to_owned(),
            "turn" => "It is another tenant's turn.".to_owned(),
            "starting" => "A worker is on its way.".to_owned(),
            "retry_delay" => {
                "The last attempt failed; the next one begins after a pause.".to_owned()
            }
            "queue_paused" => "An operator has paused the queue.".to_owned(),
            "tenant_paused" => "An operator has paused this tenant's jobs.".to_owned(),
            "loading" => "The settings of the queue are being loaded.".to_owned(),
            "busy" => "The model service is busy; the next job starts when it has room.".to_owned(),
            "hold" => "A model service is down; jobs start again when it answers.".to_owned(),
            "finish" => "The audio is made and waits to be examined.".to_owned(),
            other => other.to_owned(),
        };
        Self {
            message,
            ahead: why.ahead,
            until: why.until_ms.and_then(DateTime::from_timestamp_millis),
            code: why.code,
        }
    }
}

/// Everything that is known of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub job: JobRecord,
    pub request: Envelope,
    pub plan: Option<Planned>,
    pub track: Option<Track>,
    pub error: Option<JobError>,
    /// Jobs before it in its own line.
    pub ahead: Option<u64>,
    pub eta: Option<Eta>,
    pub waiting: Option<WhyWaiting>,
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
            eta: None,
            waiting: None,
        }
    }
}

impl Known {
    /// What is known of a job that was put in line just now.
    pub fn accepted(request: Envelope, marker: &OpenMarker) -> Self {
        let job = JobRecord {
            id: request.id,
            tenant: request.tenant.clone(),
            user: request.user.clone(),
            status: JobStatus::Queued,
            stage: Stage::Plan,
            generation: marker.generation,
            attempt: 1,
            max_attempts: request.max_attempts,
            seed: request.submission.seed,
            seed_fixed: request.submission.seed_fixed,
            fence: None,
            parked: false,
            priority: marker.priority,
            cached: false,
            progress: None,
            request_id: request.request_id.clone(),
            seq: 1,
            created_at: request.created_at,
            updated_at: request.created_at,
            started_at: None,
            completed_at: None,
            start_by: marker.start_by,
            finish_by: marker.finish_by,
            delayed_until: None,
            usage: Usage::default(),
        };
        Self {
            job,
            request,
            plan: None,
            track: None,
            error: None,
            ahead: None,
            eta: None,
            waiting: None,
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
            eta,
            waiting,
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
            options: Some(request.submission.options),
            seed: job.seed,
            priority: job.priority,
            tags: request.submission.tags,
            start_by: job.start_by,
            finish_by: job.finish_by,
            progress: job.progress,
            position: ahead
                .filter(|_| job.status == JobStatus::Queued)
                .map(|n| n + 1),
            eta: eta.map(EtaView::from),
            waiting: waiting.map(WaitingView::from),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            plan: plan.map(|planned| planned.song),
            track: track.map(|track| TrackView {
                url,
                // Whose the file was first is nobody's business.
                track: Track {
                    source: None,
                    ..track
                },
            }),
            cached: job.cached,
            error,
            request_id: job.request_id,
            seq: job.seq,
            created_at: job.created_at,
            updated_at: job.updated_at,
            started_at: job.started_at,
            completed_at: job.completed_at,
            webhook: request.submission.webhook.map(WebhookView::from),
            links: Links {
                this: job_path(job.id),
                events: format!("/jobs/{}/events", job.id),
                audio,
            },
            usage: job.usage,
        }
    }

    /// Changes when anything but the signed link and the guess at the wait does. Weak: these differ from read to read.
    pub fn etag(&self) -> String {
        let mut same = self.clone();
        same.eta = None;
        if let Some(track) = &mut same.track {
            track.url = None;
            // The file's SHA-256 stands for what was measured of it, and the waveform is most of the answer.
            track.track.measured.waveform.clear();
        }
        let text = serde_json::to_string(&same).unwrap_or_default();
        format!("W/\"{}\"", &sha256_hex(text.as_bytes())[..32])
    }
}
