//! What one job may go through: to one end, seen by everybody alike, with at most one track.

use super::{Bounds, Violation};
use crate::chaos::history::{History, Job, MISSING, Ms, is_terminal, moment};
use crate::chaos::options::LEASE;

/// The API with its own job table hears of every end at last, whatever hung meanwhile.
pub(super) fn untold(id: &str, job: &Job, history: &History) -> Option<Violation> {
    let told = history.told.as_ref()?;
    let ended = job.stored.accepted && job.status().is_some_and(is_terminal);
    let what = "it ended, and the API never heard of it";
    (ended && !told.contains(id)).then(|| Violation::of("end not told", id, what))
}

pub(super) fn check(id: &str, job: &Job, history: &History, bounds: &Bounds) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut say = |rule, what: String| found.push(Violation::of(rule, id, what));
    if let Some(what) = changed(job).or_else(|| ended_again(job)) {
        say("terminal state changed", what);
    }
    for pair in job.seen.windows(2) {
        if pair[1].status != MISSING && pair[1].seq < pair[0].seq {
            say(
                "event numbers fell",
                format!("{} after {}", pair[1].seq, pair[0].seq),
            );
        }
    }
    // From then on its owner may miss it.
    let unwanted = history
        .submissions
        .iter()
        .filter(|one| one.accepted().any(|own| own == id))
        .filter_map(|one| Some(one.deletes.first()?.asked))
        .min();
    if job
        .seen
        .iter()
        .skip_while(|seen| seen.status == MISSING)
        .any(|seen| seen.status == MISSING && unwanted.is_none_or(|from| seen.at < from))
    {
        say(
            "lost",
            "it was there, and then its owner was answered 404".to_owned(),
        );
    }
    if !job.stored.accepted {
        // Never accepted, or removed after a refusal: nothing else of it may be left.
        if job.stored.open || job.last.is_some() {
            say(
                "half",
                format!("no request is stored: {:?}, {:?}", job.stored, job.status()),
            );
        }
        return found;
    }
    match job.status() {
        Some(status) if is_terminal(status) => {
            if status == "expired" {
                say("expired", "its time was not over".to_owned());
            }
            if job.stored.open {
                say("half", format!("{status}, and still open"));
            }
            if job.stored.manifest.as_deref() != Some(status) {
                say(
                    "half",
                    format!("{status}, and the manifest says {:?}", job.stored.manifest),
                );
            }
        }
        status => say("stuck", format!("at the end it is {status:?}")),
    }
    if let Some(what) = tracks(id, job, history) {
        say("tracks", what);
    }
    let completions = events(job, "job:completed");
    if completions > 1 {
        say("completed twice", format!("{completions} events say so"));
    }
    if let Some(what) = writes(job) {
        say("stale write accepted", what);
    }
    let attempts = job.last.as_ref().and_then(|job| job["attempt"].as_u64());
    if attempts.is_some_and(|attempts| attempts > bounds.attempts) {
        say("too many attempts", format!("{attempts:?}"));
    }
    found
}

/// Every look after the first terminal one must show the same end, up to the last word of API and store.
fn changed(job: &Job) -> Option<String> {
    let looks = job.seen.iter().map(|seen| seen.status.as_str());
    let mut looks = looks
        .filter(|status| *status != MISSING)
        .chain(job.status())
        .chain(job.stored.manifest.as_deref());
    let end = looks.find(|status| is_terminal(status))?;
    let other = looks.find(|status| *status != end)?;
    Some(format!("{end}, and later {other}"))
}

/// The end that the API tells at last came after its owner had seen one: the job was run again meanwhile.
fn ended_again(job: &Job) -> Option<String> {
    let seen = job.seen.iter().find(|seen| is_terminal(&seen.status))?.at;
    let told = job.last.as_ref()?["completedAt"].clone();
    (moment(&told)? > seen).then(|| format!("seen at {seen}, and it ended anew at {told}"))
}

fn tracks(id: &str, job: &Job, history: &History) -> Option<String> {
    let tracks = &job.stored.tracks;
    if tracks.len() > 1 {
        return Some(format!("{} are stored", tracks.len()));
    }
    if job.status() != Some("completed") {
        return None;
    }
    let sha256 = job.last.as_ref()?["track"]["sha256"]
        .as_str()
        .unwrap_or("nothing");
    let home = job.stored.plays.as_ref().map(|played| &played.home);
    let home = home.filter(|home| home.as_str() != id);
    let stored = match home {
        None => &job.stored,
        Some(home) => match history.jobs.get(home) {
            Some(home) => &home.stored,
            None => return Some(format!("it plays a track of {home}, which nobody knows")),
        },
    };
    if home.is_some() && !stored.shares.iter().any(|guest| guest == id) {
        return Some(format!("it plays a track of {home:?}, which may go"));
    }
    let has = stored.tracks.iter().any(|name| name.contains(sha256));
    (!has).then(|| format!("the job names {sha256}, the store has {:?}", stored.tracks))
}

fn events(job: &Job, kind: &str) -> usize {
    job.events
        .iter()
        .filter(|event| event["event"] == kind)
        .count()
}

/// A worker may end a job only as its latest holder, and only once. That a job which is complete is told again, with the same
/// track, by one that lost it meanwhile is answered well and changes nothing.
///
/// Who holds it is known from the log, where the line of a worker that froze just then comes late; so only one that took the job
/// a lease ago counts as having lost it.
fn writes(job: &Job) -> Option<String> {
    let (mut takes, mut finished) = (Vec::<(&str, Ms)>::new(), None);
    for line in &job.lines {
        let at = moment(&line["timestamp"]);
        let (Some(invocation), Some(at)) = (line["function_request_id"].as_str(), at) else {
            continue;
        };
        match line["message"].as_str() {
            Some("job acquired") => takes.push((invocation, at)),
            Some("track finished") if line["outcome"] == "Ok" => match finished {
                None if is_lost(&takes, invocation, at) => {
                    return Some(format!(
                        "{invocation} completed it, the last of {takes:?} held it"
                    ));
                }
                None => finished = Some(&line["sha256"]),
                Some(sha256) if *sha256 != line["sha256"] => {
                    return Some(format!(
                        "completed with {sha256}, then with {}",
                        line["sha256"]
                    ));
                }
                Some(_) => {}
            },
            _ => {}
        }
    }
    None
}

/// Whether somebody else took the job later, and this one long ago or never.
fn is_lost(takes: &[(&str, Ms)], invocation: &str, at: Ms) -> bool {
    let own = takes.iter().rev().find(|(who, _)| *who == invocation);
    let last = takes.last().is_some_and(|(who, _)| *who == invocation);
    !last && own.is_none_or(|(_, taken)| at - taken >= LEASE.as_millis() as Ms)
}
