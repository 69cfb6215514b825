//! Every job that failed was made to fail: each of its errors is traced to a fault that was injected.

use super::Violation;
use crate::chaos::history::{History, Injected, Job, Kind, Ms, moment};

/// How long after a fault its consequence may show: a lease, a deadline, a sweep, and some slack.
const ECHO: Ms = 60_000;

pub(super) fn check(id: &str, job: &Job, history: &History) -> Vec<Violation> {
    if job.status() != Some("failed") {
        return Vec::new();
    }
    let told = job.events.iter().filter_map(|event| {
        let code = event["error"]["code"].as_str()?;
        Some((code, moment(&event["at"])))
    });
    // The events may have gone with an emptied Redis; the last error is always there.
    let last = job.error().map(|code| (code, None));
    let mut errors = told.chain(last).peekable();
    if errors.peek().is_none() {
        return vec![Violation::of(
            "failed without a cause",
            id,
            "no error is told",
        )];
    }
    let traced = |(code, at): &(&str, Option<Ms>)| is_traced(code, *at, job, history);
    let untraced = errors.filter(|error| !traced(error));
    untraced
        .map(|(code, _)| Violation::of("failed without a cause", id, code))
        .collect()
}

fn is_traced(code: &str, at: Option<Ms>, job: &Job, history: &History) -> bool {
    let fate = |model: &str, fates: &[&str]| {
        let calls = job.calls.iter().filter(|call| call.model == model);
        calls
            .into_iter()
            .any(|call| fates.contains(&call.fate.as_str()))
    };
    let fault = |is: fn(&Injected) -> bool| {
        let near =
            |fault: &&Injected| at.is_none_or(|at| (fault.at..fault.until + ECHO).contains(&at));
        history.faults.iter().filter(near).any(is)
    };
    let redis = || fault(|fault| fault.kind.is_of_redis());
    match code {
        "jen1_unavailable" => fate("jen1", &["fail"]),
        "muscgen_unavailable" => fate("muscgen", &["fail"]),
        "planner_lost" => fate("jen1", &["reportFailed"]),
        "gpu_lost" => fate("muscgen", &["reportFailed"]),
        // A report that met a Redis out of reach comes again, and may come too late.
        "model_silent" => {
            fate("jen1", &["late", "never"]) || fate("muscgen", &["late", "never"]) || redis()
        }
        // The model gave up: our door could not keep its audio.
        "upload_failed" => redis() || fault(|fault| fault.kind == Kind::StoreAway),
        "worker_lost" | "finish_abandoned" => {
            fault(|fault| matches!(fault.kind, Kind::Kill | Kind::Freeze)) || redis()
        }
        _ => false,
    }
}
