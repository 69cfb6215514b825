//! Reads a record and says what must not be in it. Pure: the same record, the same verdict.
//!
//! Reading order: `answers` (what callers were promised), `lives` (what one job may go through), `causes` (every bad end was
//! made by us), `keys` (what a deleted job leaves, and its key), `songs` (whose music it is), `strand` (nobody waits without a reason).

mod answers;
mod causes;
mod keys;
mod lives;
mod songs;
mod strand;

use super::history::{History, Ms};

pub use strand::{Recovery, Strand, Strands, recoveries, strands};

/// What a run is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The part of the accepted and not cancelled jobs that must complete.
    pub completed: f64,
    /// The part of all tries that may be answered by somebody who lost the API's answer.
    pub foreign: f64,
    /// How long a job that could run may wait for nobody's sake: the sweep period and five seconds.
    pub strand_ms: Ms,
    /// How often a job may be tried.
    pub attempts: u64,
    /// Worker processes.
    pub workers: usize,
}

/// Something that must not happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub rule: &'static str,
    pub job: Option<String>,
    pub what: String,
}

impl Violation {
    fn of(rule: &'static str, job: &str, what: impl Into<String>) -> Self {
        Self {
            rule,
            job: Some(job.to_owned()),
            what: what.into(),
        }
    }

    fn general(rule: &'static str, what: impl Into<String>) -> Self {
        Self {
            rule,
            job: None,
            what: what.into(),
        }
    }
}

/// Everything that is wrong.
pub fn check(history: &History, bounds: &Bounds) -> Vec<Violation> {
    let mut found = answers::check(history, bounds);
    found.extend(keys::check(history));
    found.extend(songs::check(history));
    for (id, job) in &history.jobs {
        found.extend(lives::check(id, job, history, bounds));
        found.extend(lives::untold(id, job, history));
        found.extend(causes::check(id, job, history));
    }
    found.extend(strand::check(history, bounds));
    found
}

#[cfg(test)]
mod tests;
