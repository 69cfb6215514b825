//! What a job is: its names, its states and its record.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::priority::Priority;
use crate::stage::Stage;

/// A job's name: a UUIDv7, minted for each submission and never used again.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "Uuid")]
#[schema(value_type = String, format = "uuid", pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
pub struct JobId(Uuid);

impl JobId {
    /// A new name, sortable by time.
    pub fn mint() -> Self {
        Self(Uuid::now_v7())
    }
}

impl From<JobId> for Uuid {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl TryFrom<String> for JobId {
    type Error = MalformedJobId;

    fn try_from(text: String) -> Result<Self, MalformedJobId> {
        text.parse()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// The text is not a job id.
#[derive(Debug, thiserror::Error)]
#[error("a job id is a UUID in its hyphenated lower-case form")]
pub struct MalformedJobId;

impl FromStr for JobId {
    type Err = MalformedJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid_of(text).map(Self).ok_or(MalformedJobId)
    }
}

/// One spelling only, lower case with hyphens, so that what it names has one key and one path.
pub fn uuid_of(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.as_hyphenated().to_string() == text).then_some(id)
}

macro_rules! safe_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")]
        pub struct $name(String);

        impl $name {
            /// The text itself when it is 1–64 of `[A-Za-z0-9_-]`, else its SHA-256 in hex. What looks like a SHA-256
            /// is hashed too: nobody can be named like somebody else's hash.
            pub fn new(text: &str) -> Self {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                let safe = (1..=64).contains(&text.len()) && text.bytes().all(plain);
                let like_a_hash = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
                Self(if safe && !like_a_hash { text.to_owned() } else { sha256_hex(text.as_bytes()) })
            }

            /// As it was stored: already safe.
            pub fn stored(text: &str) -> Self {
                Self(text.to_owned())
            }

            /// Safe inside a Redis key and an object path.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

safe_name!(
    /// Who shares one line, one cap and one cache.
    TenantId
);
safe_name!(
    /// Who owns a job: the token's `sub`.
    UserId
);

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Where a job stands. Terminal states change only by a person's retry, and never from `completed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Entered by enqueue, retry, release and a failed attempt; left by acquire, cancel, expire, or a late `completed` report.
    Queued,
    /// Entered by acquire; left by complete, fail, release, cancel, expire, or when the lease runs out.
    Processing,
    /// Entered by complete; never left.
    Completed,
    /// Entered by fail, and by the reaper when the attempts are used up; left by retry.
    Failed,
    /// Entered by cancel; left by retry.
    Cancelled,
    /// Entered by expire when `startBy` or `finishBy` has passed; left by retry.
    Expired,
}

impl JobStatus {
    /// Every state, in the order of the table in the docs.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Processing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The word used in JSON, in Redis and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Nothing but a retry moves it on.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Processing)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no state.
#[derive(Debug, thiserror::Error)]
#[error("a status is one of queued, processing, completed, failed, cancelled, expired")]
pub struct UnknownStatus;

impl FromStr for JobStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

/// Names one render: a repeat of the same key may be answered from what the model already has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RenderKey(String);

impl RenderKey {
    /// `<jobId>:<stage>:<seed>:<generation>`, sent to the models as Idempotency-Key.
    pub fn new(job: JobId, stage: Stage, seed: u32, generation: u32) -> Self {
        Self(format!("{job}:{stage}:{seed}:{generation}"))
    }

    /// As it came in a token.
    pub fn from_token(text: String) -> Self {
        Self(text)
    }

    /// The text, as sent to models.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part of the object path of what was uploaded under this key.
    pub fn object_name(&self) -> String {
        self.0.split(':').skip(1).collect::<Vec<_>>().join("-")
    }
}

impl fmt::Display for RenderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Right to write to a job's current run: acquire counter and nonce. A stale one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub String);

/// How far the running stage is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    /// Steps done, of `total`.
    pub current: u32,
    /// Steps in all.
    pub total: u32,
    /// 0–100.
    #[schema(maximum = 100)]
    pub percentage: u32,
    /// One short sentence, at most 60 bytes.
    pub message: String,
}

/// Why an attempt or a job failed, as its owner is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobError {
    /// Stable, `snake_case`, at most 64 bytes.
    pub code: String,
    /// One sentence; no secrets and no debug text.
    pub message: String,
    /// The stage that failed.
    pub stage: Stage,
    /// Whether another attempt could go well.
    pub retryable: bool,
}

/// Measured times in milliseconds, added up over all attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// In the line.
    pub queue_ms: u64,
    /// In stage `plan`.
    pub plan_ms: u64,
    /// In stage `audio`.
    pub audio_ms: u64,
    /// In stage `finish`.
    pub finish_ms: u64,
    /// The handlers' own time; waits for a synchronous model apart.
    pub billed_ms: u64,
}

/// The small, changing part of a job, as Redis holds it; the rest is in the envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    pub id: JobId,
    pub tenant: TenantId,
    pub user: UserId,
    pub status: JobStatus,
    pub stage: Stage,
    /// Rises by one with each retry by a person.
    pub generation: u32,
    /// 1-based; rises when an attempt failed or its worker was lost.
    pub attempt: u32,
    pub max_attempts: u32,
    /// The seed of the present attempt.
    pub seed: u32,
    /// The caller chose the seed: attempts keep it.
    pub seed_fixed: bool,
    /// Present while somebody holds the job.
    pub fence: Option<Fence>,
    /// A model service holds the lease.
    pub parked: bool,
    #[serde(default)]
    pub priority: Priority,
    /// The result cache answered it; nothing was run.
    #[serde(default)]
    pub cached: bool,
    pub progress: Option<Progress>,
    pub request_id: String,
    /// Number of the newest event.
    pub seq: u64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    pub start_by: DateTime<Utc>,
    pub finish_by: DateTime<Utc>,
    /// A delayed retry waits until then.
    pub delayed_until: Option<DateTime<Utc>>,
    pub usage: Usage,
}

impl JobRecord {
    /// Guards the models: names the render that the job's present stage asks for.
    pub fn render_key(&self, stage: Stage) -> RenderKey {
        RenderKey::new(self.id, stage, self.seed, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_has_one_spelling() {
        let id = JobId::mint().to_string();
        assert_eq!(id.parse::<JobId>().unwrap().to_string(), id);
        assert!(id.to_uppercase().parse::<JobId>().is_err());
        assert!(id.replace('-', "").parse::<JobId>().is_err());
        assert!("../../etc".parse::<JobId>().is_err());
        let read = |text: &str| serde_json::from_value::<JobId>(text.into());
        assert_eq!(read(&id).unwrap().to_string(), id);
        assert!(read(&id.to_uppercase()).is_err() && read(&id.replace('-', "")).is_err());
    }

    #[test]
    fn a_name_that_could_reach_a_key_is_hashed() {
        assert_eq!(TenantId::new("alice_1-x").as_str(), "alice_1-x");
        let hash = sha256_hex(b"a:b");
        assert_ne!(TenantId::new(&hash), TenantId::new("a:b"));
        for text in ["", "a:b", "{x}", "é", &"x".repeat(65), &hash] {
            assert_eq!(TenantId::new(text).as_str().len(), 64, "{text:?}");
        }
    }

    #[test]
    fn a_render_key_gives_a_plain_object_name() {
        let key = RenderKey::new(JobId::mint(), Stage::Audio, 7, 2);
        assert_eq!(key.object_name(), "audio-7-2");
    }
}
