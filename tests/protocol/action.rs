//! All that can happen next: the system's own steps, time, what nobody wants.

use crate::setting::Setting;
use crate::state::{Bell, Job, Request, State};
use crate::steps::Outcome;
use crate::worker::Worker;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A worker does its next step; an acquire gives the `pick`-th of the jobs that may run.
    WorkerSteps {
        worker: usize,
        pick: usize,
    },
    RequestSteps(Job),
    CancellingSteps,
    Delivered(Bell),
    /// Time: a lease that nobody renews runs out.
    LeaseEnds(Job),
    /// Time: a delay is over, and its bell comes.
    DelayEnds(Job),
    SweepRescues,
    SweepSettles(Job),
    SweepReconciles(Job),
    SweepRings,
    /// A worker rings instead of acquiring: its time is short.
    HandsOver {
        worker: usize,
    },
    ComesOut {
        worker: usize,
        outcome: Outcome,
    },
    Cancelled(Job),
    /// Redis forgets a settled job after the retention time.
    Forgotten(Job),
    BellLost(Bell),
    BellDoubled(Bell),
    WorkerDies {
        worker: usize,
    },
    /// A lease runs out although its worker lives.
    WorkerTooSlow(Job),
    RequestDies(Job),
    CancellingDies,
    RolledBack,
    /// Redis is emptied; the bells go with it where Redis holds them.
    Emptied {
        with_bells: bool,
    },
}

impl Action {
    /// Whether it brings the work on, and happens sooner or later if nothing else does.
    pub(crate) fn is_progress(self) -> bool {
        match self {
            Self::WorkerSteps { pick, .. } => pick == 0,
            Self::RequestSteps(_)
            | Self::CancellingSteps
            | Self::Delivered(_)
            | Self::LeaseEnds(_)
            | Self::DelayEnds(_)
            | Self::SweepRescues
            | Self::SweepSettles(_)
            | Self::SweepReconciles(_)
            | Self::SweepRings => true,
            _ => false,
        }
    }
}

impl Setting {
    fn jobs(&self) -> impl Iterator<Item = Job> {
        0..self.jobs
    }

    /// In the order of a helpful schedule: who works goes on, bells come, time passes, the sweep looks.
    pub(crate) fn progress(&self, state: &State, actions: &mut Vec<Action>) {
        for (worker, _) in busy(state) {
            for pick in 0..self.jobs {
                if pick == 0 || state.workers[worker] == Worker::Acquire {
                    actions.push(Action::WorkerSteps { worker, pick });
                }
            }
        }
        for job in self.jobs() {
            // Of equal requests that have not begun, one may as well be the first.
            let equal = |other: Job| self.tenant[other] == self.tenant[job];
            let is_new = |job: Job| state.requests[job] == Request::New;
            if !(is_new(job) && (0..job).any(|other| equal(other) && is_new(other))) {
                actions.push(Action::RequestSteps(job));
            }
        }
        actions.push(Action::CancellingSteps);
        actions.extend(self.bells(state).map(Action::Delivered));
        for job in self.jobs() {
            actions.push(Action::DelayEnds(job));
            actions.push(Action::LeaseEnds(job));
        }
        if self.sweep {
            actions.push(Action::SweepRescues);
            for job in self.jobs() {
                actions.push(Action::SweepSettles(job));
                actions.push(Action::SweepReconciles(job));
            }
            actions.push(Action::SweepRings);
        }
    }

    pub(crate) fn choices(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        for (worker, doing) in busy(state) {
            if doing == Worker::Acquire {
                actions.push(Action::HandsOver { worker });
            } else if matches!(doing, Worker::Work(_)) {
                let outcomes = [
                    (left.failures, Outcome::Failed),
                    (left.give_backs, Outcome::GivenBack),
                    (left.give_backs, Outcome::PutOff),
                ];
                let may = outcomes.into_iter().filter(|(left, _)| *left > 0);
                actions.extend(may.map(|(_, outcome)| Action::ComesOut { worker, outcome }));
            }
        }
        for job in self.jobs() {
            if left.cancels > 0 {
                actions.push(Action::Cancelled(job));
            }
            if self.forgets {
                actions.push(Action::Forgotten(job));
            }
        }
    }

    pub(crate) fn faults(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        let mut may = |left: u8, action| {
            if left > 0 {
                actions.push(action);
            }
        };
        for bell in self.bells(state) {
            may(left.lost_bells, Action::BellLost(bell));
            may(left.doubled_bells, Action::BellDoubled(bell));
        }
        for (worker, _) in busy(state) {
            may(left.dead_workers, Action::WorkerDies { worker });
        }
        for job in self.jobs() {
            may(left.slow_workers, Action::WorkerTooSlow(job));
            may(left.dead_requests, Action::RequestDies(job));
        }
        may(left.dead_requests, Action::CancellingDies);
        may(left.rollbacks, Action::RolledBack);
        may(left.emptyings, Action::Emptied { with_bells: false });
        may(left.emptyings, Action::Emptied { with_bells: true });
    }

    /// The kinds of bells that wait.
    fn bells(&self, state: &State) -> impl Iterator<Item = Bell> {
        let mut bells = state.bells;
        let kinds = std::iter::once(Bell::Plain).chain(self.jobs().map(Bell::Naming));
        kinds.filter(move |bell| *bells.of(*bell) > 0)
    }
}

fn busy(state: &State) -> impl Iterator<Item = (usize, Worker)> {
    let workers = state.workers.into_iter().enumerate();
    workers.filter(|(_, worker)| *worker != Worker::Idle)
}
