//! What the life of names promises, and under which faults.

use super::mutants::{quiet, reused};
use super::setting::{Left, Setting};
use super::state::Body::{Rain, Sun};
use crate::check::holds;

#[test]
fn of_twins_at_the_limit_one_id_is_answered() {
    let left = Left {
        refusals: 2,
        deaths: 1,
        ..Left::default()
    };
    holds(Setting::of(&[Rain, Rain], left), 50_000);
}

#[test]
fn of_three_submissions_one_with_another_body_one_id_is_answered() {
    let left = Left {
        refusals: 1,
        ..Left::default()
    };
    let setting = Setting {
        settler: false,
        sweep: false,
        ..Setting::of(&[Rain, Rain, Sun], left)
    };
    holds(setting, 20_000);
}

#[test]
fn a_redis_that_is_emptied_loses_no_submission() {
    let left = Left {
        refusals: 1,
        failures: 1,
        emptyings: 1,
        ..Left::default()
    };
    let setting = Setting {
        settler: false,
        ..Setting::of(&[Rain, Rain], left)
    };
    holds(setting, 50_000);
}

#[test]
fn a_deleted_job_is_gone_whatever_comes_late() {
    let left = Left {
        deletes: 2,
        deaths: 1,
        plans: 1,
        uploads: 1,
        ..Left::default()
    };
    holds(Setting::of(&[Rain], left), 100_000);
}

#[test]
fn a_key_is_used_again_after_a_delete() {
    let left = Left {
        deletes: 2,
        ..Left::default()
    };
    holds(quiet(&[Rain, Sun, Rain], left), 300_000);
}

#[test]
fn a_key_is_used_again_while_the_sweep_frees_it() {
    holds(reused(), 150_000);
}

#[test]
fn of_a_delete_and_a_retry_no_accepted_one_is_lost() {
    let left = Left {
        deletes: 1,
        retries: 1,
        refusals: 1,
        ..Left::default()
    };
    let setting = Setting {
        settler: true,
        ..quiet(&[Rain], left)
    };
    holds(setting, 80_000);
}

#[test]
fn a_retry_outlives_an_emptied_redis() {
    let left = Left {
        retries: 1,
        emptyings: 1,
        deaths: 1,
        ..Left::default()
    };
    let setting = Setting {
        settler: true,
        ..quiet(&[Rain], left)
    };
    holds(setting, 30_000);
}

#[test]
fn a_delete_and_a_retry_outlive_an_emptied_redis() {
    let left = Left {
        deletes: 1,
        retries: 1,
        emptyings: 1,
        ..Left::default()
    };
    holds(quiet(&[Rain], left), 250_000);
}

#[test]
fn a_repeat_and_a_delete_outlive_an_emptied_redis() {
    let left = Left {
        deletes: 1,
        emptyings: 1,
        ..Left::default()
    };
    holds(quiet(&[Rain, Rain], left), 150_000);
}
