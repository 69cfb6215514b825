//! The sweep: it holds a marker against Redis, and buries the dead.
//! `functions/sweep/src/{reconcile,burial}.rs`, `align` of `lookup.rs`.

use super::change::{Removal, Then};
use super::find::Find;
use super::setting::{Broken, Setting};
use super::settle::Settle;
use super::state::{Actor, Claim, Generation, Id, Name, Record, SWEEP, State, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sweep {
    Glance,
    /// With what Redis knew.
    Align(Record),
    RestoreRetry,
    RemoveOpen,
    Seal,
    ReadClaim,
    /// The claim still stands: the seal counts from now.
    SealAgain,
    RemoveClaim,
    Unseal,
    RemoveStone,
}

impl Setting {
    /// The next step of the sweep.
    pub(crate) fn sweeps(&self, state: &mut State, step: Sweep) -> Step {
        let Actor { id, generation, .. } = state.actors[SWEEP];
        Step::Sweep(match step {
            Sweep::Glance => match state.redis.jobs[id] {
                None => return Step::Find(Find::Glance),
                Some(record) if record == Record::live(generation) => return Step::Over,
                Some(record) => Sweep::Align(record),
            },
            Sweep::Align(record) => {
                if !state.store.jobs[id].marker(generation) {
                    return Step::Over;
                }
                match record.generation {
                    known if known < generation => Sweep::RestoreRetry,
                    known if known > generation => Sweep::RemoveOpen,
                    _ => return Step::Settle(Settle::Read),
                }
            }
            Sweep::RestoreRetry => {
                if let Some(record) = &mut state.redis.jobs[id]
                    && record.generation < generation
                    && record.ended
                {
                    *record = Record::live(generation);
                }
                return Step::Over;
            }
            Sweep::RemoveOpen => {
                state.store.jobs[id].remove_marker(self, generation);
                return Step::Over;
            }
            _ => return self.frees(state, id, step),
        })
    }

    fn frees(&self, state: &mut State, id: Id, step: Sweep) -> Step {
        let (name, next) = (state.history.claimed[id], Name::After(id));
        Step::Sweep(match step {
            Sweep::Seal => match state.store.claim(next) {
                _ if self.breaks(Broken::NoSeal) => Sweep::RemoveClaim,
                Some(Claim::Job(..)) => return Step::Over,
                Some(Claim::Sealed) => Sweep::ReadClaim,
                None => {
                    state.store.set_claim(next, Some(Claim::Sealed));
                    state.actors[SWEEP].sealed = true;
                    Sweep::ReadClaim
                }
            },
            Sweep::ReadClaim if self.breaks(Broken::ClaimOfOthers) => Sweep::RemoveClaim,
            Sweep::ReadClaim => match state.store.claim(name) {
                Some(Claim::Job(has, _)) if has == id => {
                    let keeps = state.actors[SWEEP].sealed || self.breaks(Broken::OldSeal);
                    if keeps {
                        Sweep::RemoveClaim
                    } else {
                        Sweep::SealAgain
                    }
                }
                _ if self.is_seal_old(state, id) => Sweep::Unseal,
                _ => return Step::Over,
            },
            Sweep::SealAgain => {
                state.actors[SWEEP].sealed = true;
                Sweep::RemoveClaim
            }
            Sweep::RemoveClaim => {
                state.store.set_claim(name, None);
                if self.breaks(Broken::NoSeal) {
                    Sweep::RemoveStone
                } else if self.is_seal_old(state, id) {
                    Sweep::Unseal
                } else {
                    return Step::Over;
                }
            }
            Sweep::Unseal => {
                state.store.set_claim(next, None);
                Sweep::RemoveStone
            }
            _ => {
                state.store.stones[id] = false;
                return Step::Over;
            }
        })
    }

    /// Who could have seen the claim when it was removed is over.
    fn is_seal_old(&self, state: &State, id: Id) -> bool {
        !state.actors[SWEEP].sealed && state.history.since_seal[id] == 0
    }

    /// Whether the sweep finds this marker, old enough, and has something to do.
    pub(crate) fn reconciles(&self, state: &State, id: Id, generation: Generation) -> bool {
        let on_its_way = |at: usize| {
            let actor = state.actors[at];
            actor.marked && actor.id == id
        };
        !state.is_active(SWEEP)
            && state.store.jobs[id].marker(generation)
            && state.redis.jobs[id] != Some(Record::live(generation))
            && !(0..SWEEP).any(on_its_way)
    }

    /// Whether the sweep finds this tombstone, old enough, and has something to do.
    pub(crate) fn buries(&self, state: &State, id: Id) -> bool {
        if state.is_active(SWEEP) || !state.store.stones[id] || state.history.since_stone[id] != 0 {
            return false;
        }
        let store = state.store;
        !store.jobs[id].is_nothing()
            || match store.claim(Name::After(id)) {
                Some(Claim::Job(..)) => self.breaks(Broken::NoSeal),
                Some(Claim::Sealed) => {
                    let claim = store.claim(state.history.claimed[id]);
                    let stands = matches!(claim, Some(Claim::Job(has, _)) if has == id);
                    stands || state.history.since_seal[id] == 0
                }
                None => true,
            }
    }

    /// The sweep begins to bury. Nothing is uploaded after so long a time.
    pub(crate) fn bury(&self, state: &mut State, id: Id) {
        state.history.buried[id] = true;
        state.begin(SWEEP, id, 0, Step::Remove(Removal::Request, Then::Freed));
    }
}
