//! Jobs to submit, and what a finished one has to show.

use chrono::{DateTime, TimeDelta, Utc};
use shared::job::{JobId, TenantId, UserId};
use shared::priority::Priority;
use shared::queue::{NewJob, Refusal, Spent};
use shared::track::{Format, Measurement, Track};
use uuid::Uuid;

/// Half a minute of music that nobody has heard.
pub(crate) fn track() -> Track {
    Track {
        measured: Measurement {
            format: Format::Wav,
            duration_seconds: 30.25,
            sample_rate: 44_100,
            channels: 2,
            peak_dbfs: -1.5,
            loudness_lufs: -14.2,
            waveform: vec![[-0.5, 0.5]; 200],
            warnings: Vec::new(),
        },
        sha256: "ab".repeat(32),
        bytes: 5_336_144,
        seed: Some(7),
        model: None,
        version: None,
        source: None,
    }
}

/// A job that waits a day at most, with nothing that a caller may leave out.
pub(crate) fn job(tenant: TenantId, now: DateTime<Utc>, cost: u32) -> NewJob {
    NewJob {
        id: JobId::mint(),
        user: UserId::new(tenant.as_str()),
        tenant,
        created_at: now,
        start_by: now + TimeDelta::hours(24),
        finish_by: now + TimeDelta::hours(26),
        cost,
        seed: 7,
        seed_fixed: false,
        max_attempts: 3,
        request_id: Uuid::now_v7().to_string(),
        priority: Priority::default(),
        tags: Vec::new(),
        spent: Spent::default(),
        refusal: Refusal::Final,
    }
}

/// Called as identity providers call users: by a UUID.
pub(crate) fn tenant(random: &mut fastrand::Rng) -> TenantId {
    let name = uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes());
    TenantId::new(&name.into_uuid().to_string())
}
