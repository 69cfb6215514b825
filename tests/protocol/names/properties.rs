//! What must always hold, and what must happen now and then for a model to be worth its run.

use stateright::Property;

use super::setting::Setting;
use super::state::{Claim, Generation, IDS, Id, Name, SWEEP, State, Step};

pub(crate) const KEPT: &str = "what is accepted is kept";
pub(crate) const REFUSED: &str = "what is refused is not live";
pub(crate) const DELETED: &str = "what is deleted is not there";
pub(crate) const ONE_JOB: &str = "a key names one job";
pub(crate) const ONE_BODY: &str = "an id has one body";
pub(crate) const RETRIED: &str = "an accepted retry is kept";
pub(crate) const NO_GAP: &str = "the numbers of the manifests have no gap";
pub(crate) const CLEAN: &str = "at rest all is ended or gone";

/// Steps in which a helpful schedule must bring all to rest.
const HELPED: usize = 400;

/// All that is checked of a setting.
pub(crate) fn of(setting: &Setting) -> Vec<Property<Setting>> {
    let mut all = vec![
        Property::always(KEPT, |_, s: &State| ids().all(|id| is_kept(s, id))),
        Property::always(REFUSED, |m, s: &State| {
            ids().all(|id| !s.history.refused[id] || is_gone(m, s, id))
        }),
        Property::always(DELETED, |m, s: &State| {
            ids().all(|id| !s.history.deleted[id] || is_gone(m, s, id))
        }),
        Property::always(ONE_JOB, |_, s: &State| {
            let stands = |id: &Id| s.history.accepted[*id] && !s.history.stoned[*id];
            ids().filter(stands).count() <= 1
        }),
        Property::always(ONE_BODY, |_, s: &State| !s.history.two_bodies),
        Property::always(RETRIED, |_, s: &State| {
            ids().all(|id| is_buried(s, id) || shown(s, id) >= Some(s.history.retried[id]))
        }),
        Property::always(NO_GAP, |_, s: &State| {
            let manifests = |id: Id| s.store.jobs[id].manifests;
            let gapless = |id| manifests(id) & (manifests(id) + 1) == 0;
            ids().all(|id| s.history.stoned[id] || gapless(id))
        }),
        Property::always(CLEAN, comes_to_rest),
    ];
    all.extend(seen(setting));
    all
}

fn ids() -> std::ops::Range<Id> {
    0..IDS
}

/// Its owner had it deleted, and Redis agreed.
fn is_buried(state: &State, id: Id) -> bool {
    state.history.condemned[id] && state.history.stoned[id]
}

/// The store has the request, and Redis the job, or the store a marker or a manifest.
fn is_kept(state: &State, id: Id) -> bool {
    let objects = state.store.jobs[id];
    let found = state.redis.jobs[id].is_some() || objects.is_open() || objects.manifests != 0;
    !state.history.accepted[id] || is_buried(state, id) || objects.request.is_some() && found
}

/// Nobody finds the job, and nothing can be run of it. A Redis that was emptied may have an empty
/// shell of it for a while, and who was under way at its death may fill that for a moment.
fn is_gone(setting: &Setting, state: &State, id: Id) -> bool {
    let objects = state.store.jobs[id];
    match state.redis.jobs[id] {
        Some(_) => {
            let at_its_death = state.history.since_stone[id] != 0;
            setting.left.emptyings > 0 && (objects.request.is_none() || at_its_death)
        }
        None => state.store.stones[id] || objects.request.is_none() && objects.manifests == 0,
    }
}

/// The generation that a caller is shown.
fn shown(state: &State, id: Id) -> Option<Generation> {
    let objects = state.store.jobs[id];
    let next = objects.newest().map_or(0, |newest| newest + 1);
    let record = state.redis.jobs[id].map(|record| record.generation);
    record
        .or_else(|| {
            if objects.marker(next) {
                Some(next)
            } else {
                objects.newest()
            }
        })
        // A job that nobody retried may as well be known by its request.
        .or(Some(0))
}

/// If nothing more goes wrong and everybody gets a turn, all comes to rest, and that is as it
/// should be.
///
/// It is asked where nobody is under way: everybody gets there, because no step waits for another
/// one.
fn comes_to_rest(setting: &Setting, state: &State) -> bool {
    if state.active() != 0 {
        return true;
    }
    let mut state = state.clone();
    for _ in 0..HELPED {
        match setting.helped(&state) {
            Some(next) => state = next,
            None => return ids().all(|id| is_clean(&state, id)),
        }
    }
    false
}

/// It has ended on record, or nothing of it is left; its tombstone stays while a later job has the
/// key by way of it.
fn is_clean(state: &State, id: Id) -> bool {
    let (store, objects) = (state.store, state.store.jobs[id]);
    let gone = objects.is_nothing();
    let followed = matches!(store.claim(Name::After(id)), Some(Claim::Job(..)));
    let settled = state.redis.jobs[id].is_none_or(|record| record.ended && !record.in_outbox);
    let accepted = state.history.accepted[id] && !is_buried(state, id);
    let ended = objects.request.is_some() && objects.manifests != 0;
    !objects.is_open()
        && settled
        && (!store.stones[id] || followed)
        && (!state.history.stoned[id] || gone)
        && (!state.history.refused[id] || gone)
        && (!accepted || ended)
}

type Condition = fn(&Setting, &State) -> bool;

/// Each thing that may happen does happen.
fn seen(setting: &Setting) -> impl Iterator<Item = Property<Setting>> {
    let (left, twins) = (setting.left, setting.bodies.len() > 1);
    let may_die = left.deletes > 0 || left.refusals > 0;
    let all: [(bool, &'static str, Condition); 9] = [
        (true, "a submission is accepted", |_, s| {
            s.history.accepted[0]
        }),
        (left.refusals > 0, "an id is refused", |_, s| {
            s.history.refused[0]
        }),
        (left.deletes > 0, "a job is deleted", |_, s| {
            s.history.deleted[0]
        }),
        (left.retries > 0, "a retry is accepted", |_, s| {
            s.history.retried[0] > 0
        }),
        (
            twins && left.deaths > 0,
            "a twin goes on where another one died",
            |_, s| {
                s.actors[0].step == Step::Over
                    && s.store.jobs[0].request.is_some_and(|(_, by)| by == 1)
            },
        ),
        (
            twins && may_die,
            "a key is claimed behind a dead job",
            |_, s| {
                s.history.accepted[1]
                    && matches!(s.store.claim(Name::After(0)), Some(Claim::Job(1, _)))
            },
        ),
        (
            twins && may_die,
            "a key that was freed is claimed anew",
            |_, s| {
                s.history.accepted[1]
                    && matches!(s.store.claim(Name::First), Some(Claim::Job(1, _)))
            },
        ),
        (
            left.uploads > 0 && left.deletes > 0,
            "an upload comes after the delete",
            |_, s| s.history.deleted[0] && s.store.jobs[0].upload,
        ),
        (
            left.emptyings > 0 && left.retries > 0,
            "the sweep does a retry again",
            |m, s| {
                let retried = s.redis.jobs[0].is_some_and(|r| r.generation > 0 && !r.ended);
                retried
                    && s.left.emptyings < m.left.emptyings
                    && matches!(s.actors[SWEEP].step, Step::Over)
            },
        ),
    ];
    let all = all.into_iter().filter(|(applies, ..)| *applies);
    all.map(|(_, name, condition)| Property::sometimes(name, condition))
}
