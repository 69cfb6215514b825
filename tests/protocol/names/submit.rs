//! A submission: `shared/src/submit.rs`.

use super::action::Choice;
use super::change::{Removal, Then};
use super::find::Find;
use super::setting::{Broken, Setting};
use super::state::{Claim, IDS, Id, Name, Record, State, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Submit {
    Claim,
    ReadClaim,
    /// Is the job of the claim dead? And is it one of the same body?
    Look(Id, bool),
    /// A mutant's: the claim of a dead job is removed.
    Unclaim,
    /// What is stored of a job that Redis does not know.
    ReadFirst,
    PutRequest,
    ReadRequest,
    PutMarker,
    LookAtMarker,
    Enqueue,
    /// Redis may have been emptied, and have forgotten that the id is dead.
    LookAgain,
    /// Redis certainly took nothing.
    Refuse,
}

impl Setting {
    /// The next step of a submission.
    pub(crate) fn submit(
        &self,
        state: &mut State,
        at: usize,
        step: Submit,
        choice: Choice,
    ) -> Option<Step> {
        let actor = state.actors[at];
        let (id, name, body) = (actor.id, actor.name, self.bodies[at]);
        Some(match step {
            Submit::Claim => {
                let claim = state.store.claim(name);
                if !actor.may_claim || claim.is_some() {
                    return Some(Step::Submit(Submit::ReadClaim));
                }
                let Some(id) = self.mint(state) else {
                    return Some(Step::Over);
                };
                state.store.set_claim(name, Some(Claim::Job(id, body)));
                state.history.claimed[id] = name;
                state.actors[at].id = id;
                Step::Submit(Submit::PutRequest)
            }
            Submit::ReadClaim => match state.store.claim(name) {
                Some(Claim::Job(id, first)) => Step::Submit(Submit::Look(id, first == body)),
                Some(Claim::Sealed) | None => Step::Over,
            },
            Submit::Look(id, _) if state.store.stones[id] => {
                if self.breaks(Broken::ClaimInPlace) {
                    return Some(Step::Submit(Submit::Unclaim));
                }
                state.actors[at].name = Name::After(id);
                Step::Submit(Submit::Claim)
            }
            Submit::Look(_, false) => Step::Over,
            Submit::Look(id, true) => {
                state.actors[at].id = id;
                Step::Find(Find::Read)
            }
            Submit::Unclaim => {
                state.store.set_claim(name, None);
                Step::Submit(Submit::Claim)
            }
            Submit::ReadFirst => {
                let Some((_, by)) = state.store.jobs[id].request else {
                    return Some(Step::Submit(Submit::PutRequest));
                };
                let ended = state.store.jobs[id].newest().is_some();
                let may_be_old = !state.is_active(by);
                match choice {
                    Choice::Old if !may_be_old || ended => return None,
                    Choice::Old => Step::Find(Find::Glance),
                    _ if ended => Step::Find(Find::Glance),
                    _ => Step::Submit(Submit::PutRequest),
                }
            }
            Submit::PutRequest => {
                let request = &mut state.store.jobs[id].request;
                if request.is_some() {
                    return Some(Step::Submit(Submit::ReadRequest));
                }
                *request = Some((body, at));
                state.actors[at].is_first = true;
                let first = *state.history.body[id].get_or_insert(body);
                state.history.two_bodies |= first != body;
                Step::Submit(Submit::PutMarker)
            }
            Submit::ReadRequest => {
                state.actors[at].is_first = false;
                match state.store.jobs[id].request {
                    Some(_) => Step::Submit(Submit::PutMarker),
                    None => again(state, at),
                }
            }
            Submit::PutMarker => {
                state.store.jobs[id].put_marker(0);
                state.actors[at].marked = true;
                Step::Submit(Submit::LookAtMarker)
            }
            Submit::LookAtMarker if state.is_dead(self, id) => {
                state.store.jobs[id].remove_marker(self, 0);
                Step::Remove(Removal::Request, Then::TryAgain)
            }
            Submit::LookAtMarker => Step::Submit(Submit::Enqueue),
            Submit::Enqueue => return self.enqueue(state, at, choice),
            Submit::LookAgain if state.store.stones[id] && !self.breaks(Broken::NoSecondLook) => {
                (state.redis.jobs[id], state.redis.facts[id]) = (None, true);
                again(state, at)
            }
            Submit::LookAgain => accepted(state, at),
            Submit::Refuse if state.redis.jobs[id].is_some() => accepted(state, at),
            Submit::Refuse => {
                state.redis.facts[id] = true;
                Step::Remove(Removal::Stone, Then::Refused)
            }
        })
    }

    fn mint(&self, state: &mut State) -> Option<Id> {
        if self.breaks(Broken::DerivedId) {
            return Some(0);
        }
        let id = state.history.minted;
        state.history.minted += 1;
        (id < IDS).then_some(id)
    }

    fn enqueue(&self, state: &mut State, at: usize, choice: Choice) -> Option<Step> {
        let actor = state.actors[at];
        let id = actor.id;
        if choice == Choice::Unreachable {
            self.may_refuse(state, at)?;
            state.left.failures = state.left.failures.checked_sub(1)?;
            let certain = actor.is_first;
            return Some(if certain {
                Step::Submit(Submit::Refuse)
            } else {
                Step::Over
            });
        }
        if state.redis.jobs[id].is_some() {
            return (choice == Choice::Plain).then_some(Step::Submit(Submit::LookAgain));
        }
        if state.redis.facts[id] {
            return (choice == Choice::Plain).then(|| again(state, at));
        }
        if choice == Choice::Full {
            self.refuse_by_limit(state, at)?;
            let is_final = actor.is_first || self.breaks(Broken::TwinKills);
            if !is_final {
                return Some(Step::Over);
            }
            state.redis.facts[id] = !self.breaks(Broken::NoFact);
            return Some(Step::Remove(Removal::Stone, Then::Refused));
        }
        state.redis.jobs[id] = Some(Record::live(0));
        Some(Step::Submit(Submit::LookAgain))
    }

    /// A limit refuses, if it may at this moment.
    pub(crate) fn refuse_by_limit(&self, state: &mut State, at: usize) -> Option<()> {
        self.may_refuse(state, at)?;
        state.left.refusals = state.left.refusals.checked_sub(1)?;
        Some(())
    }

    /// An emptied Redis has no line that could be full for who was under way already.
    fn may_refuse(&self, state: &State, at: usize) -> Option<()> {
        let startled = state.history.startled & 1 << at != 0;
        (self.emptied_anywhere || !startled).then_some(())
    }
}

/// 202.
pub(crate) fn accepted(state: &mut State, at: usize) -> Step {
    state.history.accepted[state.actors[at].id] = true;
    Step::Over
}

/// The id died on the way: the walk along the claims begins anew.
pub(crate) fn again(state: &mut State, at: usize) -> Step {
    let actor = &mut state.actors[at];
    (actor.id, actor.name, actor.marked, actor.is_first) = (0, Name::First, false, false);
    Step::Submit(Submit::Claim)
}
