//! What the protocol promises, and under which faults.

use crate::check::holds;
use crate::setting::{Left, Setting};

/// With the sweep, which faults need.
fn under(left: Left) -> Setting {
    Setting {
        sweep: true,
        left,
        ..Setting::default()
    }
}

#[test]
fn without_faults_three_jobs_end_and_nobody_sweeps() {
    let setting = Setting {
        jobs: 3,
        ..Setting::default()
    };
    holds(setting, 20_000);
}

#[test]
fn without_faults_two_slots_are_used_and_never_three() {
    let two_slots = Setting {
        jobs: 3,
        slots: 2,
        cap: 2,
        ..Setting::default()
    };
    holds(two_slots.clone(), 30_000);
    let two_tenants = Setting {
        tenant: [0, 0, 1],
        cap: 1,
        ..two_slots
    };
    holds(two_tenants, 30_000);
}

#[test]
fn failures_and_delays_need_no_sweep() {
    let left = Left {
        failures: 1,
        give_backs: 1,
        ..Left::default()
    };
    let setting = Setting {
        left,
        ..Setting::default()
    };
    holds(setting, 50_000);
}

#[test]
fn cancelling_and_doubled_bells_need_no_sweep() {
    let left = Left {
        cancels: 1,
        doubled_bells: 1,
        ..Left::default()
    };
    let setting = Setting {
        left,
        ..Setting::default()
    };
    holds(setting, 30_000);
}

#[test]
fn the_sweep_makes_good_for_bells_workers_and_requests_that_are_lost() {
    let left = Left {
        lost_bells: 1,
        doubled_bells: 1,
        dead_workers: 1,
        dead_requests: 1,
        ..Left::default()
    };
    holds(under(left), 250_000);
}

#[test]
fn the_sweep_makes_good_for_losses_with_two_slots() {
    let left = Left {
        lost_bells: 1,
        dead_workers: 1,
        ..Left::default()
    };
    let setting = Setting {
        slots: 2,
        cap: 2,
        ..under(left)
    };
    holds(setting, 150_000);
}

#[test]
fn a_slow_worker_and_a_dead_one_spoil_nothing() {
    let left = Left {
        dead_workers: 1,
        slow_workers: 1,
        ..Left::default()
    };
    holds(under(left), 350_000);
}

#[test]
fn a_slow_worker_needs_no_sweep() {
    let left = Left {
        slow_workers: 1,
        ..Left::default()
    };
    let setting = Setting {
        left,
        ..Setting::default()
    };
    holds(setting, 5_000);
}

#[test]
fn three_jobs_survive_a_lost_bell() {
    let left = Left {
        lost_bells: 1,
        ..Left::default()
    };
    let setting = Setting {
        jobs: 3,
        ..under(left)
    };
    holds(setting, 100_000);
}

#[test]
fn a_job_that_kills_its_workers_fails_in_the_end() {
    let left = Left {
        dead_workers: 2,
        slow_workers: 1,
        ..Left::default()
    };
    let setting = Setting {
        jobs: 1,
        ..under(left)
    };
    holds(setting, 20_000);
}

#[test]
fn a_redis_that_is_rolled_back_forgets_no_job() {
    let left = Left {
        rollbacks: 1,
        ..Left::default()
    };
    holds(under(left), 600_000);
}

#[test]
fn a_redis_that_is_rolled_back_runs_no_ended_job_again() {
    let left = Left {
        rollbacks: 1,
        failures: 2,
        dead_requests: 1,
        ..Left::default()
    };
    let setting = Setting {
        jobs: 1,
        ..under(left)
    };
    holds(setting, 70_000);
}

#[test]
fn an_emptied_redis_is_filled_again_from_the_store() {
    let left = Left {
        emptyings: 1,
        ..Left::default()
    };
    let setting = Setting {
        forgets: true,
        ..under(left)
    };
    holds(setting, 500_000);
}

#[test]
fn an_emptied_redis_and_lost_workers_spoil_nothing() {
    let left = Left {
        emptyings: 1,
        dead_workers: 1,
        slow_workers: 1,
        lost_bells: 1,
        ..Left::default()
    };
    let setting = Setting {
        jobs: 1,
        forgets: true,
        ..under(left)
    };
    holds(setting, 300_000);
}

#[test]
fn one_job_survives_everything_that_can_be_lost() {
    let left = Left {
        lost_bells: 1,
        dead_workers: 1,
        slow_workers: 1,
        dead_requests: 1,
        rollbacks: 1,
        ..Left::default()
    };
    let setting = Setting {
        jobs: 1,
        max_attempts: 3,
        ..under(left)
    };
    holds(setting, 500_000);
}
