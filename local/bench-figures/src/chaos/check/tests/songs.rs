//! Tracks of other narratives.

use super::*;

const HOME: &str = "01a2049e-643a-75e1-acda-ee3ba6f1c78a";
const RULE: &str = "another's track";

#[test]
fn bytes_that_are_not_those_of_the_job_are_found() {
    found(RULE, &with_job(|job| job.heard = Some("def".to_owned())));
    found(RULE, &with_job(|job| job.heard = None));
    let replaced = with_job(|job| {
        job.stored.plays.as_mut().unwrap().sha256 = Some("def".to_owned());
    });
    found(RULE, &replaced);
    found(RULE, &with_job(|job| job.stored.plays = None));
}

#[test]
fn a_track_that_was_made_for_another_narrative_is_found() {
    let shown = with_job(|job| job.last.as_mut().unwrap()["narrative"] = "snow".into());
    found(RULE, &shown);
    let prompt = with_job(|job| job.calls[1].asked = "calm. snow".to_owned());
    found(RULE, &prompt);
    let plan = with_job(|job| job.calls[0].asked = "snow".to_owned());
    found(RULE, &plan);
    let another_plan = with_job(|job| job.calls[1].plan = Some("plan-of-snow".to_owned()));
    found(RULE, &another_plan);
    let bytes = with_job(|job| job.calls[1].delivered = vec!["def".to_owned()]);
    found(RULE, &bytes);
}

/// A repeat that plays the track of another job.
fn repeat(change: impl FnOnce(&mut Job, &mut Job)) -> History {
    let mut home = completed();
    with(|history, job| {
        home.submission = Some(1);
        home.stored.plays.as_mut().unwrap().home = HOME.to_owned();
        home.stored.shares = vec![ID.to_owned()];
        job.stored.plays.as_mut().unwrap().home = HOME.to_owned();
        job.stored.tracks.clear();
        job.calls.clear();
        change(job, &mut home);
        history.submissions.push(Submission {
            number: 1,
            narrative: RAIN.to_owned(),
            answers: vec![answered(202, Some(HOME))],
            ..Submission::default()
        });
        history.jobs.insert(HOME.to_owned(), home);
    })
}

#[test]
fn a_repeat_may_play_the_track_of_a_job_with_its_narrative() {
    assert_eq!(rules(&repeat(|_, _| ())), [""; 0]);
    let other = repeat(|_, home| home.calls[1].asked = "calm. snow".to_owned());
    found(RULE, &other);
}

#[test]
fn a_repeat_that_does_not_hold_its_track_is_found() {
    found("tracks", &repeat(|_, home| home.stored.shares.clear()));
    found("tracks", &repeat(|_, home| home.stored.tracks.clear()));
}
