//! Each rule is needed: the same setting holds with it, and is broken without it.

use super::properties::{CLEAN, DELETED, KEPT, NO_GAP, ONE_BODY, ONE_JOB, REFUSED, RETRIED};
use super::setting::{Broken, Left, Setting};
use super::state::Body::{self, Rain, Sun};
use crate::check::{breaks, holds};

fn needs(rule: Broken, setting: Setting, property: &'static str) {
    holds(setting.clone(), 1);
    let broken = Some(rule);
    breaks(Setting { broken, ..setting }, property);
}

/// With a sweep that waits until all else is over.
pub(crate) fn quiet(bodies: &'static [Body], left: Left) -> Setting {
    Setting {
        settler: false,
        sweep: false,
        ..Setting::of(bodies, left)
    }
}

#[test]
fn without_the_fact_a_refused_job_is_brought_in_by_a_twin() {
    let left = Left {
        refusals: 1,
        ..Left::default()
    };
    let setting = quiet(&[Rain, Rain], left);
    needs(Broken::NoFact, setting.clone(), REFUSED);
    needs(Broken::NoFact, setting, KEPT);
}

#[test]
fn the_refusal_of_a_repeat_must_not_kill() {
    let left = Left {
        refusals: 1,
        emptyings: 1,
        ..Left::default()
    };
    needs(Broken::TwinKills, quiet(&[Rain, Rain], left), KEPT);
}

#[test]
fn without_a_look_for_the_tombstone_a_deleted_job_comes_back() {
    let left = Left {
        deletes: 1,
        emptyings: 1,
        ..Left::default()
    };
    needs(Broken::NoLook, quiet(&[Rain, Rain], left), DELETED);
}

#[test]
fn without_a_second_look_a_twin_is_answered_with_a_dead_id() {
    let left = Left {
        refusals: 1,
        emptyings: 1,
        ..Left::default()
    };
    needs(Broken::NoSecondLook, quiet(&[Rain, Rain], left), KEPT);
}

fn changed(deaths: u8) -> Setting {
    let left = Left {
        deletes: 1,
        retries: 1,
        deaths,
        ..Left::default()
    };
    quiet(&[Rain], left)
}

#[test]
fn a_delete_that_does_not_ask_redis_first_loses_a_retry() {
    needs(Broken::DeleteUnasked, changed(0), KEPT);
}

#[test]
fn a_delete_whose_tombstone_comes_last_may_leave_half_a_job() {
    needs(Broken::StoneLast, changed(1), KEPT);
}

#[test]
fn with_one_marker_for_all_generations_a_slow_settling_removes_that_of_a_retry() {
    let left = Left {
        retries: 1,
        emptyings: 1,
        ..Left::default()
    };
    let setting = Setting {
        settler: true,
        ..quiet(&[Rain], left)
    };
    needs(Broken::OneMarker, setting, RETRIED);
}

#[test]
fn a_retry_of_an_end_that_is_not_on_record_leaves_a_gap() {
    needs(Broken::RetryUnsettled, changed(0), NO_GAP);
}

/// The sweep frees the key of a dead job while two more submissions come.
pub(crate) fn reused() -> Setting {
    let left = Left {
        deletes: 1,
        broken_rounds: 1,
        ..Left::default()
    };
    Setting {
        settler: false,
        after_delete: true,
        ..Setting::of(&[Rain, Rain, Rain], left)
    }
}

#[test]
fn a_claim_that_is_replaced_in_place_gives_a_key_two_jobs() {
    let broken = Some(Broken::ClaimInPlace);
    breaks(Setting { broken, ..reused() }, ONE_JOB);
}

#[test]
fn a_key_that_is_freed_without_a_seal_names_two_jobs() {
    let broken = Some(Broken::NoSeal);
    breaks(Setting { broken, ..reused() }, ONE_JOB);
}

#[test]
fn a_sweep_that_removes_the_claim_again_gives_a_key_two_jobs() {
    let broken = Some(Broken::ClaimOfOthers);
    breaks(Setting { broken, ..reused() }, ONE_JOB);
}

#[test]
fn a_seal_is_old_only_if_the_claim_went_with_it() {
    let broken = Some(Broken::OldSeal);
    breaks(Setting { broken, ..reused() }, ONE_JOB);
}

#[test]
fn a_marker_that_goes_without_a_manifest_loses_the_job() {
    let left = Left {
        emptyings: 1,
        ..Left::default()
    };
    let setting = Setting {
        sweep: true,
        ..quiet(&[Rain], left)
    };
    needs(Broken::MarkerUnsettled, setting.clone(), KEPT);
    needs(Broken::MarkerUnsettled, setting, CLEAN);
}

#[test]
fn a_marker_of_an_older_generation_must_not_stay() {
    let left = Left {
        retries: 2,
        emptyings: 1,
        retentions: 1,
        ..Left::default()
    };
    needs(Broken::OldMarkerStays, quiet(&[Rain], left), CLEAN);
}

#[test]
fn an_id_that_follows_from_the_key_comes_to_have_two_bodies() {
    let left = Left {
        deletes: 1,
        ..Left::default()
    };
    needs(Broken::DerivedId, quiet(&[Rain, Sun], left), ONE_BODY);
}

/// The fact that a refusal leaves is as lasting as Redis, until its tombstone follows it.
#[test]
fn a_fact_that_is_lost_before_its_tombstone_is_none() {
    let none = Left {
        emptyings: 1,
        ..Left::default()
    };
    let refused = Left {
        refusals: 1,
        ..none
    };
    let unreachable = Left {
        failures: 1,
        ..none
    };
    for left in [refused, unreachable] {
        let setting = quiet(&[Rain, Rain], left);
        let emptied_anywhere = true;
        holds(setting.clone(), 1_000);
        breaks(
            Setting {
                emptied_anywhere,
                ..setting
            },
            KEPT,
        );
    }
}
