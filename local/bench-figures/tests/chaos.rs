//! The short form of the chaos run: real processes, every kind of fault at least once.

use figures::chaos::{self, Options};

#[tokio::test]
async fn jobs_under_faults_come_to_one_end_each_and_none_is_lost() {
    let options = Options::short(u64::from(fastrand::u32(..)));
    let log = local::root().join(".local/chaos-test.log");
    let outcome = chaos::run(&options, Some(&log)).await.unwrap();
    let figures = chaos::figures(&outcome);
    assert!(
        outcome.violations.is_empty(),
        "seed {}\n{}\n{figures}",
        options.seed,
        chaos::violations(&outcome)
    );
    assert!(
        outcome.history.bells.dropped > 0 && outcome.history.bells.duplicated > 0,
        "{figures}"
    );
    assert!(outcome.history.samples.len() > 100, "{figures}");
}
