//! Deleted jobs and their keys: what is deleted stays away and leaves nothing, and its key stands for the next job alone.

use std::collections::BTreeMap;

use super::Violation;
use crate::chaos::history::{Deletion, History, Job, MISSING, Ms, Submission};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut keys = BTreeMap::<_, Vec<&Submission>>::new();
    for one in &history.submissions {
        if let Some(key) = &one.key {
            keys.entry((one.tenant, key)).or_default().push(one);
        }
        let Some(id) = one.accepted().next() else {
            continue;
        };
        let job = history.jobs.get(id);
        match (one.deletion(), job) {
            (Deletion::Done(since), Some(job)) => {
                found.extend(returned(id, job, since));
                found.extend(remains(id, job));
            }
            (Deletion::Gone(since), Some(job)) => found.extend(returned(id, job, since)),
            (Deletion::Unsure, Some(job)) => found.extend(half(id, job)),
            (Deletion::Kept, _) if one.deletes.iter().any(|it| it.reply.status() == Some(404)) => {
                let what = "nobody had deleted it, and to delete it was answered 404";
                found.push(Violation::of("lost", id, what));
            }
            _ => {}
        }
    }
    for ((_, key), users) in keys {
        found.extend(one_at_a_time(key, &users, history));
        found.extend(
            users
                .windows(2)
                .flat_map(|pair| handed_on(pair[0], pair[1])),
        );
    }
    found
}

/// Whoever was told that it is gone never meets it again, and nobody runs it again.
fn returned(id: &str, job: &Job, since: Ms) -> Option<Violation> {
    let shown = job.last.is_some();
    let kept = job.stored.accepted || job.stored.open || job.stored.manifest.is_some();
    let mut later = job.seen.iter().filter(|seen| seen.asked >= since);
    let seen = later.find(|seen| seen.status != MISSING);
    (shown || kept || seen.is_some()).then(|| {
        let what =
            format!("shown after the run: {shown}; still stored: {kept}; seen since: {seen:?}");
        Violation::of("deleted and there", id, what)
    })
}

/// A deleted job leaves its tombstone, and its track as long as others play it.
fn remains(id: &str, job: &Job) -> Option<Violation> {
    let stored = &job.stored;
    let tracks = !stored.tracks.is_empty() && stored.shares.is_empty();
    let what = if !stored.tombstone {
        "no tombstone keeps it dead".to_owned()
    } else if tracks || !stored.others.is_empty() {
        format!("of it are left {:?} and {:?}", stored.tracks, stored.others)
    } else {
        return None;
    };
    Some(Violation::of("deleted and left over", id, what))
}

/// A delete without an answer has happened or has not.
fn half(id: &str, job: &Job) -> Option<Violation> {
    let (stored, shown) = (job.stored.accepted, job.last.is_some());
    let what = format!("its delete was not answered; stored: {stored}, shown: {shown}");
    (stored != shown).then(|| Violation::of("half", id, what))
}

fn one_at_a_time(key: &str, users: &[&Submission], history: &History) -> Option<Violation> {
    let own = |job: &&Job| users.iter().any(|one| job.submission == Some(one.number));
    let live = history.jobs.values().filter(|job| job.stored.accepted);
    let live = live.filter(own).count();
    let what = format!("{key} stands for {live} jobs");
    (live > 1).then(|| Violation::general("two jobs for one key", what))
}

/// What is submitted under a used key is another job, as soon as the one before is gone.
fn handed_on(before: &Submission, after: &Submission) -> Vec<Violation> {
    let mut found = Vec::new();
    let deletion = before.deletion();
    for id in after.accepted() {
        if before.accepted().any(|dead| dead == id) {
            let what = "another submission under its key was answered with it";
            found.push(Violation::of("a dead job for a key", id, what));
        }
        if deletion == Deletion::Kept {
            let what = "accepted under the key of a job that was not deleted";
            found.push(Violation::of("two jobs for one key", id, what));
        }
    }
    // A request of before that is still under way may come first.
    let sure = !before
        .answers
        .iter()
        .any(|answer| answer.reply.status().is_none());
    let gone = matches!(deletion, Deletion::Done(_) | Deletion::Gone(_));
    let refused = after
        .answers
        .iter()
        .any(|it| it.reply.status() == Some(422));
    if sure && gone && refused {
        let what = format!("submission {} was answered 422", after.number);
        found.push(Violation::general("a freed key refused", what));
    }
    found
}
