//! A good record passes; each made-up bad one is found, and for what it is.

mod keys;
mod replies;
mod songs;
mod strand;

use serde_json::{Value, json};

use super::{Bounds, check};
use crate::chaos::history::{
    Answer, Call, History, Injected, Job, Kind, Ms, Played, Queue, Reply, Sample, Seen, Stored,
    Submission,
};

const ID: &str = "01a2049e-643a-75e1-acda-ee3ba6f1c78c";
const RAIN: &str = "rain";
const BOUNDS: Bounds = Bounds {
    completed: 0.95,
    foreign: 0.05,
    strand_ms: 8_000,
    attempts: 6,
    workers: 2,
};

fn answered(status: u16, job: Option<&str>) -> Answer {
    heard(Reply::Ours {
        status,
        job: job.map(str::to_owned),
        code: None,
    })
}

fn heard(reply: Reply) -> Answer {
    Answer {
        asked: 0,
        at: 0,
        reply,
        retry_after: None,
    }
}

fn seen(status: &str, seq: u64) -> Seen {
    Seen {
        asked: 0,
        at: 0,
        status: status.to_owned(),
        seq,
    }
}

fn line(second: u32, message: &str, invocation: &str) -> Value {
    let timestamp = format!("2026-11-22T19:00:{second:02}Z");
    json!({"timestamp": timestamp, "message": message, "function_request_id": invocation, "outcome": "Ok"})
}

fn called(model: &'static str, asked: &str, plan: Option<&str>, delivered: &str) -> Call {
    Call {
        at: 0,
        model,
        key: "k".to_owned(),
        fate: "usual".to_owned(),
        asked: asked.to_owned(),
        plan: plan.map(str::to_owned),
        delivered: vec![delivered.to_owned()],
    }
}

/// A job that was accepted, seen on its way, and completed.
fn completed() -> Job {
    Job {
        submission: Some(0),
        seen: vec![
            seen("queued", 1),
            seen("processing", 3),
            seen("completed", 6),
        ],
        last: Some(
            json!({"status": "completed", "attempt": 1, "narrative": RAIN, "track": {"sha256": "abc"}}),
        ),
        events: vec![json!({"event": "job:completed"})],
        heard: Some("abc".to_owned()),
        stored: Stored {
            accepted: true,
            manifest: Some("completed".to_owned()),
            tracks: vec!["track-abc.wav".to_owned()],
            plays: Some(Played {
                home: ID.to_owned(),
                sha256: Some("abc".to_owned()),
            }),
            ..Stored::default()
        },
        calls: vec![
            called("jen1", RAIN, None, "plan-of-rain"),
            called("muscgen", "calm. rain", Some("plan-of-rain"), "abc"),
        ],
        lines: vec![
            line(0, "job acquired", "a"),
            line(31, "job acquired", "b"),
            line(32, "track finished", "b"),
        ],
    }
}

fn good() -> History {
    History {
        submissions: vec![Submission {
            narrative: RAIN.to_owned(),
            answers: vec![answered(202, Some(ID))],
            ..Submission::default()
        }],
        jobs: [(ID.to_owned(), completed())].into(),
        samples: looks(0..100, |_| Queue::default()),
        ..History::default()
    }
}

/// The record of one completed job, with one thing changed.
fn with(change: impl FnOnce(&mut History, &mut Job)) -> History {
    let mut history = good();
    let mut job = history.jobs.remove(ID).unwrap();
    change(&mut history, &mut job);
    history.jobs.insert(ID.to_owned(), job);
    history
}

fn with_job(change: impl FnOnce(&mut Job)) -> History {
    with(|_, job| change(job))
}

/// Five looks a second; the counter stands still.
fn looks(range: std::ops::Range<i64>, queue: impl Fn(i64) -> Queue) -> Vec<Sample> {
    let look = |number| Sample {
        at: number * 200,
        late_ms: 0,
        queue: Some(queue(number)),
    };
    range.map(look).collect()
}

fn fault(kind: Kind, at: Ms, until: Ms, worker: Option<usize>) -> Injected {
    Injected {
        at,
        until,
        kind,
        worker,
    }
}

fn rules(history: &History) -> Vec<&'static str> {
    check(history, &BOUNDS)
        .into_iter()
        .map(|found| found.rule)
        .collect()
}

#[track_caller]
fn found(rule: &str, history: &History) {
    let rules = rules(history);
    assert!(rules.contains(&rule), "{rule} is not among {rules:?}");
}

#[test]
fn a_good_record_passes() {
    assert_eq!(check(&good(), &BOUNDS), []);
}

#[test]
fn an_accepted_job_that_is_gone_is_found() {
    let mut gone = good();
    gone.jobs.clear();
    found("lost", &gone);
    found("lost", &with_job(|job| job.last = None));
    found("lost", &with_job(|job| job.stored = Stored::default()));
    found(
        "lost",
        &with_job(|job| job.seen.insert(1, seen("missing", 0))),
    );
}

#[test]
fn a_job_that_never_ends_is_found() {
    let stuck = with_job(|job| {
        job.last = Some(json!({"status": "processing", "attempt": 2}));
        job.seen.pop();
        job.stored.manifest = None;
    });
    found("stuck", &stuck);
}

#[test]
fn an_ended_job_that_is_not_settled_is_found() {
    found("half", &with_job(|job| job.stored.open = true));
    found("half", &with_job(|job| job.stored.manifest = None));
    let leftover = with_job(|job| {
        job.stored = Stored {
            open: true,
            ..Stored::default()
        };
        (job.last, job.seen) = (None, Vec::new());
    });
    found("half", &leftover);
}

#[test]
fn a_terminal_state_that_changed_is_found() {
    found(
        "terminal state changed",
        &with_job(|job| job.seen.push(seen("queued", 7))),
    );
    found(
        "terminal state changed",
        &with_job(|job| job.seen.insert(1, seen("failed", 2))),
    );
    let again = with_job(|job| {
        let last = job.last.as_mut().unwrap();
        last["completedAt"] = "1970-01-01T00:00:01Z".into();
    });
    found("terminal state changed", &again);
    let rewritten = with_job(|job| job.stored.manifest = Some("failed".to_owned()));
    found("terminal state changed", &rewritten);
}

#[test]
fn event_numbers_that_fall_are_found() {
    found("event numbers fell", &with_job(|job| job.seen[2].seq = 2));
}

#[test]
fn a_second_track_and_a_wrong_one_are_found() {
    found(
        "tracks",
        &with_job(|job| job.stored.tracks.push("track-def.wav".to_owned())),
    );
    found("tracks", &with_job(|job| job.stored.tracks.clear()));
    found(
        "tracks",
        &with_job(|job| job.stored.tracks[0] = "track-def.wav".to_owned()),
    );
}

#[test]
fn a_second_completion_is_found() {
    let twice = with_job(|job| job.events.push(json!({"event": "job:completed"})));
    found("completed twice", &twice);
    let again = |sha256: &str| {
        with_job(|job| {
            job.lines[2]["sha256"] = "abc".into();
            job.lines.push(line(33, "track finished", "a"));
            job.lines[3]["sha256"] = sha256.into();
        })
    };
    found("stale write accepted", &again("def"));
    assert_eq!(rules(&again("abc")), [""; 0]);
}

#[test]
fn a_write_of_a_worker_that_lost_the_job_is_found_and_a_refused_one_is_not() {
    let taken = |second: u32, outcome: &str| {
        with_job(|job| {
            job.lines = vec![
                line(second, "job acquired", "a"),
                line(second + 1, "job acquired", "b"),
                line(40, "track finished", "a"),
            ];
            job.lines[2]["outcome"] = outcome.into();
        })
    };
    found("stale write accepted", &taken(5, "Ok"));
    assert_eq!(rules(&taken(5, "Stale")), [""; 0]);
    // The line of `b` is that of a worker which froze right after it had taken the job, and thawed now.
    assert_eq!(rules(&taken(38, "Ok")), [""; 0]);
}

#[test]
fn a_failure_needs_a_fault_that_explains_it() {
    let at = |second: i64| {
        chrono::DateTime::from_timestamp(second, 0)
            .unwrap()
            .to_rfc3339()
    };
    let failed = |code: &str, change: &dyn Fn(&mut History, &mut Job)| {
        with(|history, job| {
            job.last = Some(json!({"status": "failed", "attempt": 6, "error": {"code": code}}));
            job.seen[2] = seen("failed", 6);
            job.stored.manifest = Some("failed".to_owned());
            job.events =
                vec![json!({"event": "job:failed", "at": at(100), "error": {"code": code}})];
            change(history, job);
        })
    };
    let call = |fate: &str| Call {
        fate: fate.to_owned(),
        ..called("muscgen", RAIN, None, "abc")
    };
    let (rule, nothing) = ("failed without a cause", |_: &mut History, _: &mut Job| {});
    found(rule, &failed("gpu_lost", &nothing));
    found(
        rule,
        &failed("gpu_lost", &|_, job| job.calls = vec![call("fail")]),
    );
    let told = failed("gpu_lost", &|_, job| job.calls = vec![call("reportFailed")]);
    assert!(!rules(&told).contains(&rule));
    found(rule, &failed("worker_lost", &nothing));
    let killed = |at, until| {
        failed("worker_lost", &move |history, _| {
            history.faults = vec![fault(Kind::Kill, at, until, Some(0))];
        })
    };
    assert!(!rules(&killed(70_000, 70_001)).contains(&rule));
    found(rule, &killed(20_000, 20_001));
    found(rule, &killed(110_000, 110_001));
    found(
        rule,
        &failed("audio_missing", &|_, job| job.calls = vec![call("fail")]),
    );
}

#[test]
fn jobs_that_nobody_was_promised_are_found() {
    found("nobody's job", &with_job(|job| job.submission = None));
    let refused = with(|history, _| history.submissions[0].answers = vec![answered(503, None)]);
    found("refused and kept", &refused);
    let silence = heard(Reply::Silence("no answer in time"));
    let unknown = with(|history, _| history.submissions[0].answers = vec![silence]);
    assert_eq!(rules(&unknown), [""; 0]);
}

#[test]
fn an_end_that_the_api_never_heard_of_is_found() {
    let told = |ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        with(|history, _| history.told = Some(ids))
    };
    found("end not told", &told(&[]));
    let all: Vec<_> = good().jobs.into_keys().collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    assert_eq!(rules(&told(&all)), [""; 0]);
}

#[test]
fn one_key_that_became_two_jobs_is_found() {
    let mut two = good();
    two.submissions[0].key = Some("key".to_owned());
    two.submissions[0]
        .answers
        .push(answered(202, Some("other")));
    two.jobs.insert("other".to_owned(), completed());
    found("two jobs for one key", &two);
}

#[test]
fn a_cancel_that_was_forgotten_or_never_wanted_is_found() {
    let forgotten = with(|history, _| history.submissions[0].cancels = vec![answered(200, None)]);
    found("cancel forgotten", &forgotten);
    let unwanted = with_job(|job| {
        job.last = Some(json!({"status": "cancelled", "attempt": 1}));
        job.seen[2] = seen("cancelled", 6);
        job.stored.manifest = Some("cancelled".to_owned());
    });
    found("cancelled by nobody", &unwanted);
}

#[test]
fn too_few_completions_are_found() {
    let failed = with_job(|job| job.last = Some(json!({"status": "failed"})));
    found("too few completed", &failed);
}
