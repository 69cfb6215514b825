//! Delete, retry, a worker's late plan, and the removal of what is dead: `shared/src/change.rs`,
//! `forget` of `lookup.rs`.

use super::action::Choice;
use super::find::gone;
use super::setting::{Broken, Setting};
use super::state::{Record, State, Step};
use super::submit::again;
use super::sweep::Sweep;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Delete,
    Retry,
    /// Redis does not know the job.
    RetryForgotten,
    PutMarker,
    LookAtMarker,
    PutPlan,
    LookAtPlan,
}

/// How a dead job goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Removal {
    Stone,
    Marker,
    Request,
    Rest,
}

/// And what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Then {
    /// A submission looks for another id.
    TryAgain,
    /// A submission is answered with a refusal.
    Refused,
    /// Who looked for the job learns that there is none.
    Gone,
    /// 204.
    Deleted,
    /// The sweep frees the key.
    Freed,
}

impl Setting {
    /// The next step of somebody who deletes, retries or plans.
    pub(crate) fn change(
        &self,
        state: &mut State,
        at: usize,
        step: Change,
        choice: Choice,
    ) -> Option<Step> {
        let (id, generation) = (state.actors[at].id, state.actors[at].generation);
        let record = state.redis.jobs[id];
        Some(match step {
            Change::Delete if self.breaks(Broken::DeleteUnasked) && !state.history.stoned[id] => {
                Step::Remove(Removal::Stone, Then::Deleted)
            }
            Change::Delete if record.is_some_and(|record| !record.ended) => Step::Over,
            Change::Delete => {
                state.redis.jobs[id] = None;
                state.redis.facts[id] = true;
                state.history.condemned[id] = true;
                if self.breaks(Broken::DeleteUnasked) {
                    state.history.deleted[id] = true;
                    return Some(Step::Over);
                }
                let stone_last = self.breaks(Broken::StoneLast);
                let first = if stone_last {
                    Removal::Marker
                } else {
                    Removal::Stone
                };
                Step::Remove(first, Then::Deleted)
            }
            Change::Retry => match record {
                None => Step::Change(Change::RetryForgotten),
                Some(record) if record.generation >= generation => Step::Change(Change::PutMarker),
                Some(record) if !record.ended => Step::Over,
                Some(_) => return self.retried(state, at, choice),
            },
            Change::RetryForgotten if record.is_some() || state.redis.facts[id] => Step::Over,
            Change::RetryForgotten => return self.retried(state, at, choice),
            Change::PutMarker => {
                state.store.jobs[id].put_marker(generation);
                state.actors[at].marked = true;
                Step::Change(Change::LookAtMarker)
            }
            Change::LookAtMarker => {
                if state.is_dead(self, id) {
                    state.store.jobs[id].remove_marker(self, generation);
                } else {
                    let retried = &mut state.history.retried[id];
                    *retried = generation.max(*retried);
                }
                Step::Over
            }
            Change::PutPlan => {
                state.store.jobs[id].plan = true;
                Step::Change(Change::LookAtPlan)
            }
            Change::LookAtPlan => {
                state.store.jobs[id].plan &= !state.is_dead(self, id);
                Step::Over
            }
        })
    }

    fn retried(&self, state: &mut State, at: usize, choice: Choice) -> Option<Step> {
        if choice == Choice::Full {
            self.refuse_by_limit(state, at)?;
            return Some(Step::Over);
        }
        let (id, generation) = (state.actors[at].id, state.actors[at].generation);
        state.redis.jobs[id] = Some(Record::live(generation));
        Some(Step::Change(Change::PutMarker))
    }

    /// The next step of a removal.
    pub(crate) fn remove(&self, state: &mut State, at: usize, step: Removal, then: Then) -> Step {
        let (id, generation) = (state.actors[at].id, state.actors[at].generation);
        let stone_last = then == Then::Deleted && self.breaks(Broken::StoneLast);
        let next = match step {
            Removal::Stone => {
                state.put_stone(id);
                match then {
                    Then::Deleted if !stone_last => Some(Removal::Marker),
                    Then::Deleted => None,
                    _ => Some(Removal::Request),
                }
            }
            // Of a delete, the generation that it found; of what was refused, the first one, which
            // is all there is.
            Removal::Marker => {
                let own = if then == Then::Deleted { generation } else { 0 };
                state.store.jobs[id].remove_marker(self, own);
                (then == Then::Deleted).then_some(Removal::Request)
            }
            Removal::Request => {
                state.store.jobs[id].request = None;
                Some(Removal::Rest)
            }
            Removal::Rest => {
                state.store.jobs[id].remove_rest();
                match then {
                    Then::Refused | Then::Gone => Some(Removal::Marker),
                    Then::Deleted if stone_last => Some(Removal::Stone),
                    _ => None,
                }
            }
        };
        match (next, then) {
            (Some(next), _) => Step::Remove(next, then),
            (None, Then::TryAgain) => again(state, at),
            (None, Then::Refused) => {
                state.history.refused[id] = true;
                Step::Over
            }
            (None, Then::Gone) => gone(at),
            (None, Then::Deleted) if self.breaks(Broken::DeleteUnasked) => {
                Step::Change(Change::Delete)
            }
            (None, Then::Deleted) => {
                state.history.deleted[id] = true;
                Step::Over
            }
            (None, Then::Freed) => Step::Sweep(Sweep::Seal),
        }
    }
}
