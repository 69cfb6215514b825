//! What went wrong without ending it.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use crate::job::JobId;
use crate::lookup::Unreachable;

/// The longest look at one job.
const LOOK: Duration = Duration::from_secs(10);

/// Counts what is passed over: a fault of one job must not keep the others waiting.
#[derive(Debug, Default)]
pub struct Faults {
    passed_over: AtomicU32,
    unreached: AtomicBool,
}

impl Faults {
    /// Objects and records.
    pub fn passed_over(&self) -> u32 {
        self.passed_over.load(Relaxed)
    }

    /// A store or queue did not answer for one of the jobs: another look may go well.
    pub fn unreached(&self) -> bool {
        self.unreached.load(Relaxed)
    }

    /// Counts some more.
    pub fn add(&self, count: u32) {
        self.passed_over.fetch_add(count, Relaxed);
    }

    /// Objects of a folder whose names have another shape.
    pub fn misnamed(&self, folder: &str, count: u32) {
        if count > 0 {
            tracing::error!(folder, count, "objects of another name are passed over");
            self.add(count);
        }
    }

    /// Looks at one job, for a limited time.
    pub async fn look<T>(&self, id: JobId, look: impl Future<Output = Result<T, Unreachable>>) {
        match tokio::time::timeout(LOOK, look).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                self.unreached.fetch_or(!error.is_unreadable(), Relaxed);
                self.pass_over(id, &error);
            }
            Err(late) => {
                self.unreached.store(true, Relaxed);
                self.pass_over(id, &late);
            }
        }
    }

    fn pass_over(&self, id: JobId, error: &dyn Display) {
        tracing::error!(job_id = %id, error = %error, "a job is passed over");
        self.add(1);
    }
}
