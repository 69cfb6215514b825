//! Each violation, with the whole history of its job.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use super::Outcome;
use super::history::History;

/// The jobs whose histories are printed whole; of the rest only what is wrong.
const WHOLE: usize = 10;

/// Every violation, and the histories of the first jobs that have one.
pub fn violations(outcome: &Outcome) -> String {
    let mut text = String::new();
    for violation in &outcome.violations {
        let job = violation.job.as_deref().unwrap_or("the run");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "VIOLATION  {}: {}, {job}",
            violation.rule, violation.what
        );
    }
    let jobs: BTreeSet<&String> = outcome
        .violations
        .iter()
        .filter_map(|one| one.job.as_ref())
        .collect();
    for id in jobs.into_iter().take(WHOLE) {
        text.push_str(&history_of(&outcome.history, id));
    }
    text
}

/// Everything that is known of one job, in the order of its sources.
fn history_of(history: &History, id: &str) -> String {
    let mut text = format!("\nJOB  {id}\n");
    let Some(job) = history.jobs.get(id) else {
        return text;
    };
    let mut say = |what: &str, fact: String| {
        let _ = writeln!(text, "  {what:8} {fact}");
    };
    let own = history
        .submissions
        .iter()
        .find(|one| Some(one.number) == job.submission);
    if let Some(own) = own {
        say(
            "asked",
            format!(
                "number {} of tenant {}, key {:?}",
                own.number, own.tenant, own.key
            ),
        );
        own.answers
            .iter()
            .for_each(|answer| say("answer", format!("{answer:?}")));
        own.cancels
            .iter()
            .for_each(|answer| say("cancel", format!("{answer:?}")));
        own.deletes
            .iter()
            .for_each(|answer| say("delete", format!("{answer:?}")));
    }
    job.seen
        .iter()
        .for_each(|seen| say("seen", format!("{seen:?}")));
    say(
        "last",
        job.last
            .as_ref()
            .map_or("nothing".to_owned(), Value::to_string),
    );
    job.events
        .iter()
        .for_each(|event| say("event", event.to_string()));
    say("store", format!("{:?}", job.stored));
    job.calls
        .iter()
        .for_each(|call| say("call", format!("{call:?}")));
    job.lines
        .iter()
        .for_each(|line| say("log", line.to_string()));
    text
}
