//! Finding a job, and putting back one that Redis has forgotten: `find`, `known` and `ensure` of
//! `shared/src/lookup.rs`.

use super::change::{Change, Removal, Then};
use super::setting::{Broken, Setting};
use super::settle::Settle;
use super::state::{
    DELETER, GENERATIONS, Generation, REQUESTS, RETRIER, Record, SWEEP, State, Step,
};
use super::submit::{Submit, accepted};
use super::sweep::Sweep;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Find {
    Read,
    Envelope(Record),
    /// An end that only Redis knows of is put on record before it is shown.
    Record(Generation),
    LookAtRecord(Generation),
    Glance,
    IsDead,
    Newest,
    Marker(Option<Generation>),
    OldMarker(Generation),
    RemoveOld(Generation),
    /// Of this unfinished generation, with its marker or without.
    Request(Generation, bool),
    RemoveMarker(Generation),
    PutMarker,
    LookAtMarker,
    Restore(Generation),
    ReadAgain,
}

impl Setting {
    /// The next step of somebody who looks for a job.
    pub(crate) fn find(&self, state: &mut State, at: usize, step: Find) -> Step {
        let id = state.actors[at].id;
        match step {
            Find::Read | Find::ReadAgain => match state.redis.jobs[id] {
                Some(record) => Step::Find(Find::Envelope(record)),
                None if step == Find::ReadAgain => gone(at),
                None if at < REQUESTS => Step::Submit(Submit::ReadFirst),
                None => Step::Find(Find::Glance),
            },
            Find::Envelope(record) => match state.store.jobs[id].request {
                None => gone(at),
                Some(_) if record.in_outbox && !self.breaks(Broken::RetryUnsettled) => {
                    Step::Find(Find::Record(record.generation))
                }
                Some(_) => self.found(state, at, record.generation, record.ended),
            },
            Find::Record(generation) => {
                state.store.jobs[id].manifests |= 1 << generation;
                Step::Find(Find::LookAtRecord(generation))
            }
            Find::LookAtRecord(generation) => {
                let objects = &mut state.store.jobs[id];
                if state.store.stones[id] && !self.breaks(Broken::NoLook) {
                    objects.manifests &= !(1 << generation);
                    return gone(at);
                }
                match objects.newest() {
                    None => gone(at),
                    Some(newest) => {
                        state.adopt(id, newest);
                        self.found(state, at, newest, true)
                    }
                }
            }
            _ => self.ensure(state, at, step),
        }
    }

    fn ensure(&self, state: &mut State, at: usize, step: Find) -> Step {
        let id = state.actors[at].id;
        let objects = &mut state.store.jobs[id];
        Step::Find(match step {
            Find::Glance if state.redis.jobs[id].is_some() => return live(at),
            Find::Glance => Find::IsDead,
            Find::IsDead if state.store.stones[id] => return gone(at),
            Find::IsDead => Find::Newest,
            Find::Newest => Find::Marker(objects.newest()),
            Find::Marker(newest) => {
                let unfinished = newest.map_or(0, |newest| newest + 1);
                match (newest, objects.marker(unfinished)) {
                    (Some(newest), false) => Find::OldMarker(newest),
                    (_, marked) => Find::Request(unfinished, marked),
                }
            }
            Find::OldMarker(newest) if objects.marker(newest) => Find::RemoveOld(newest),
            Find::OldMarker(newest) => return self.found(state, at, newest, true),
            Find::RemoveOld(newest) => {
                objects.remove_marker(self, newest);
                return self.found(state, at, newest, true);
            }
            Find::Request(generation, marked) => match (objects.request, marked) {
                (None, true) => Find::RemoveMarker(generation),
                (None, false) => return gone(at),
                (Some(_), true) => Find::Restore(generation),
                (Some(_), false) => Find::PutMarker,
            },
            Find::RemoveMarker(generation) => {
                objects.remove_marker(self, generation);
                return gone(at);
            }
            Find::PutMarker => {
                objects.put_marker(0);
                state.actors[at].marked = true;
                Find::LookAtMarker
            }
            Find::LookAtMarker if state.is_dead(self, id) => {
                state.store.jobs[id].remove_marker(self, 0);
                return gone(at);
            }
            Find::LookAtMarker => Find::Restore(0),
            Find::Restore(_) if state.redis.jobs[id].is_some() => return live(at),
            Find::Restore(_) if state.redis.facts[id] => {
                return Step::Remove(Removal::Stone, Then::Gone);
            }
            Find::Restore(generation) => {
                state.redis.jobs[id] = Some(Record::live(generation));
                return live(at);
            }
            _ => return Step::Over,
        })
    }

    /// It is so far: what somebody wanted to know.
    fn found(&self, state: &mut State, at: usize, generation: Generation, ended: bool) -> Step {
        match at {
            _ if at < REQUESTS => accepted(state, at),
            DELETER if ended => {
                state.actors[at].generation = generation;
                Step::Settle(Settle::Read)
            }
            RETRIER if ended && generation + 1 < GENERATIONS => {
                state.actors[at].generation = generation + 1;
                if self.breaks(Broken::RetryUnsettled) {
                    return Step::Change(Change::Retry);
                }
                Step::Settle(Settle::Read)
            }
            SWEEP if state.actors[at].generation < generation => {
                let stays = self.breaks(Broken::OldMarkerStays);
                if stays {
                    Step::Over
                } else {
                    Step::Sweep(Sweep::RemoveOpen)
                }
            }
            _ => Step::Over,
        }
    }
}

fn live(at: usize) -> Step {
    if at == SWEEP {
        Step::Over
    } else {
        Step::Find(Find::ReadAgain)
    }
}

/// There is no such job.
pub(crate) fn gone(at: usize) -> Step {
    match at {
        _ if at < REQUESTS => Step::Submit(Submit::PutRequest),
        SWEEP => Step::Sweep(Sweep::RemoveOpen),
        _ => Step::Over,
    }
}
