//! Settling: `shared/src/settle.rs`. May be as slow as can be.

use super::change::Change;
use super::setting::{Broken, Setting};
use super::state::{DELETER, Generation, Id, RETRIER, SWEEP, State, Step};
use super::sweep::Sweep;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Settle {
    Read,
    Envelope(Generation),
    PutManifest(Generation),
    LookAtManifest(Generation),
    RemoveMarker(Generation, Generation),
    /// Deleted meanwhile.
    RemoveOpen(Generation),
    Script(Generation),
}

impl Setting {
    /// The next step of settling.
    pub(crate) fn settle(&self, state: &mut State, at: usize, step: Settle) -> Step {
        let id = state.actors[at].id;
        Step::Settle(match step {
            Settle::Read => match state.redis.jobs[id] {
                Some(record) if record.ended => Settle::Envelope(record.generation),
                _ => return self.settled(at),
            },
            Settle::Envelope(generation) => match state.store.jobs[id].request {
                Some(_) => Settle::PutManifest(generation),
                None => Settle::RemoveOpen(generation),
            },
            Settle::PutManifest(generation) => {
                state.store.jobs[id].manifests |= 1 << generation;
                Settle::LookAtManifest(generation)
            }
            Settle::LookAtManifest(generation) if state.is_dead(self, id) => {
                state.store.jobs[id].manifests &= !(1 << generation);
                Settle::RemoveOpen(generation)
            }
            Settle::LookAtManifest(generation) => match state.store.jobs[id].newest() {
                None => Settle::RemoveOpen(generation),
                Some(newest) => {
                    state.adopt(id, newest);
                    Settle::RemoveMarker(generation, newest)
                }
            },
            Settle::RemoveMarker(generation, newest) => {
                state.store.jobs[id].remove_marker(self, generation);
                Settle::Script(newest)
            }
            Settle::RemoveOpen(generation) => {
                state.store.jobs[id].remove_marker(self, generation);
                Settle::Script(generation)
            }
            Settle::Script(generation) => {
                if let Some(record) = &mut state.redis.jobs[id]
                    && record.ended
                    && record.generation == generation
                {
                    record.in_outbox = false;
                }
                return self.settled(at);
            }
        })
    }

    fn settled(&self, at: usize) -> Step {
        match at {
            DELETER => Step::Change(Change::Delete),
            RETRIER => Step::Change(Change::Retry),
            SWEEP if self.breaks(Broken::MarkerUnsettled) => Step::Sweep(Sweep::RemoveOpen),
            _ => Step::Over,
        }
    }
}

impl State {
    /// Redis is told of an end on record, unless it knows that or a later generation.
    pub(crate) fn adopt(&mut self, id: Id, generation: Generation) {
        let Some(record) = &mut self.redis.jobs[id] else {
            return;
        };
        let known = record.generation == generation && record.ended;
        if record.generation <= generation && !known {
            (record.generation, record.ended, record.in_outbox) = (generation, true, true);
        }
    }
}
