//! All that can happen next, and what it makes of a state.

use stateright::{Model, Property};

use super::change::{Change, Removal};
use super::find::Find;
use super::properties;
use super::setting::Setting;
use super::settle::Settle;
use super::state::{
    ACTORS, DELETER, GENERATIONS, Generation, IDS, Id, REQUESTS, RETRIER, Redis, SETTLER, SWEEP,
    State, Step, WORKER,
};
use super::submit::Submit;
use super::sweep::Sweep;
use crate::check::{Checked, spend};

/// How a step comes out, where that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Choice {
    Plain,
    /// A limit refuses.
    Full,
    /// Redis certainly takes nothing.
    Unreachable,
    /// An envelope counts as old: its request is over.
    Old,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A submission comes in; the limits would take it, or the first look at them already says no.
    Submits(usize, bool),
    Deletes(Id),
    Retries(Id),
    Plans(Id),
    Settles(Id),
    Steps(usize, Choice),
    Reconciles(Id, Generation),
    Buries(Id),
    /// A live job ends, or is found to have ended.
    Ends(Id),
    Uploads(Id),
    /// Redis forgets a settled job after the retention time.
    Forgets(Id),
    Emptied,
    Dies(usize),
}

impl Setting {
    /// In the order of a helpful schedule: who is under way goes on, jobs end and are settled, the
    /// sweep looks.
    fn progress(&self, state: &State, actions: &mut Vec<Action>) {
        for at in (0..ACTORS).filter(|at| state.is_active(*at)) {
            actions.push(Action::Steps(at, Choice::Plain));
        }
        for id in 0..IDS {
            let record = state.redis.jobs[id];
            if record.is_some_and(|record| !record.ended) {
                actions.push(Action::Ends(id));
            }
            let is_owed = record.is_some_and(|record| record.in_outbox);
            if is_owed && !state.is_active(SETTLER) && (self.settler || state.active() == 0) {
                actions.push(Action::Settles(id));
            }
            if !self.sweep && state.active() != 0 {
                continue;
            }
            for generation in 0..GENERATIONS {
                if self.reconciles(state, id, generation) {
                    actions.push(Action::Reconciles(id, generation));
                }
            }
            if self.buries(state, id) {
                actions.push(Action::Buries(id));
            }
        }
    }

    fn others(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        // Of submissions, one may as well be the first.
        let next = (0..REQUESTS).find(|at| state.actors[*at].step == Step::New);
        let may_come = |at| at == 0 || !self.after_delete || state.history.deleted.contains(&true);
        if let Some(at) = next.filter(|at| may_come(*at)) {
            actions.push(Action::Submits(at, true));
            if left.refusals > 0 {
                actions.push(Action::Submits(at, false));
            }
        }
        for id in 0..IDS {
            let known = state.history.accepted[id];
            let live = state.redis.jobs[id].is_some_and(|record| !record.ended);
            let can_upload = state.history.body[id].is_some() && !state.history.buried[id];
            let may = [
                (
                    known && left.deletes > 0 && !state.is_active(DELETER),
                    Action::Deletes(id),
                ),
                (
                    known && left.retries > 0 && !state.is_active(RETRIER),
                    Action::Retries(id),
                ),
                (
                    live && left.plans > 0 && !state.is_active(WORKER),
                    Action::Plans(id),
                ),
                (can_upload && left.uploads > 0, Action::Uploads(id)),
                // It takes so long that nobody is under way any more.
                (
                    left.retentions > 0 && state.active() == 0,
                    Action::Forgets(id),
                ),
            ];
            actions.extend(
                may.into_iter()
                    .filter(|(may, _)| *may)
                    .map(|(_, action)| action),
            );
        }
        for at in (0..ACTORS).filter(|at| state.is_active(*at)) {
            for choice in [Choice::Full, Choice::Unreachable, Choice::Old] {
                actions.push(Action::Steps(at, choice));
            }
            let deaths = if at == SWEEP {
                left.broken_rounds
            } else {
                left.deaths
            };
            if deaths > 0 {
                actions.push(Action::Dies(at));
            }
        }
        if left.emptyings > 0 {
            actions.push(Action::Emptied);
        }
    }

    fn apply(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Steps(at, choice) => return self.step(state, at, choice),
            Action::Submits(at, may_claim) => {
                state.begin(at, 0, 0, Step::Submit(Submit::Claim));
                state.actors[at].may_claim = may_claim;
            }
            Action::Deletes(id) => {
                spend(&mut state.left.deletes)?;
                state.begin(DELETER, id, 0, Step::Find(Find::Read));
            }
            Action::Retries(id) => {
                spend(&mut state.left.retries)?;
                state.begin(RETRIER, id, 0, Step::Find(Find::Read));
            }
            Action::Plans(id) => {
                spend(&mut state.left.plans)?;
                state.begin(WORKER, id, 0, Step::Change(Change::PutPlan));
            }
            Action::Settles(id) => state.begin(SETTLER, id, 0, Step::Settle(Settle::Read)),
            Action::Reconciles(id, generation) => {
                state.begin(SWEEP, id, generation, Step::Sweep(Sweep::Glance));
            }
            Action::Buries(id) => self.bury(state, id),
            Action::Ends(id) => {
                let newest = state.store.jobs[id].newest();
                let record = state.redis.jobs[id].as_mut()?;
                let recorded = newest.filter(|newest| *newest >= record.generation);
                record.generation = recorded.unwrap_or(record.generation);
                (record.ended, record.in_outbox) = (true, true);
            }
            Action::Uploads(id) => {
                spend(&mut state.left.uploads)?;
                state.store.jobs[id].upload = true;
            }
            Action::Forgets(id) => {
                spend(&mut state.left.retentions)?;
                state.redis.jobs[id].take_if(|record| record.ended && !record.in_outbox)?;
            }
            Action::Emptied => {
                let is_between = |step| {
                    matches!(
                        step,
                        Step::Remove(Removal::Stone, _) | Step::Submit(Submit::Refuse)
                    )
                };
                let between = state.actors.iter().any(|actor| is_between(actor.step));
                if between && !self.emptied_anywhere {
                    return None;
                }
                spend(&mut state.left.emptyings)?;
                state.redis = Redis::default();
                state.history.startled = state.active();
            }
            Action::Dies(at) => {
                let left = &mut state.left;
                let round = at == SWEEP;
                spend(if round {
                    &mut left.broken_rounds
                } else {
                    &mut left.deaths
                })?;
                state.go_on(at, Step::Over);
            }
        }
        Some(())
    }

    fn step(&self, state: &mut State, at: usize, choice: Choice) -> Option<()> {
        let step = state.actors[at].step;
        let is_open = match choice {
            Choice::Plain => true,
            Choice::Full => matches!(
                step,
                Step::Submit(Submit::Enqueue)
                    | Step::Change(Change::Retry | Change::RetryForgotten)
            ),
            Choice::Unreachable => step == Step::Submit(Submit::Enqueue),
            Choice::Old => step == Step::Submit(Submit::ReadFirst),
        };
        if !is_open {
            return None;
        }
        let next = match step {
            Step::New | Step::Over => return None,
            Step::Submit(step) => self.submit(state, at, step, choice)?,
            Step::Find(step) => self.find(state, at, step),
            Step::Settle(step) => self.settle(state, at, step),
            Step::Change(step) => self.change(state, at, step, choice)?,
            Step::Remove(step, then) => self.remove(state, at, step, then),
            Step::Sweep(step) => self.sweeps(state, step),
        };
        state.go_on(at, next);
        Some(())
    }

    /// The next state of a helpful schedule in which nothing goes wrong any more; `None`: all is at
    /// rest.
    pub(crate) fn helped(&self, state: &State) -> Option<State> {
        let mut actions = Vec::new();
        self.progress(state, &mut actions);
        let mut next = actions.into_iter();
        next.find_map(|action| self.next_state(state, action))
    }
}

impl Checked for Setting {}

impl Model for Setting {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.progress(state, actions);
        self.others(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.apply(&mut next, action)?;
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}
