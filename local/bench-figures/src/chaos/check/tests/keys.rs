//! Twins, refusals at limits, deletes and keys that are used again.

use super::*;

const NEXT: &str = "01a2049e-643a-75e1-acda-ee3ba6f1c78d";

fn keyed(submission: &mut Submission) {
    submission.key = Some("key".to_owned());
}

fn later(answer: Answer) -> Answer {
    Answer { at: 50, ..answer }
}

/// The job was deleted, and left what it may.
fn deleted(change: impl FnOnce(&mut History, &mut Job)) -> History {
    with(|history, job| {
        history.submissions[0].deletes = vec![answered(409, None), later(answered(204, None))];
        keyed(&mut history.submissions[0]);
        job.seen.push(seen("missing", 0));
        (job.last, job.heard) = (None, None);
        job.stored = Stored {
            tombstone: true,
            ..Stored::default()
        };
        change(history, job);
    })
}

/// After that another narrative was submitted under its key.
fn reused(change: impl FnOnce(&mut History)) -> History {
    let mut history = deleted(|_, _| ());
    let mut next = Submission {
        number: 1,
        narrative: RAIN.to_owned(),
        answers: vec![answered(202, Some(NEXT))],
        ..Submission::default()
    };
    keyed(&mut next);
    history.submissions.push(next);
    let mut job = completed();
    job.submission = Some(1);
    job.stored.plays.as_mut().unwrap().home = NEXT.to_owned();
    history.jobs.insert(NEXT.to_owned(), job);
    change(&mut history);
    history
}

#[test]
fn a_deleted_job_may_be_gone_and_its_key_be_used_again() {
    assert_eq!(rules(&deleted(|_, _| ())), [""; 0]);
    assert_eq!(rules(&reused(|_| ())), [""; 0]);
    let unheard = deleted(|history, _| {
        history.submissions[0].deletes = vec![
            heard(Reply::Silence("no answer in time")),
            later(answered(404, None)),
        ];
        history.submissions[0]
            .answers
            .extend((0..40).map(|_| answered(202, Some(ID))));
    });
    assert_eq!(rules(&unheard), [""; 0]);
    let played = deleted(|_, job| {
        job.stored.tracks = vec!["track-abc.wav".to_owned()];
        job.stored.shares = vec![NEXT.to_owned()];
    });
    assert_eq!(rules(&played), [""; 0]);
}

#[test]
fn a_deleted_job_that_comes_back_is_found() {
    let rule = "deleted and there";
    let seen_again = deleted(|_, job| {
        job.seen.push(Seen {
            asked: 60,
            ..seen("completed", 6)
        });
    });
    found(rule, &seen_again);
    found(rule, &deleted(|_, job| job.last = completed().last));
    found(rule, &deleted(|_, job| job.stored.accepted = true));
    found(rule, &deleted(|_, job| job.stored.open = true));
}

#[test]
fn what_a_deleted_job_leaves_is_found() {
    let rule = "deleted and left over";
    found(rule, &deleted(|_, job| job.stored.tombstone = false));
    let track = || vec!["track-abc.wav".to_owned()];
    found(rule, &deleted(|_, job| job.stored.tracks = track()));
    let plan = || vec!["plan.json".to_owned()];
    found(rule, &deleted(|_, job| job.stored.others = plan()));
}

#[test]
fn a_job_that_is_gone_without_a_delete_is_found() {
    let early = deleted(|history, job| {
        history.submissions[0].deletes[0].asked = 1_000;
        job.seen[3].at = 500;
    });
    found("lost", &early);
    let refused = |status| {
        deleted(|history, _| history.submissions[0].deletes = vec![answered(status, None)])
    };
    found("lost", &refused(409));
    found("lost", &refused(404));
}

#[test]
fn half_a_delete_is_found() {
    let half = deleted(|history, job| {
        history.submissions[0].deletes = vec![answered(503, None)];
        job.last = completed().last;
    });
    found("half", &half);
}

#[test]
fn a_key_that_stands_for_two_jobs_is_found() {
    let rule = "two jobs for one key";
    let live = reused(|history| {
        history.jobs.insert(ID.to_owned(), completed());
    });
    found(rule, &live);
    let kept = reused(|history| history.submissions[0].deletes.clear());
    found(rule, &kept);
    let twins = with(|history, _| {
        history.submissions[0].twins = true;
        keyed(&mut history.submissions[0]);
        history.submissions[0]
            .answers
            .push(answered(202, Some(NEXT)));
    });
    found(rule, &twins);
}

#[test]
fn a_key_that_is_not_freed_is_found() {
    let dead = reused(|history| history.submissions[1].answers = vec![answered(202, Some(ID))]);
    found("a dead job for a key", &dead);
    let refused = reused(|history| {
        history.submissions[1].answers = vec![answered(422, None)];
        history.jobs.remove(NEXT);
    });
    found("a freed key refused", &refused);
}

#[test]
fn an_accepted_job_that_its_refused_twin_removed_is_found() {
    let refused = |change: fn(&mut Job)| {
        with(|history, job| {
            history.submissions[0].twins = true;
            keyed(&mut history.submissions[0]);
            history.submissions[0].answers.push(answered(429, None));
            change(job);
        })
    };
    assert_eq!(rules(&refused(|_| ())), [""; 0]);
    let removed = refused(|job| (job.last, job.stored) = (None, Stored::default()));
    found("lost", &removed);
    let both = with(|history, _| {
        history.submissions[0].answers = vec![answered(429, None), answered(429, None)];
    });
    found("refused and kept", &both);
}
