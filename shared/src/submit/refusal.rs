//! Why a submission is refused for now.

use std::time::Duration;

use crate::problem::Problem;

/// When a caller whose line is full should come back.
const LINE_FULL: Duration = Duration::from_secs(60);

/// 429: the tenant's line is as long as it may be.
pub(crate) fn line_full() -> Problem {
    let detail = "too many of your jobs are waiting";
    Problem::too_many("line_full", detail, LINE_FULL)
}

/// 429: the tenant's submissions come too fast.
pub(crate) fn too_fast(retry_ms: u64) -> Problem {
    let after = Duration::from_millis(retry_ms);
    Problem::too_many("rate_limited", "you submit too fast", after)
}

/// 503: another request with the same key is in between, or its job is being deleted.
pub(super) fn try_again() -> Problem {
    let detail = "the job of this Idempotency-Key is being removed; try again";
    Problem::unavailable("store_unavailable", detail, Duration::from_secs(1))
}
