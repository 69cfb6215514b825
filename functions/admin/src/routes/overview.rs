//! `GET /admin/overview`: the queue at a glance. It costs the same whatever waits.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::caller::Admin;
use shared::clients::Clients;
use shared::job::JobId;
use shared::lookup::Unreachable;
use shared::priority::Priority;
use shared::problem::Problem;
use shared::queue::{self, TenantLine};

/// What is counted by the minute.
const HAPPENINGS: [&str; 6] = [
    "submitted",
    "cached",
    "completed",
    "failed",
    "cancelled",
    "expired",
];
const STAGES: [&str; 4] = ["queue", "plan", "audio", "finish"];

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    slots: u32,
    paused: bool,
    /// A model service is down: nothing is given out until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<DateTime<Utc>>,
    /// Services that failed since they last answered.
    breakers: BTreeMap<String, Breaker>,
    queued: BTreeMap<&'static str, Queued>,
    running: u64,
    finishing: u64,
    delayed: u64,
    dead: u64,
    /// Ended jobs of which somebody must still be told.
    unsettled: u64,
    /// Callers who long-poll.
    waiters: u64,
    /// Bells that nobody has answered yet; absent where the doorbell does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    bells: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<Oldest>,
    tenants: Tenants,
    running_jobs: Vec<Running>,
    /// In the last 5 and the last 60 minutes.
    rates: BTreeMap<&'static str, Rate>,
    /// Seconds, of this hour and the last.
    stages: BTreeMap<&'static str, Stage>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Breaker {
    /// In a row.
    failures: i64,
    /// No call before then, and one in each minute after.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Queued {
    jobs: u64,
    audio_seconds: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Oldest {
    job_id: JobId,
    wait_seconds: i64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WaitingTenants)]
struct Tenants {
    waiting: u64,
    /// Waiting, with room under their caps.
    ready: u64,
    /// Those with the longest lines.
    longest: Vec<TenantLine>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RunningJob)]
struct Running {
    job_id: JobId,
    #[schema(required)]
    tenant: Option<String>,
    #[schema(required)]
    stage: Option<String>,
    #[schema(required)]
    attempt: Option<u32>,
    /// `worker` or `model`.
    holder: String,
    #[schema(required)]
    since: Option<DateTime<Utc>>,
    #[schema(required)]
    lease_until: Option<DateTime<Utc>>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Rate {
    last5: u64,
    last60: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = StageTimes)]
struct Stage {
    p50: f64,
    p95: f64,
}

/// The queue at a glance.
#[utoipa::path(
    get,
    path = "/admin/overview",
    operation_id = "readOverview",
    tag = "operate",
    security(("bearer" = [])),
    responses((status = 200, description = "It costs the same whatever waits", body = Overview)),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn overview(
    State(clients): State<Clients>,
    _: Admin,
) -> Result<Json<Overview>, Problem> {
    let (seen, bells) = tokio::join!(clients.queue.overview(), clients.doorbell.depth());
    let bells = bells
        .inspect_err(
            |error| tracing::warn!(error = %error, "the doorbell does not say how many bells wait"),
        )
        .ok();
    Ok(Json(told(seen.map_err(Unreachable::from)?, bells)))
}

fn told(seen: queue::Overview, bells: Option<u64>) -> Overview {
    let now = Utc::now();
    let time = DateTime::from_timestamp_millis;
    let rate = |what| Rate {
        last5: seen.happened(what, 5),
        last60: seen.happened(what, 60),
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a stage")]
    let seconds = |stage, share| Some(seen.percentile(stage, share)? as f64 / 1000.0);
    let stage = |name| {
        let (p50, p95) = (seconds(name, 0.5)?, seconds(name, 0.95)?);
        Some((name, Stage { p50, p95 }))
    };
    Overview {
        slots: seen.slots,
        paused: seen.paused,
        held_until: seen
            .hold_ms
            .and_then(|ms| time(now.timestamp_millis() + i64::try_from(ms).ok()?)),
        breakers: seen
            .troubles()
            .into_iter()
            .map(|trouble| {
                let (failures, until) = (trouble.failures, trouble.until_ms.and_then(time));
                (trouble.service, Breaker { failures, until })
            })
            .collect(),
        queued: Priority::ALL
            .into_iter()
            .zip(&seen.levels)
            .map(|(priority, level)| {
                let (jobs, audio_seconds) = (level.jobs, level.cost);
                (
                    priority.as_str(),
                    Queued {
                        jobs,
                        audio_seconds,
                    },
                )
            })
            .collect(),
        running: seen.sizes.lease,
        finishing: seen.sizes.finish,
        delayed: seen.sizes.delayed,
        dead: seen.sizes.dead,
        unsettled: seen.sizes.outbox,
        waiters: seen.sizes.waiters,
        bells,
        oldest: seen.oldest.map(|oldest| Oldest {
            job_id: oldest.id,
            wait_seconds: (now.timestamp_millis() - oldest.created_ms).max(0) / 1000,
        }),
        rates: HAPPENINGS
            .into_iter()
            .map(|what| (what, rate(what)))
            .collect(),
        stages: STAGES.into_iter().filter_map(stage).collect(),
        tenants: Tenants {
            waiting: seen.sizes.backlog,
            ready: seen.sizes.ready,
            longest: seen.tenants,
        },
        running_jobs: seen
            .running
            .into_iter()
            .map(|job| Running {
                job_id: job.id,
                tenant: job.tenant,
                stage: job.stage,
                attempt: job.attempt,
                holder: job.holder,
                since: job.since_ms.and_then(time),
                lease_until: time(job.lease_ms),
            })
            .collect(),
    }
}
