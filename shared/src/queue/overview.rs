//! The queue at a glance, for operators: one script, every read bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::job::JobId;
use crate::queue::{Queue, QueueError, scripts};

/// Longest lines shown.
const TENANTS: u32 = 20;
/// Running jobs shown.
const RUNNING: u32 = 50;

/// What the scripts know of the whole queue at one moment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Overview {
    pub slots: u32,
    pub paused: bool,
    /// Held back by a breaker for that long; 0: without an end.
    pub hold_ms: Option<u64>,
    /// Of services that failed of late: `<service>` → failures in a row, `<service>:until` → left alone until then, ms.
    #[serde(default)]
    breakers: BTreeMap<String, i64>,
    /// Waiting jobs by level, the best first.
    pub levels: Vec<Level>,
    pub sizes: Sizes,
    /// The waiting job that is longest there.
    pub oldest: Option<Oldest>,
    /// The tenants with the longest lines.
    #[serde(default)]
    pub tenants: Vec<TenantLine>,
    /// The running jobs whose leases run out first.
    #[serde(default)]
    pub running: Vec<RunningJob>,
    /// Minutes of the last hour in which something happened.
    #[serde(default)]
    pub minutes: Vec<Minute>,
    /// `<stage>:<bucket>` → jobs, of this hour and the last; bucket = 4·log₂(ms).
    times: BTreeMap<String, u64>,
    /// `slot_ms`: what a job takes of its slot; `per_cost`: the same for one requested second.
    pub pace: BTreeMap<String, f64>,
}

/// What waits at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Level {
    pub jobs: u64,
    /// Requested audio seconds.
    pub cost: u64,
}

/// Sizes of the sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Sizes {
    /// In plan or audio.
    pub lease: u64,
    pub finish: u64,
    pub delayed: u64,
    /// Tenants that may run a job now.
    pub ready: u64,
    /// Tenants with waiting jobs.
    pub backlog: u64,
    /// Ended jobs of which somebody must still be told.
    pub outbox: u64,
    pub dead: u64,
    pub waiters: u64,
}

/// A waiting job and when it was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Oldest {
    pub id: JobId,
    pub created_ms: i64,
}

/// One tenant's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TenantLine {
    pub tenant: String,
    pub queued: u64,
    pub running: u64,
    pub weight: u32,
    pub cap: u32,
    pub paused: bool,
}

/// A job that has a slot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RunningJob {
    pub id: JobId,
    pub tenant: Option<String>,
    pub stage: Option<String>,
    pub attempt: Option<u32>,
    /// `worker` or `model`: who has the lease.
    pub holder: String,
    pub since_ms: Option<i64>,
    pub lease_ms: i64,
}

/// What happened in one minute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Minute {
    /// 0 is the present one.
    pub ago: u32,
    /// `submitted`, `cached`, and each terminal status.
    pub counts: BTreeMap<String, u64>,
}

impl Queue {
    /// As it is now.
    pub async fn overview(&self) -> Result<Overview, QueueError> {
        #[derive(Serialize)]
        struct Args {
            tenants: u32,
            running: u32,
        }
        let (tenants, running) = (TENANTS, RUNNING);
        self.call_plain(&scripts::OVERVIEW, &Args { tenants, running })
            .await
    }
}

/// A service that failed of late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub service: String,
    /// In a row.
    pub failures: i64,
    /// It is left alone until then.
    pub until_ms: Option<i64>,
}

impl Overview {
    /// The services that failed since they last answered.
    pub fn troubles(&self) -> Vec<Trouble> {
        let services = self.breakers.iter().filter(|(name, _)| !name.contains(':'));
        let trouble = |(service, failures): (&String, &i64)| Trouble {
            until_ms: self.breakers.get(&format!("{service}:until")).copied(),
            service: service.clone(),
            failures: *failures,
        };
        services.map(trouble).collect()
    }

    /// How often something happened in the last `minutes`, the present one included.
    pub fn happened(&self, what: &str, minutes: u32) -> u64 {
        let recent = self.minutes.iter().filter(|m| m.ago < minutes);
        recent.filter_map(|m| m.counts.get(what)).sum()
    }

    /// The time in ms that `share` (0–1) of the jobs stayed under in a stage (or in `queue`), to within a fifth.
    pub fn percentile(&self, stage: &str, share: f64) -> Option<u64> {
        let mut buckets: Vec<(u32, u64)> = self
            .times
            .iter()
            .filter_map(|(name, n)| {
                let (of, bucket) = name.split_once(':')?;
                (of == stage).then_some((bucket.parse().ok()?, *n))
            })
            .collect();
        buckets.sort_unstable();
        let all: u64 = buckets.iter().map(|(_, n)| n).sum();
        let mut below = 0;
        for (bucket, n) in buckets {
            below += n;
            #[expect(clippy::cast_precision_loss, reason = "counts of two hours")]
            if below as f64 >= share * all as f64 {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "milliseconds of a stage"
                )]
                return Some(2f64.powf(f64::from(bucket + 1) / 4.0).ceil() as u64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_within_a_fifth() {
        let mut times = BTreeMap::new();
        for ms in 1..=1000_u32 {
            let bucket = (4.0 * f64::from(ms).log2()).floor();
            *times.entry(format!("audio:{bucket}")).or_insert(0) += 1;
            times.insert("plan:4".to_owned(), 3);
        }
        let overview: Overview = serde_json::from_value(serde_json::json!({
            "slots": 1, "paused": false, "levels": [], "pace": {}, "times": times,
            "sizes": {"lease": 0, "finish": 0, "delayed": 0, "ready": 0, "backlog": 0, "outbox": 0, "dead": 0, "waiters": 0},
        }))
        .unwrap();
        let (p50, p95) = (
            overview.percentile("audio", 0.5).unwrap(),
            overview.percentile("audio", 0.95).unwrap(),
        );
        assert!((500..=600).contains(&p50), "{p50}");
        assert!((950..=1140).contains(&p95), "{p95}");
        assert_eq!(overview.percentile("finish", 0.5), None);
    }
}
