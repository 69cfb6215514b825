//! What an action makes of a state, and the whole as a model for the checker.

use stateright::{Model, Property};

use crate::action::Action;
use crate::check::{Checked, spend};
use crate::properties;
use crate::redis::Redis;
use crate::setting::{Broken, Setting, WORKERS};
use crate::state::{Bell, Debt, Request, State};
use crate::steps::Outcome;
use crate::worker::Worker;

impl Setting {
    fn apply(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::WorkerSteps { worker, pick } => state.work(self, worker, pick)?,
            Action::RequestSteps(job) => state.submit(self, job)?,
            Action::CancellingSteps => {
                state.cancelling = state.pay(self, state.cancelling, Bell::Plain);
            }
            Action::Delivered(bell) => {
                // Idle workers are all alike.
                let idle = (0..WORKERS).find(|at| state.workers[*at] == Worker::Idle)?;
                *state.bells.of(bell) -= 1;
                state.answered[idle] = Some(bell);
                state.workers[idle] = match bell {
                    Bell::Plain => Worker::Acquire,
                    Bell::Naming(job) => Worker::Ensure(job),
                };
            }
            Action::LeaseEnds(job) => {
                if !state.redis.is_leased(job) || state.is_renewed(job) {
                    return None;
                }
                state.redis.comes_due(job);
            }
            Action::DelayEnds(job) => {
                if state.redis.rests(job) {
                    state.redis.comes_due(job);
                }
                if std::mem::take(&mut state.bells.later[job]) {
                    state.ring(self, Bell::Plain);
                }
            }
            Action::SweepRescues => {
                state.script(|redis| redis.rescue(self));
            }
            Action::SweepSettles(job) => state.sweep_settles(self, job)?,
            Action::SweepReconciles(job) => state.reconcile(self, job)?,
            Action::SweepRings => {
                if state.redis.eligible(self) > 0 {
                    state.ring(self, Bell::Plain);
                }
            }
            _ => return self.befalls(state, action),
        }
        Some(())
    }

    fn befalls(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::HandsOver { worker } => state.workers[worker] = Worker::Baton,
            Action::ComesOut { worker, outcome } => {
                let hold = state.workers[worker].hold()?;
                let left = match outcome {
                    Outcome::Failed => &mut state.left.failures,
                    _ => &mut state.left.give_backs,
                };
                spend(left)?;
                state.workers[worker] = state.stage(self, worker, hold, outcome);
            }
            Action::Cancelled(job) => {
                state.redis.jobs[job]?;
                if !state.cancelling.is_paid() {
                    return None;
                }
                spend(&mut state.left.cancels)?;
                state.cancel(self, job);
            }
            Action::Forgotten(job) => {
                state.redis.ended(job)?;
                state.redis.jobs[job].take_if(|record| !record.in_outbox)?;
            }
            Action::BellLost(bell) => {
                spend(&mut state.left.lost_bells)?;
                *state.bells.of(bell) -= 1;
            }
            Action::BellDoubled(bell) => {
                spend(&mut state.left.doubled_bells)?;
                *state.bells.of(bell) += 1;
            }
            Action::WorkerDies { worker } => {
                spend(&mut state.left.dead_workers)?;
                state.workers[worker] = Worker::Idle;
                // It was not deleted, so it is delivered again.
                *state.bells.of(state.answered[worker].take()?) += 1;
            }
            Action::WorkerTooSlow(job) => {
                if !state.redis.is_leased(job) || !state.is_renewed(job) {
                    return None;
                }
                spend(&mut state.left.slow_workers)?;
                state.redis.comes_due(job);
            }
            Action::RequestDies(job) => {
                if matches!(state.requests[job], Request::New | Request::Over) {
                    return None;
                }
                spend(&mut state.left.dead_requests)?;
                state.requests[job] = Request::Over;
            }
            Action::CancellingDies => {
                if state.cancelling.is_paid() {
                    return None;
                }
                spend(&mut state.left.dead_requests)?;
                state.cancelling = Debt::default();
            }
            Action::RolledBack => {
                spend(&mut state.left.rollbacks)?;
                state.redis = state.before.take()?;
            }
            Action::Emptied { with_bells } => {
                spend(&mut state.left.emptyings)?;
                state.redis = Redis::default();
                state.before = None;
                if with_bells {
                    state.bells = Default::default();
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// The next state of a helpful schedule in which nothing goes wrong any more; `None`: all is at rest.
    pub(crate) fn helped(&self, state: &State, actions: &mut Vec<Action>) -> Option<State> {
        actions.clear();
        self.progress(state, actions);
        let mut progress = actions.iter().filter(|action| action.is_progress());
        progress.find_map(|action| self.next_state(state, *action))
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
        self.choices(state, actions);
        self.faults(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.apply(&mut next, action)?;
        if next.left.rollbacks == 0 {
            next.before = None;
        }
        if !self.breaks(Broken::Nonce) {
            next.renumber_fences();
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}
