//! Against what callers were told: nothing accepted is lost, nothing refused is kept, nothing unknown is half.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bounds, Violation};
use crate::chaos::history::{Deletion, History, Job, Reply, Submission, is_terminal};

pub(super) fn check(history: &History, bounds: &Bounds) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut jobs = BTreeMap::<usize, Vec<(&String, &Job)>>::new();
    for (id, job) in &history.jobs {
        match job.submission {
            Some(number) => jobs.entry(number).or_default().push((id, job)),
            None => found.push(Violation::of("nobody's job", id, "no caller submitted it")),
        }
    }
    for submission in &history.submissions {
        let own = jobs.remove(&submission.number).unwrap_or_default();
        found.extend(promises(submission, &own));
    }
    found.extend(share(history, bounds));
    found.extend(foreign(history, bounds));
    found
}

fn promises(submission: &Submission, own: &[(&String, &Job)]) -> Vec<Violation> {
    let mut found = Vec::new();
    let accepted: BTreeSet<&str> = submission.accepted().collect();
    if accepted.len() > 1 {
        let what = format!("one submission was accepted as {accepted:?}");
        found.push(Violation::general("two jobs for one key", what));
    }
    let made = own.iter().filter(|(_, job)| job.stored.accepted);
    let allowed = match submission.key {
        Some(_) => 1,
        None => submission.answers.len(),
    };
    if made.clone().count() > allowed {
        let what = format!(
            "submission {} made more than {allowed} jobs",
            submission.number
        );
        found.push(Violation::general("two jobs for one key", what));
    }
    for id in &accepted {
        if submission.deletion() != Deletion::Kept {
            continue;
        }
        let job = own.iter().find(|(own, _)| own == id).map(|(_, job)| job);
        if !job.is_some_and(|job| job.stored.accepted && job.last.is_some()) {
            found.push(Violation::of("lost", id, "accepted, and now unknown"));
        }
    }
    if accepted.is_empty() && !submission.is_unknown() {
        for (id, _) in made {
            found.push(Violation::of(
                "refused and kept",
                id,
                "the caller was told of no job",
            ));
        }
    }
    let cancelled = |job: &Job| job.status() == Some("cancelled");
    let heard = |status| {
        submission
            .cancels
            .iter()
            .any(|answer| answer.reply.status() == status)
    };
    for (id, job) in own {
        if cancelled(job) && submission.cancels.is_empty() {
            found.push(Violation::of(
                "cancelled by nobody",
                id,
                "no user wanted it",
            ));
        }
        if heard(Some(200)) && !cancelled(job) {
            let what = format!("cancel was answered 200, and the job is {:?}", job.status());
            found.push(Violation::of("cancel forgotten", id, what));
        }
    }
    found
}

/// Of what was accepted and not cancelled, enough must complete.
fn share(history: &History, bounds: &Bounds) -> Option<Violation> {
    let accepted: BTreeSet<&str> = history
        .submissions
        .iter()
        .flat_map(Submission::accepted)
        .collect();
    let ended = accepted
        .iter()
        .filter_map(|id| history.jobs.get(*id)?.end());
    let ended: Vec<_> = ended
        .filter(|status| is_terminal(status) && *status != "cancelled")
        .collect();
    let completed = ended
        .iter()
        .filter(|status| **status == "completed")
        .count();
    let enough = completed as f64 >= bounds.completed * ended.len() as f64;
    let what = || format!("{completed} of {} completed", ended.len());
    (!enough).then(|| Violation::general("too few completed", what()))
}

/// Lost answers are nobody's fault while they are few; of functions that crash there are many.
fn foreign(history: &History, bounds: &Bounds) -> Option<Violation> {
    let tries = || history.submissions.iter().flat_map(Submission::tries);
    let foreign = tries().filter(|reply| matches!(reply, Reply::Foreign(_)));
    let (foreign, all) = (foreign.count(), tries().count());
    let too_many = foreign as f64 > bounds.foreign * all as f64;
    let what = || format!("{foreign} of {all} tries");
    too_many.then(|| Violation::general("answers lost", what()))
}
