//! The state: what Redis and the store have, and how far everybody is.

use super::change::{Change, Removal, Then};
use super::find::Find;
use super::setting::{Broken, Left, Setting};
use super::settle::Settle;
use super::submit::Submit;
use super::sweep::Sweep;

/// Jobs that can come to be under the key.
pub(crate) const IDS: usize = 3;
/// Generations of a job.
pub(crate) const GENERATIONS: Generation = 3;

pub(crate) type Id = usize;
pub(crate) type Generation = u8;

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    Rain,
    Sun,
}

/// The name of a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    #[default]
    First,
    After(Id),
}

/// What a claim says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    Job(Id, Body),
    Sealed,
}

/// A job in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) generation: Generation,
    pub(crate) ended: bool,
    pub(crate) in_outbox: bool,
}

impl Record {
    pub(crate) fn live(generation: Generation) -> Self {
        Self {
            generation,
            ended: false,
            in_outbox: false,
        }
    }
}

/// What Redis has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Redis {
    pub(crate) jobs: [Option<Record>; IDS],
    /// The ids that nothing brings back.
    pub(crate) facts: [bool; IDS],
}

/// What the store has of one job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Objects {
    /// With who stored it.
    pub(crate) request: Option<(Body, usize)>,
    markers: u8,
    pub(crate) manifests: u8,
    pub(crate) plan: bool,
    pub(crate) upload: bool,
}

impl Objects {
    pub(crate) fn marker(self, generation: Generation) -> bool {
        self.markers & 1 << generation != 0
    }

    pub(crate) fn is_open(self) -> bool {
        self.markers != 0
    }

    pub(crate) fn put_marker(&mut self, generation: Generation) {
        self.markers |= 1 << generation;
    }

    pub(crate) fn remove_marker(&mut self, setting: &Setting, generation: Generation) {
        let one = !(1 << generation);
        self.markers &= if setting.breaks(Broken::OneMarker) {
            0
        } else {
            one
        };
    }

    pub(crate) fn newest(self) -> Option<Generation> {
        (0..GENERATIONS)
            .rev()
            .find(|n| self.manifests & 1 << n != 0)
    }

    /// Nothing is there, but perhaps a marker.
    pub(crate) fn is_nothing(self) -> bool {
        let rest = self.manifests != 0 || self.plan || self.upload;
        self.request.is_none() && !rest
    }

    /// All but the request and the markers.
    pub(crate) fn remove_rest(&mut self) {
        (self.manifests, self.plan, self.upload) = (0, false, false);
    }
}

/// What the object store has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    claims: [Option<Claim>; 1 + IDS],
    pub(crate) jobs: [Objects; IDS],
    pub(crate) stones: [bool; IDS],
}

impl Store {
    pub(crate) fn claim(&self, name: Name) -> Option<Claim> {
        self.claims[place(name)]
    }

    pub(crate) fn set_claim(&mut self, name: Name, claim: Option<Claim>) {
        self.claims[place(name)] = claim;
    }
}

fn place(name: Name) -> usize {
    match name {
        Name::First => 0,
        Name::After(id) => 1 + id,
    }
}

/// What somebody does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Not begun.
    New,
    /// Answered, dead, or idle.
    #[default]
    Over,
    Submit(Submit),
    Find(Find),
    Settle(Settle),
    Change(Change),
    Remove(Removal, Then),
    Sweep(Sweep),
}

/// Somebody who takes steps. What is of no use any more is reset, so that equal states are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Actor {
    pub(crate) step: Step,
    pub(crate) id: Id,
    /// Of a deleter: the one that it found; of a retrier: the new one; of the sweep: that of the
    /// marker.
    pub(crate) generation: Generation,
    pub(crate) name: Name,
    pub(crate) may_claim: bool,
    /// It stored the envelope.
    pub(crate) is_first: bool,
    /// It may have written a marker of `id` just now.
    pub(crate) marked: bool,
    /// It has sealed in this round.
    pub(crate) sealed: bool,
}

/// Places of the submissions, then the others.
pub(crate) const REQUESTS: usize = 3;
pub(crate) const DELETER: usize = 3;
pub(crate) const RETRIER: usize = 4;
pub(crate) const SETTLER: usize = 5;
pub(crate) const WORKER: usize = 6;
pub(crate) const SWEEP: usize = 7;
pub(crate) const ACTORS: usize = 8;

/// A set of actors.
pub(crate) type Actors = u8;

/// What was promised and what happened; nobody in the model reads it, but for what a clock would
/// tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    pub(crate) minted: usize,
    /// Where each id was claimed.
    pub(crate) claimed: [Name; IDS],
    pub(crate) body: [Option<Body>; IDS],
    pub(crate) accepted: [bool; IDS],
    pub(crate) refused: [bool; IDS],
    pub(crate) deleted: [bool; IDS],
    /// The highest generation that was answered to a retry.
    pub(crate) retried: [Generation; IDS],
    /// Redis agreed to the delete.
    pub(crate) condemned: [bool; IDS],
    /// It had a tombstone.
    pub(crate) stoned: [bool; IDS],
    /// Stored under one id with two bodies.
    pub(crate) two_bodies: bool,
    /// Who was active when the tombstone was put, and is still.
    pub(crate) since_stone: [Actors; IDS],
    /// The same of the end of the round that put the seal.
    pub(crate) since_seal: [Actors; IDS],
    /// Too late for uploads.
    pub(crate) buried: [bool; IDS],
    /// Who was active when Redis was emptied, and is still.
    pub(crate) startled: Actors,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) redis: Redis,
    pub(crate) store: Store,
    pub(crate) actors: [Actor; ACTORS],
    pub(crate) history: History,
    pub(crate) left: Left,
}

impl State {
    pub(crate) fn new(setting: &Setting) -> Self {
        let mut actors = [Actor::default(); ACTORS];
        for actor in &mut actors[..setting.bodies.len()] {
            actor.step = Step::New;
        }
        Self {
            redis: Redis::default(),
            store: Store::default(),
            actors,
            history: History::default(),
            left: setting.left,
        }
    }

    pub(crate) fn is_active(&self, at: usize) -> bool {
        !matches!(self.actors[at].step, Step::New | Step::Over)
    }

    pub(crate) fn active(&self) -> Actors {
        let active = (0..ACTORS).filter(|at| self.is_active(*at));
        active.fold(0, |all, at| all | 1 << at)
    }

    pub(crate) fn begin(&mut self, at: usize, id: Id, generation: Generation, step: Step) {
        self.actors[at] = Actor {
            step,
            id,
            generation,
            ..Actor::default()
        };
    }

    /// It goes on with this step. Of who is over, all that counts time by it is told.
    pub(crate) fn go_on(&mut self, at: usize, step: Step) {
        self.actors[at].step = step;
        if step != Step::Over {
            return;
        }
        let actor = std::mem::take(&mut self.actors[at]);
        if actor.sealed {
            self.history.since_seal[actor.id] = self.active();
        }
        let history = &mut self.history;
        history.startled &= !(1 << at);
        for since in history
            .since_stone
            .iter_mut()
            .chain(&mut history.since_seal)
        {
            *since &= !(1 << at);
        }
    }

    /// Declares a job dead.
    pub(crate) fn put_stone(&mut self, id: Id) {
        if !std::mem::replace(&mut self.store.stones[id], true) {
            self.history.stoned[id] = true;
            self.history.since_stone[id] = self.active();
        }
    }

    /// What a put must look for.
    pub(crate) fn is_dead(&self, setting: &Setting, id: Id) -> bool {
        self.store.stones[id] && !setting.breaks(Broken::NoLook)
    }
}
