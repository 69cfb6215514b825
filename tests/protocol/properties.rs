//! What must always hold, and what must happen now and then for a model to be worth its run.

use stateright::Property;

use crate::redis::Place;
use crate::setting::{JOBS, Setting};
use crate::state::{End, Request, State};
use crate::worker::Worker;

/// Steps in which a helpful schedule must end all jobs.
const HELPED: usize = 300;

/// All that is checked of a setting.
pub(crate) fn of(setting: &Setting) -> Vec<Property<Setting>> {
    let mut all = vec![
        Property::always("no stale write is accepted", |_, s: &State| {
            !s.wrong.stale_write
        }),
        Property::always("an end is final", |_, s: &State| !s.wrong.ended_again),
        Property::always("a manifest is final", |_, s: &State| {
            !s.wrong.manifest_changed
        }),
        Property::always("caps and slots hold", caps_hold),
        Property::always("nothing accepted is forgotten", |_, s: &State| {
            nothing_forgotten(s)
        }),
        Property::always("nothing is stranded at rest", ended_at_rest),
        Property::always("help always ends it all", help_ends_all),
        Property::sometimes("all jobs end", |_, s: &State| over(s)),
        Property::sometimes("two workers are busy", |_, s: &State| {
            s.workers.iter().all(|worker| *worker != Worker::Idle)
        }),
    ];
    if setting.is_faultless() && !setting.sweep {
        all.push(Property::always("who may run is awaited", awaited));
    }
    all.extend(seen(setting));
    all
}

/// Every submission is over and every accepted job has ended.
fn over(state: &State) -> bool {
    state.requests.iter().all(|r| *r == Request::Over) && state.is_all_ended()
}

fn caps_hold(setting: &Setting, state: &State) -> bool {
    let running = |tenant| state.redis.running(setting, tenant);
    let tenants = setting.tenant.iter();
    running(None) <= setting.slots
        && tenants
            .copied()
            .all(|tenant| running(Some(tenant)) <= setting.cap)
}

/// The store has each accepted job's end, or the marker that it has none; an end that Redis knows is settled or in the outbox.
fn nothing_forgotten(state: &State) -> bool {
    (0..JOBS).all(|job| {
        let stored = state.store[job];
        let open = stored.marker || stored.manifest.is_some() || !stored.accepted;
        let ended = state.redis.ended(job).is_some();
        let owed = state.redis.jobs[job].is_some_and(|record| record.in_outbox);
        open && (!ended || owed || stored.manifest.is_some())
    })
}

/// Once nothing moves by itself any more, all is done.
fn ended_at_rest(setting: &Setting, state: &State) -> bool {
    let working = state.workers.iter().any(|worker| *worker != Worker::Idle);
    working || over(state) || setting.helped(state, &mut Vec::new()).is_some()
}

/// From here all jobs can still end, and do if nothing more goes wrong and everybody gets a turn.
///
/// The schedule depends on the state alone. So it is followed to the first pause only, which is a state that is looked at itself.
fn help_ends_all(setting: &Setting, state: &State) -> bool {
    let from_pause = pauses(state);
    let (mut state, mut actions) = (state.clone(), Vec::new());
    for _ in 0..HELPED {
        match setting.helped(&state, &mut actions) {
            Some(next) if !from_pause && pauses(&next) => return true,
            Some(next) => state = next,
            None => return over(&state),
        }
    }
    false
}

/// No worker and no request is in the middle of something.
fn pauses(state: &State) -> bool {
    let idle = |worker: &Worker| *worker == Worker::Idle;
    let over = |request: &Request| *request == Request::Over;
    state.workers.iter().all(idle) && state.requests.iter().all(over) && state.cancelling.is_paid()
}

/// E > 0 ⇒ B + W + D > 0: if a job may run, there is a bell, a worker who will acquire again, or an unpaid debt.
fn awaited(setting: &Setting, state: &State) -> bool {
    let debts = state
        .requests
        .iter()
        .any(|request| matches!(request, Request::Committed(debt) if debt.ring));
    state.redis.eligible(setting) == 0
        || state.bells.plain > 0
        || state.bells.naming.iter().any(|count| *count > 0)
        || state.workers.iter().any(Worker::comes_again)
        || debts
        || state.cancelling.ring
}

type Condition = fn(&Setting, &State) -> bool;

/// For each thing that may happen: it happens, and all jobs end nevertheless.
fn seen(setting: &Setting) -> impl Iterator<Item = Property<Setting>> {
    let left = setting.left;
    let all: [(bool, &'static str, Condition); 14] = [
        (left.lost_bells > 0, "all ends after a lost bell", |m, s| {
            over(s) && s.left.lost_bells < m.left.lost_bells
        }),
        (
            left.doubled_bells > 0,
            "all ends after a doubled bell",
            |m, s| over(s) && s.left.doubled_bells < m.left.doubled_bells,
        ),
        (
            left.dead_workers > 0,
            "all ends after a worker's death",
            |m, s| over(s) && s.left.dead_workers < m.left.dead_workers,
        ),
        (
            left.slow_workers > 0,
            "all ends after a slow worker",
            |m, s| over(s) && s.left.slow_workers < m.left.slow_workers,
        ),
        (
            left.dead_requests > 0,
            "all ends after a request's death",
            |m, s| over(s) && s.left.dead_requests < m.left.dead_requests,
        ),
        (left.rollbacks > 0, "all ends after a rollback", |m, s| {
            over(s) && s.left.rollbacks < m.left.rollbacks
        }),
        (
            left.emptyings > 0,
            "all ends after Redis was emptied",
            |m, s| over(s) && s.left.emptyings < m.left.emptyings,
        ),
        (left.failures > 0, "all ends after a failure", |m, s| {
            over(s) && s.left.failures < m.left.failures
        }),
        (left.give_backs > 0, "all ends after a give-back", |m, s| {
            over(s) && s.left.give_backs < m.left.give_backs
        }),
        (left.cancels > 0, "a job is cancelled for good", |_, s| {
            over(s) && s.store.iter().any(|x| x.manifest == Some(End::Cancelled))
        }),
        (
            left.dead_workers > 0 || left.slow_workers > 0,
            "a rescued job is completed",
            rescued,
        ),
        (
            left.slow_workers > 0 || left.rollbacks > 0 || left.emptyings > 0,
            "a worker with a stale fence goes on",
            stale,
        ),
        (left.rollbacks > 0, "a worker meets a manifest", |_, s| {
            s.workers.iter().any(|w| matches!(w, Worker::Tell(..)))
        }),
        (
            setting.jobs > 1 && setting.slots > 1,
            "two jobs run at once",
            |m, s| s.redis.running(m, None) > 1,
        ),
    ];
    all.into_iter()
        .filter(|(applies, ..)| *applies)
        .map(|(_, name, condition)| Property::sometimes(name, condition))
}

fn rescued(_: &Setting, state: &State) -> bool {
    let mut records = state.redis.jobs.iter().flatten();
    records.any(|record| record.place == Place::Ended(End::Completed) && record.attempt > 1)
}

/// What it writes next will be refused.
fn stale(_: &Setting, state: &State) -> bool {
    let mut holds = state.workers.iter().filter_map(|worker| match worker {
        Worker::Work(hold) => Some(hold),
        _ => None,
    });
    holds.any(|hold| {
        state.redis.jobs[hold.job].is_none_or(|record| record.fence != Some(hold.fence))
    })
}
