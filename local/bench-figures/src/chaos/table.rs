//! The figures of a run, as a table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Outcome;
use super::check::{Recovery, Strand, recoveries, strands};
use super::history::{Deletion, History, Job, Kind, Ms, Reply, Submission, moment};
use super::options::SWEEP;

/// The table of figures, a line each.
pub fn figures(outcome: &Outcome) -> String {
    let Outcome {
        history,
        bounds,
        violations,
    } = outcome;
    let jobs = || history.jobs.values().filter(|job| job.stored.accepted);
    let accepted: BTreeSet<&str> = history
        .submissions
        .iter()
        .flat_map(Submission::accepted)
        .collect();
    let unsure: BTreeSet<&str> = history
        .jobs
        .iter()
        .filter(|(id, job)| job.stored.accepted && !accepted.contains(id.as_str()))
        .map(|(id, _)| id.as_str())
        .collect();
    let completed: Vec<&Job> = jobs()
        .filter(|job| job.status() == Some("completed"))
        .collect();
    let mut rows = vec![
        ("submissions", history.submissions.len().to_string()),
        ("accepted, and how these ended", ends(history, &accepted)),
        (
            "unknown to their callers, and how these ended",
            ends(history, &unsure),
        ),
        (
            "sent twice at the same moment",
            history
                .submissions
                .iter()
                .filter(|one| one.twins)
                .count()
                .to_string(),
        ),
        ("refused at a limit", refused(history)),
        ("deletes of users", deletes(history)),
        ("keys used again", used_again(history)),
        ("tracks of repeats out of the cache", repeats(&completed)),
        (
            "tries of callers that the API did not answer",
            counted(history.submissions.iter().flat_map(unanswered)),
        ),
        ("completed a minute", throughput(&completed)),
        (
            "from acceptance to end (s), p50 / p95 / longest",
            lengths(&completed),
        ),
        (
            "attempts of completed jobs",
            counted(completed.iter().map(|job| attempts(job))),
        ),
        ("failed attempts by code", counted(jobs().flat_map(codes))),
        (
            "faults",
            counted(history.faults.iter().map(|fault| fault.kind.as_str())),
        ),
        (
            "bells",
            format!(
                "{} dropped, {} delivered twice",
                history.bells.dropped, history.bells.duplicated
            ),
        ),
        ("bad answers of models", counted(bad_calls(history))),
        (
            "calls for audio a completed job, refused ones apart",
            renders(&completed),
        ),
        (
            "render keys a completed job, at most",
            most_keys(&completed).to_string(),
        ),
        ("writes of workers that had lost their job", stale(history)),
        (
            "changes that owners saw",
            jobs().map(|job| job.seen.len()).sum::<usize>().to_string(),
        ),
    ];
    let found = strands(history, bounds.workers);
    let bound = format!(
        "longest strand (ms), at most {} with a sweep every {} s",
        bounds.strand_ms,
        SWEEP.as_secs()
    );
    rows.push((&bound, strand(found.worst())));
    rows.push((
        "  a job could run, none was acquired",
        strand(found.acquire),
    ));
    rows.push(("  a lease was over", strand(found.lease)));
    rows.push(("  a retry was due", strand(found.retry)));
    rows.push(("  a tenant was missing in ready", strand(found.ready)));
    rows.push((
        "back after a fault of Redis (s)",
        back(&recoveries(history)),
    ));
    let looks = format!("{} of {}", found.looks, history.samples.len());
    rows.push(("looks into Redis that count", looks));
    rows.push(("violations", violations.len().to_string()));
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    rows.iter()
        .map(|(name, value)| format!("  {name:width$}  {value}\n"))
        .collect()
}

/// `3 a, 1 b`, the most frequent first.
fn counted<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for item in items {
        *counts.entry(item.to_string()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<_> = counts
        .iter()
        .map(|(item, count)| format!("{count} {item}"))
        .collect();
    counts.join(", ")
}

/// Tries, and the submissions that were not accepted for it.
fn refused(history: &History) -> String {
    let at_limit = |reply: &&Reply| reply.status() == Some(429);
    let tries = || history.submissions.iter().flat_map(Submission::tries);
    let codes = tries().filter(at_limit).filter_map(Reply::code);
    let given_up = history
        .submissions
        .iter()
        .filter(|one| one.accepted().next().is_none() && one.tries().any(|reply| at_limit(&reply)));
    format!(
        "{}; {} submissions for good",
        counted(codes),
        given_up.count()
    )
}

fn deletes(history: &History) -> String {
    let wanted = history
        .submissions
        .iter()
        .filter(|one| !one.deletes.is_empty());
    counted(wanted.map(|one| match one.deletion() {
        Deletion::Done(_) => "done",
        Deletion::Gone(_) => "done unheard",
        Deletion::Unsure => "unknown",
        Deletion::Kept => "refused",
    }))
}

fn used_again(history: &History) -> String {
    let mut keys = BTreeMap::<_, Vec<&Submission>>::new();
    for one in &history.submissions {
        if let Some(key) = &one.key {
            keys.entry((one.tenant, key)).or_default().push(one);
        }
    }
    let again = keys.values().flat_map(|users| users.iter().skip(1));
    counted(again.map(|one| match one.accepted().next() {
        Some(_) => "accepted",
        None if one.is_unknown() => "unknown",
        None => "refused",
    }))
}

fn repeats(completed: &[&Job]) -> String {
    let cached = |job: &&&Job| job.last.as_ref().is_some_and(|job| job["cached"] == true);
    completed.iter().filter(cached).count().to_string()
}

fn unanswered(submission: &Submission) -> impl Iterator<Item = String> {
    submission.tries().filter_map(|reply| match reply {
        Reply::Ours { .. } => None,
        Reply::Foreign(status) => Some(format!("a {status} of the emulator")),
        Reply::Silence(why) => Some((*why).to_owned()),
    })
}

fn time(job: &Job, field: &str) -> Option<Ms> {
    moment(&job.last.as_ref()?[field])
}

fn throughput(completed: &[&Job]) -> String {
    let first = completed
        .iter()
        .filter_map(|job| time(job, "createdAt"))
        .min();
    let last = completed
        .iter()
        .filter_map(|job| time(job, "completedAt"))
        .max();
    let (Some(first), Some(last)) = (first, last) else {
        return "none".to_owned();
    };
    let minutes = (last - first).max(1) as f64 / 60_000.0;
    format!(
        "{:.0} over {minutes:.1} minutes",
        completed.len() as f64 / minutes
    )
}

fn lengths(completed: &[&Job]) -> String {
    let length = |job: &&Job| Some(time(job, "completedAt")? - time(job, "createdAt")?);
    let mut lengths: Vec<Ms> = completed.iter().filter_map(length).collect();
    lengths.sort_unstable();
    let at = |share: f64| {
        let place = (lengths.len().saturating_sub(1) as f64 * share) as usize;
        lengths.get(place).map_or(0.0, |ms| *ms as f64 / 1000.0)
    };
    format!("{:.1} / {:.1} / {:.1}", at(0.5), at(0.95), at(1.0))
}

fn attempts(job: &Job) -> String {
    let attempt = job
        .last
        .as_ref()
        .map_or(&Value::Null, |job| &job["attempt"]);
    format!("with {attempt}")
}

fn codes(job: &Job) -> impl Iterator<Item = &str> {
    job.events
        .iter()
        .filter_map(|event| event["error"]["code"].as_str())
}

fn bad_calls(history: &History) -> impl Iterator<Item = String> {
    let calls = history.jobs.values().flat_map(|job| &job.calls);
    let bad = calls.filter(|call| call.fate != "usual");
    bad.map(|call| format!("{} {}", call.model, call.fate))
}

/// A call that was refused at once rendered nothing; one under a key that is known renders nothing anew.
fn renders(completed: &[&Job]) -> String {
    let asked = |job: &&Job| {
        let calls = job
            .calls
            .iter()
            .filter(|call| call.model == "muscgen" && call.fate != "fail");
        calls.count()
    };
    let calls: usize = completed.iter().map(asked).sum();
    format!("{:.2}", calls as f64 / completed.len().max(1) as f64)
}

fn most_keys(completed: &[&Job]) -> usize {
    let keys = |job: &&Job| {
        let calls = job.calls.iter().filter(|call| call.model == "muscgen");
        calls.map(|call| &call.key).collect::<BTreeSet<_>>().len()
    };
    completed.iter().map(keys).max().unwrap_or_default()
}

/// Workers that came back too late.
fn stale(history: &History) -> String {
    let lines = || history.jobs.values().flat_map(|job| &job.lines);
    let says = |line: &Value, text: &str| line["message"] == text;
    let refused = lines().filter(|line| {
        line["outcome"] == "Stale"
            || says(line, "stale: not parked")
            || says(
                line,
                "the job is in other hands or has ended; this run stops",
            )
    });
    let finished = |job: &Job| {
        let lines = job.lines.iter();
        let finished = lines.filter(|line| says(line, "track finished") && line["outcome"] == "Ok");
        finished.count().saturating_sub(1)
    };
    let repeats: usize = history.jobs.values().map(finished).sum();
    format!(
        "{} refused, {repeats} told what was so already",
        refused.count()
    )
}

fn strand(strand: Strand) -> String {
    match strand.late_ms {
        late if late > 100 => format!("{} (this machine came {late} ms late meanwhile)", strand.ms),
        _ => strand.ms.to_string(),
    }
}

/// From the end of a fault to the next acquire, by kind; of an emptied Redis also until the sweep had looked at every open job.
fn back(all: &[Recovery]) -> String {
    let kinds: BTreeSet<Kind> = all.iter().map(|one| one.kind).collect();
    let of_kind = |kind: &Kind| {
        let own = || all.iter().filter(|one| one.kind == *kind);
        let acquire = span(own().filter_map(|one| one.acquire_ms));
        let whole = span(own().filter_map(|one| one.whole_ms));
        let whole = whole.map(|span| format!(", whole after {span}"));
        let name = kind.as_str();
        format!(
            "{name} {}{}",
            acquire.unwrap_or("never".to_owned()),
            whole.unwrap_or_default()
        )
    };
    kinds.iter().map(of_kind).collect::<Vec<_>>().join("; ")
}

/// The shortest and the longest.
fn span(times: impl Iterator<Item = Ms> + Clone) -> Option<String> {
    let (least, most) = (times.clone().min()?, times.max()?);
    Some(format!(
        "{:.1}–{:.1}",
        least as f64 / 1000.0,
        most as f64 / 1000.0
    ))
}

/// `9: 8 completed, 1 failed`.
fn ends(history: &History, ids: &BTreeSet<&str>) -> String {
    let deleted: BTreeSet<&str> = history
        .submissions
        .iter()
        .filter(|one| matches!(one.deletion(), Deletion::Done(_) | Deletion::Gone(_)))
        .flat_map(Submission::accepted)
        .collect();
    let jobs = ids.iter().map(|id| {
        let status = history.jobs.get(*id).and_then(Job::status);
        let gone = if deleted.contains(id) {
            "deleted"
        } else {
            "lost"
        };
        status.unwrap_or(gone)
    });
    let ends = counted(jobs);
    format!("{}: {ends}", ids.len())
}
