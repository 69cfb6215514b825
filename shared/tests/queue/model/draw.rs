//! How commands are drawn: mostly such as have an effect in the present state, never only those.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest_state_machine::ReferenceStateMachine;
use shared::job::JobStatus;
use shared::queue::{Cause, Next, QueueSettings, Refusal, Showed, TenantSettings};
use shared::stage::Stage;

use super::command::Command::{self, *};
use super::command::{Clock, Era, Failure, New, Who};
use super::state::{JOBS, Job, Model, Place, SEED, TENANTS};
use crate::rig::{LONG, NOW};

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Command;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::new()).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Command> {
        let all = Vec::new();
        let mut draw = Draw { model, all };
        draw.owners();
        draw.workers();
        draw.models();
        draw.operators();
        draw.caretakers();
        Union::new_weighted(draw.all).boxed()
    }

    fn apply(mut model: Self, command: &Command) -> Self {
        model.run(command);
        model
    }
}

struct Draw<'a> {
    model: &'a Model,
    all: Vec<(u32, BoxedStrategy<Command>)>,
}

impl Draw<'_> {
    fn add<S>(&mut self, weight: u32, from: S, make: impl Fn(S::Value) -> Command + 'static)
    where
        S: Strategy + 'static,
    {
        self.all.push((weight, from.prop_map(make).boxed()));
    }

    /// Of a job of this kind nine times in ten. Where there is none, seldom.
    fn on<S>(
        &mut self,
        weight: u32,
        kind: impl Fn(&Job) -> bool,
        with: S,
        make: impl Fn(u8, S::Value) -> Command + 'static,
    ) where
        S: Strategy + 'static,
    {
        let jobs = self.model.jobs.iter();
        let fit: Vec<u8> = jobs.filter(|(_, job)| kind(job)).map(|(n, _)| *n).collect();
        let any = select((0..JOBS).collect::<Vec<_>>());
        let (weight, job) = if fit.is_empty() {
            (1, any.boxed())
        } else {
            (4 * weight, prop_oneof![9 => select(fit), 1 => any].boxed())
        };
        self.add(weight, (job, with), move |(n, with)| make(n, with));
    }

    fn owners(&mut self) {
        let known = |n: &u8| self.model.jobs.contains_key(n);
        let (known, free): (Vec<u8>, Vec<u8>) = (0..JOBS).partition(known);
        let fresh = free.iter().flat_map(|n| [*n; 5]);
        let number = select(fresh.chain(known).collect::<Vec<_>>());
        let proven = (new(), stage(), 0..2_u32);
        let again =
            prop_oneof![1 => Just(Era::Former), 1 => Just(Era::Present), 6 => Just(Era::Next)];
        let refusal = prop::bool::weighted(0.8).prop_map(|dies| match dies {
            true => Refusal::Final,
            false => Refusal::Passing,
        });
        let fresh = (number.clone(), new(), refusal);
        self.add(50, fresh, |(n, new, refusal)| Enqueue(n, new, refusal));
        let again_at = (number.clone(), new(), 1..3_u32);
        self.add(2, again_at, |(n, new, generation)| {
            RetryForgotten(n, new, generation)
        });
        self.add(1, number.clone(), Refuse);
        if !self.model.dead.is_empty() {
            let dead: Vec<u8> = self.model.dead.iter().copied().collect();
            self.add(8, select(dead), Lapse);
        }
        self.add(4, number.clone(), EnqueueCached);
        self.add(8, (number, proven), |(n, (new, stage, generation))| {
            Restore(n, new, stage, generation)
        });
        self.on(2, live, Just(()), |n, ()| Cancel(n));
        self.on(5, Job::ended, again, Retry);
        self.on(4, in_line, 0..3_u32, Reprioritise);
        self.on(1, Job::ended, Just(()), |n, ()| Delete(n));
    }

    fn workers(&mut self) {
        let at = |stage| move |job: &Job| in_slot(job) && job.stage == stage;
        self.add(90, Just(()), |()| Acquire);
        self.on(3, held, who(), Renew);
        let to = (who(), stage());
        self.on(8, in_slot, to, |n, (who, to)| Advance(n, who, to));
        for stage in [Stage::Plan, Stage::Audio] {
            self.on(4, at(stage), who(), move |n, who| Park(n, who, stage));
        }
        let at_stage = (who(), stage());
        self.on(2, held, at_stage, |n, (who, stage)| Park(n, who, stage));
        let track = (who(), SEED..SEED + 2);
        let examined = |job: &Job| job.stage == Stage::Finish && held(job);
        self.on(5, examined, track, |n, (who, seed)| Complete(n, who, seed));
        self.on(5, held, (speaker(), failure()), |n, (who, failure)| {
            Fail(n, who, failure)
        });
        let back = (who(), select(vec![NOW, LONG]));
        self.on(5, held, back, |n, (who, delay)| Release(n, who, delay));
    }

    fn models(&mut self) {
        let at = |stage| move |job: &Job| job.parked() && job.stage == stage;
        let render = || {
            let seed = prop_oneof![6 => Just(0_u32), 1 => Just(1)];
            prop::option::weighted(0.7, (era(), seed))
        };
        for stage in [Stage::Plan, Stage::Audio] {
            self.on(5, at(stage), render(), move |n, render| {
                Report(n, stage, render)
            });
        }
        let made = (select(vec![Stage::Plan, Stage::Audio]), render());
        self.on(4, live, made, |n, (stage, render)| Report(n, stage, render));
        for (weight, kind) in [(4, Job::parked as fn(&Job) -> bool), (2, in_slot)] {
            let said = (speaker(), any::<bool>());
            self.on(weight, kind, said, |n, (who, figures)| {
                Progress(n, who, figures)
            });
        }
        let failed = (speaker(), failure());
        self.on(2, Job::parked, failed, |n, (who, failure)| {
            Fail(n, who, failure)
        });
    }

    fn operators(&mut self) {
        let changed = || prop::bool::weighted(0.8);
        let paused = || prop::bool::weighted(0.2);
        let few = || prop::option::of(1..4_u32);
        let queue = (few(), paused()).prop_map(|(slots, paused)| QueueSettings { slots, paused });
        let tenant = (few(), few(), paused()).prop_map(|(weight, cap, paused)| TenantSettings {
            weight,
            cap,
            paused,
        });
        let tenant = (select(TENANTS.to_vec()), changed(), tenant);
        let often = |it: bool| if it { 60 } else { 3 };
        let asked = often(self.model.settings.paused);
        self.add(asked, (changed(), queue), |(new, set)| SetQueue(new, set));
        self.add(10, tenant, |(name, new, set)| SetTenant(name, new, set));
        self.add(often(!self.model.loaded), Just(()), |()| Load);
        self.breaker();
    }

    fn breaker(&mut self) {
        let troubled = self.model.failures > 0;
        let held = self.model.hold.is_some();
        self.add(if troubled { 40 } else { 4 }, Just(()), |()| {
            Breaker(Showed::Failed)
        });
        self.add(4, Just(()), |()| Breaker(Showed::Busy(LONG)));
        self.add(4, Just(()), |()| Breaker(Showed::Asked));
        self.add(if held { 20 } else { 4 }, Just(()), |()| {
            Breaker(Showed::Answered)
        });
        self.add(if held { 40 } else { 1 }, Just(()), |()| LeftAlone);
    }

    fn caretakers(&mut self) {
        let ends = JobStatus::ALL.into_iter().filter(|s| s.is_terminal());
        let manifest = (era(), select(ends.collect::<Vec<_>>()));
        let retried = (Just(Era::Next), Just(JobStatus::Completed));
        let unsettled = |job: &Job| job.outbox.is_some();
        self.add(12, Just(()), |()| Sweep);
        self.add(8, Just(()), |()| Expire);
        self.on(3, unsettled, era(), Settle);
        self.on(
            2,
            |_| true,
            manifest,
            |n, (era, status)| Adopt(n, era, status),
        );
        self.on(
            2,
            |job| job.dead,
            retried,
            |n, (era, status)| Adopt(n, era, status),
        );
        for (weight, clock) in [
            (3, Clock::Lease),
            (3, Clock::Delayed),
            (8, Clock::Finish),
            (1, Clock::StartBy),
            (1, Clock::FinishBy),
            (2, Clock::Outbox),
        ] {
            let set = move |job: &Job| job.when(clock).is_some();
            self.on(weight, set, Just(()), move |n, ()| Pass(n, clock));
        }
    }
}

fn live(job: &Job) -> bool {
    !job.ended()
}

fn in_line(job: &Job) -> bool {
    job.place == Place::Line
}

/// By a worker.
fn held(job: &Job) -> bool {
    job.fence.is_some() && !job.parked()
}

fn in_slot(job: &Job) -> bool {
    job.leased() && !job.parked()
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![8 => Just(Who::Latest), 1 => Just(Who::Former)]
}

fn speaker() -> impl Strategy<Value = Option<Who>> {
    prop_oneof![4 => who().prop_map(Some), 1 => Just(None)]
}

fn stage() -> impl Strategy<Value = Stage> {
    select(vec![Stage::Plan, Stage::Audio, Stage::Finish])
}

fn era() -> impl Strategy<Value = Era> {
    prop_oneof![1 => Just(Era::Former), 4 => Just(Era::Present), 1 => Just(Era::Next)]
}

fn new() -> impl Strategy<Value = New> {
    (0..3_u32, 1..90_u32, 1..4_u32, 0..20_u64).prop_map(|(level, cost, attempts, ago)| New {
        level,
        cost,
        attempts,
        ago,
    })
}

fn failure() -> impl Strategy<Value = Failure> {
    let stage = prop::option::weighted(0.3, Just(Stage::Audio));
    let seed = prop::option::weighted(0.3, SEED..SEED + 3);
    let next = (stage, seed).prop_map(|(stage, seed)| Next { stage, seed });
    let delay = select(vec![NOW, LONG]);
    let cause = select(vec![Cause::Passing, Cause::Lasting]);
    let all = (prop::bool::weighted(0.8), cause, delay, next);
    all.prop_map(|(retryable, cause, delay, next)| Failure {
        retryable,
        cause,
        delay,
        next,
    })
}
