//! Whose music it is: from the bytes that are delivered back to the narrative of the submission.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::chaos::history::{Call, History, Job};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let narratives: BTreeMap<usize, &str> = history
        .submissions
        .iter()
        .map(|one| (one.number, one.narrative.as_str()))
        .collect();
    let calls = || history.jobs.values().flat_map(|job| &job.calls);
    let planned: BTreeSet<(&str, &str)> = calls()
        .filter(|call| call.model == "jen1")
        .flat_map(|call| {
            call.delivered
                .iter()
                .map(|plan| (call.asked.as_str(), plan.as_str()))
        })
        .collect();
    let completed = history
        .jobs
        .iter()
        .filter(|(_, job)| job.stored.accepted && job.status() == Some("completed"));
    let wrong = completed.filter_map(|(id, job)| {
        let narrative = narratives.get(&job.submission?)?;
        let why = same_bytes(job).or_else(|| made_for(narrative, job, history, &planned));
        Some(Violation::of("another's track", id, why?))
    });
    wrong.collect()
}

/// What the job tells, what lies in the store and what is delivered must be one.
fn same_bytes(job: &Job) -> Option<String> {
    let told = job.last.as_ref()?["track"]["sha256"].as_str();
    let stored = job
        .stored
        .plays
        .as_ref()
        .and_then(|played| played.sha256.as_deref());
    let heard = job.heard.as_deref();
    let same = told.is_some() && told == stored && told == heard;
    (!same).then(|| format!("{told:?} is told, {stored:?} stored and {heard:?} delivered"))
}

/// muscgen delivered these bytes for a prompt with this narrative, and for a plan that jen1 delivered for it.
fn made_for(
    narrative: &str,
    job: &Job,
    history: &History,
    planned: &BTreeSet<(&str, &str)>,
) -> Option<String> {
    let shown = job.last.as_ref()?["narrative"].as_str();
    if shown != Some(narrative) {
        return Some(format!(
            "{narrative:?} was submitted, and it shows {shown:?}"
        ));
    }
    let played = job.stored.plays.as_ref()?;
    let renders = history.jobs.get(&played.home).map(|home| &home.calls);
    let renders = || {
        let calls = renders.into_iter().flatten();
        calls.filter(|call| {
            call.model == "muscgen"
                && call
                    .delivered
                    .iter()
                    .any(|it| Some(it) == played.sha256.as_ref())
        })
    };
    let is_own = |call: &Call| {
        let plan = call.plan.as_deref().unwrap_or_default();
        call.asked.contains(narrative) && planned.contains(&(narrative, plan))
    };
    let own = renders().any(is_own);
    let asked: Vec<_> = renders().map(|call| (&call.asked, &call.plan)).collect();
    (!own).then(|| format!("submitted for {narrative:?}, made from {asked:?}"))
}
