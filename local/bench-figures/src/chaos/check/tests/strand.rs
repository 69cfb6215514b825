//! Made-up looks into Redis.

use super::*;
use crate::chaos::check::{recoveries, strands};
use crate::chaos::history::{Injected, Kind, Queue, Sample};

fn waiting(_: i64) -> Queue {
    Queue {
        could_run: true,
        ..Queue::default()
    }
}

fn under(samples: Vec<Sample>, faults: Vec<Injected>) -> History {
    with(|history, _| (history.samples, history.faults) = (samples, faults))
}

#[test]
fn a_job_that_could_run_and_is_left_standing_is_found() {
    found("stranded", &under(looks(0..60, waiting), Vec::new()));
    let served = looks(0..60, |number| Queue {
        fence: number as u64 / 20,
        ..waiting(number)
    });
    let served = under(served, Vec::new());
    assert_eq!(rules(&served), [""; 0]);
    assert_eq!(strands(&served, 2).acquire.ms, 3_800);
}

#[test]
fn other_ways_to_be_left_standing_are_found() {
    let lease = |number: i64| Queue {
        lease_over_ms: Some(number * 200),
        ..Queue::default()
    };
    found("stranded", &under(looks(0..60, lease), Vec::new()));
    let retry = |number: i64| Queue {
        retry_due_ms: Some(number * 200),
        ..Queue::default()
    };
    found("stranded", &under(looks(0..60, retry), Vec::new()));
    let ready = |_| Queue {
        unready: vec!["t".to_owned()],
        ..Queue::default()
    };
    found("stranded", &under(looks(0..60, ready), Vec::new()));
}

#[test]
fn an_outage_excuses_a_strand_only_while_it_lasts() {
    let hole = |until| vec![fault(Kind::Hole, 4_000, until, None)];
    assert_eq!(rules(&under(looks(0..60, waiting), hole(6_000))), [""; 0]);
    found("stranded", &under(looks(0..100, waiting), hole(6_000)));
    let old_lease = |_| Queue {
        lease_over_ms: Some(60_000),
        ..Queue::default()
    };
    let mut samples = looks(0..30, old_lease);
    samples[0].queue = None;
    assert_eq!(rules(&under(samples, Vec::new())), [""; 0]);
}

#[test]
fn a_run_that_was_hardly_looked_at_is_found() {
    found("blind", &under(Vec::new(), Vec::new()));
    let mut samples = looks(0..60, |_| Queue::default());
    samples[20..]
        .iter_mut()
        .for_each(|sample| sample.queue = None);
    found("blind", &under(samples, Vec::new()));
}

#[test]
fn only_a_freeze_of_all_workers_excuses_a_strand() {
    let freeze = |worker| fault(Kind::Freeze, 0, 20_000, Some(worker));
    found("stranded", &under(looks(0..60, waiting), vec![freeze(0)]));
    let all = vec![freeze(0), freeze(1)];
    assert!(!rules(&under(looks(0..120, waiting), all)).contains(&"stranded"));
}

#[test]
fn a_machine_that_comes_late_itself_is_given_that_time() {
    let mut samples = looks(0..60, waiting);
    samples[30].late_ms = 5_000;
    assert_eq!(rules(&under(samples, Vec::new())), [""; 0]);
}

#[test]
fn a_recovery_counts_from_the_end_of_its_fault_to_the_next_acquire() {
    let samples = looks(0..60, |number| Queue {
        fence: u64::from(number >= 20),
        epoch: number >= 30,
        ..Queue::default()
    });
    let history = under(samples, vec![fault(Kind::Flush, 1_000, 2_000, None)]);
    let back = recoveries(&history)[0];
    assert_eq!((back.acquire_ms, back.whole_ms), (Some(2_000), Some(4_000)));
}
