//! Each rule is needed: the same setting holds with it, and is broken without it.

use crate::check::{breaks, holds};
use crate::setting::{Broken, Left, Setting};

const STALE_WRITE: &str = "no stale write is accepted";
const STRANDED: &str = "nothing is stranded at rest";
const HELPLESS: &str = "help always ends it all";
const UNAWAITED: &str = "who may run is awaited";
const FORGOTTEN: &str = "nothing accepted is forgotten";
const CHANGED: &str = "a manifest is final";

fn needs(rule: Broken, setting: Setting, property: &'static str) {
    holds(setting.clone(), 1);
    let broken = Some(rule);
    breaks(Setting { broken, ..setting }, property);
}

/// One job, with the sweep.
fn alone(left: Left) -> Setting {
    Setting {
        jobs: 1,
        sweep: true,
        left,
        ..Setting::default()
    }
}

#[test]
fn without_the_baton_rule_a_job_is_stranded() {
    // The job that fails for good frees the slot for the other one.
    let setting = Setting {
        max_attempts: 1,
        left: Left {
            failures: 1,
            ..Left::default()
        },
        ..Setting::default()
    };
    for property in [STRANDED, HELPLESS, UNAWAITED] {
        needs(Broken::Baton, setting.clone(), property);
    }
}

#[test]
fn a_bell_before_the_commit_strands_the_job() {
    needs(Broken::CommitFirst, Setting::default(), STRANDED);
}

#[test]
fn without_the_bell_that_a_commit_owes_a_job_is_stranded() {
    needs(Broken::Debt, Setting::default(), STRANDED);
}

#[test]
fn a_counter_is_no_fence_in_a_redis_that_is_rolled_back() {
    let left = Left {
        rollbacks: 1,
        ..Left::default()
    };
    needs(Broken::Nonce, alone(left), STALE_WRITE);
}

#[test]
fn without_a_fence_a_slow_worker_writes_into_anothers_job() {
    let left = Left {
        slow_workers: 1,
        ..Left::default()
    };
    needs(Broken::Fence, alone(left), STALE_WRITE);
}

#[test]
fn without_a_look_at_the_cap_it_is_exceeded() {
    let setting = Setting {
        jobs: 3,
        tenant: [0, 0, 1],
        slots: 2,
        ..Setting::default()
    };
    needs(Broken::Cap, setting, "caps and slots hold");
}

#[test]
fn without_a_look_at_the_end_a_completed_job_is_cancelled() {
    let left = Left {
        cancels: 1,
        ..Left::default()
    };
    let setting = Setting {
        sweep: false,
        ..alone(left)
    };
    needs(Broken::Terminal, setting, "an end is final");
}

#[test]
fn without_a_look_for_the_manifest_an_ended_job_ends_otherwise() {
    let left = Left {
        rollbacks: 1,
        failures: 1,
        ..Left::default()
    };
    // Two rules guard an end; the other one is out here.
    let setting = Setting {
        max_attempts: 1,
        first_manifest_stays: false,
        ..alone(left)
    };
    needs(Broken::Look, setting, CHANGED);
}

#[test]
fn a_marker_removed_before_the_manifest_is_written_can_lose_the_job() {
    let left = Left {
        emptyings: 1,
        dead_workers: 1,
        ..Left::default()
    };
    needs(Broken::ManifestFirst, alone(left), FORGOTTEN);
    needs(Broken::ManifestFirst, alone(left), STRANDED);
}

#[test]
fn without_the_sweep_every_loss_strands_a_job() {
    let none = Left::default();
    let faults = [
        Left {
            lost_bells: 1,
            ..none
        },
        Left {
            dead_requests: 1,
            ..none
        },
        Left {
            dead_workers: 1,
            ..none
        },
        Left {
            rollbacks: 1,
            ..none
        },
        Left {
            emptyings: 1,
            ..none
        },
    ];
    for left in faults {
        holds(alone(left), 100);
        let sweep = false;
        breaks(
            Setting {
                sweep,
                ..alone(left)
            },
            STRANDED,
        );
    }
}

/// Else, after a loss, it would write over the manifest of an end that Redis has forgotten.
#[test]
fn an_end_that_redis_forgot_is_only_final_if_the_first_manifest_stays() {
    let cancelled = Left {
        rollbacks: 1,
        cancels: 1,
        ..Left::default()
    };
    let worn_out = Left {
        rollbacks: 1,
        dead_workers: 2,
        ..Left::default()
    };
    for left in [cancelled, worn_out] {
        let stays = alone(left);
        holds(stays.clone(), 10_000);
        let first_manifest_stays = false;
        breaks(
            Setting {
                first_manifest_stays,
                ..stays
            },
            CHANGED,
        );
    }
}
