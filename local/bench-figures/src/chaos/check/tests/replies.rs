//! Who has spoken: what the API says counts, and what others say in its place tells nothing of the job.

use super::*;

const PROBLEM: &str = "application/problem+json";
/// As `cargo lambda` answers when a function's answer did not reach it.
const EMULATOR: &str = r#"{"type": "https://httpstatuses.com/500", "status": 500, "title": "Internal Server Error",
    "detail": "operation was canceled: connection closed before message completed"}"#;
const OURS: &str = r#"{"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": "Redis is away",
    "code": "queue_unavailable", "retryable": true}"#;

/// The job is kept, and its caller heard only this; twenty others were refused well.
fn kept_after(reply: Reply) -> History {
    with(|history, _| {
        history.submissions[0].answers = vec![heard(reply)];
        history.submissions.extend((1..=20).map(refused));
    })
}

fn refused(number: usize) -> Submission {
    Submission {
        number,
        answers: vec![answered(429, None)],
        ..Submission::default()
    }
}

#[test]
fn a_job_may_be_kept_after_the_emulator_lost_the_answer() {
    let lost = Reply::read(500, PROBLEM, EMULATOR.as_bytes());
    assert_eq!(lost, Reply::Foreign(500));
    assert_eq!(rules(&kept_after(lost)), [""; 0]);
    let bare = Reply::read(502, "text/plain", b"Bad Gateway");
    assert_eq!(rules(&kept_after(bare)), [""; 0]);
    let unreadable = Reply::read(202, "application/json", b"{\"jobId\": \"01a2");
    assert_eq!(rules(&kept_after(unreadable)), [""; 0]);
}

#[test]
fn a_job_that_is_kept_after_an_error_of_the_api_is_found() {
    for status in [500, 503] {
        let ours = Reply::read(status, PROBLEM, OURS.as_bytes());
        let code = Some("queue_unavailable".to_owned());
        let job = None;
        assert_eq!(ours, Reply::Ours { status, job, code });
        found("refused and kept", &kept_after(ours));
    }
    let refused = Reply::read(404, PROBLEM, EMULATOR.as_bytes());
    found("refused and kept", &kept_after(refused));
}

#[test]
fn a_job_may_be_kept_after_an_error_of_the_api_that_names_it() {
    let named = OURS.replace("\"code\"", &format!("\"jobId\": \"{ID}\", \"code\""));
    let named = Reply::read(503, PROBLEM, named.as_bytes());
    assert_eq!(named.job(), Some(ID));
    assert_eq!(rules(&kept_after(named)), [""; 0]);
}

#[test]
fn a_5xx_that_only_looks_like_ours_is_somebody_elses() {
    assert_eq!(
        Reply::read(503, "application/json", OURS.as_bytes()),
        Reply::Foreign(503)
    );
    let job = format!(r#"{{"jobId": "{ID}"}}"#);
    let foreign = Reply::read(500, PROBLEM, job.as_bytes());
    assert_eq!(foreign.job(), None);
}

#[test]
fn functions_that_crash_again_and_again_are_found() {
    let mut one_of_nineteen = kept_after(Reply::Foreign(500));
    one_of_nineteen.submissions.truncate(19);
    found("answers lost", &one_of_nineteen);
    let mut cancel = good();
    cancel.submissions[0].cancels = vec![heard(Reply::Foreign(500))];
    found("answers lost", &cancel);
}

#[test]
fn whoever_got_no_answer_of_the_api_asks_again() {
    assert!(Reply::Foreign(500).invites_another());
    assert!(Reply::Silence("no answer in time").invites_another());
    assert!(answered(503, None).reply.invites_another());
    assert!(!answered(429, None).reply.invites_another());
    assert!(!answered(202, None).reply.invites_another());
}
