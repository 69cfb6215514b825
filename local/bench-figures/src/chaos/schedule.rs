//! What happens when, all of it drawn from the seed before the run begins: the same seed, the same schedule.

use std::time::Duration;

use fastrand::Rng;

use super::options::{LEASE, LINE, Options, SUBMIT_RATE, TENANT_CAP};

/// How long the two kinds of bursts last.
const HASTY: Duration = Duration::from_millis(700);
const STEADY: Duration = Duration::from_secs(12);
/// What was asked for so long ago is mostly made.
const SOON: Duration = Duration::from_secs(10);

/// One fault, at a time counted from the run's beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    pub at: Duration,
    pub fault: Fault,
}

/// What is done to the stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// SIGKILL.
    Kill { worker: usize },
    /// SIGSTOP, and SIGCONT after longer than a lease.
    Freeze { worker: usize, lasts: Duration },
    /// Redis is stopped, and started again with what it wrote to disk.
    Restart { down: Duration },
    /// FLUSHALL.
    Flush,
    /// Nothing comes through between the functions and Redis, and every connection of that time stays dead.
    Hole { lasts: Duration },
    /// Redis hears the functions and is not heard.
    Deaf { lasts: Duration },
    /// Every connection to Redis is closed.
    Cut,
    /// Redis is over its `maxmemory`.
    Full { lasts: Duration },
    /// The API that is told of ends takes calls and says nothing.
    ApiHangs { lasts: Duration },
    /// Every call to the object store fails.
    StoreAway { lasts: Duration },
}

/// One submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub at: Duration,
    pub tenant: usize,
    pub seconds: u32,
    pub key: Key,
    pub at_limit: AtLimit,
    /// Whose narrative it has: orders with the same song are repeats of each other.
    pub song: usize,
    /// The same song with the same seed is the same track.
    pub seed: Option<u32>,
    /// Its user cancels it so long after the answer.
    pub cancel: Option<Duration>,
    /// Its user begins to delete it so long after the answer, and then submits something else under the same key.
    pub delete: Option<Duration>,
}

/// Whether an `Idempotency-Key` is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    None,
    /// And again, where the answer is unknown or 503.
    One,
    /// The same by two callers at the same moment.
    Twins,
}

/// What a caller with a key does when it is answered 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtLimit {
    Stops,
    Insists,
}

/// The whole plan of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    pub orders: Vec<Order>,
    /// By time.
    pub faults: Vec<Planned>,
}

impl Schedule {
    /// Draws everything.
    pub fn draw(options: &Options) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let orders = orders(options, &mut rng);
        let freezes = freezes(options, &mut rng);
        let mut faults = redis_faults(options, &mut rng);
        faults.extend(kills(options, &freezes, &mut rng));
        faults.extend(freezes);
        faults.sort_by_key(|planned| planned.at);
        Self { orders, faults }
    }
}

fn between(rng: &mut Rng, from: Duration, to: Duration) -> Duration {
    from + (to - from).mul_f64(rng.f64())
}

fn seconds(rng: &mut Rng, from: f64, to: f64) -> Duration {
    Duration::from_secs_f64(from + (to - from) * rng.f64())
}

fn orders(options: &Options, rng: &mut Rng) -> Vec<Order> {
    let order = |rng: &mut Rng| Order {
        at: between(rng, Duration::ZERO, options.span()),
        tenant: rng.usize(..options.tenants),
        seconds: rng.u32(1..=3),
        key: if rng.f64() < 0.6 { Key::One } else { Key::None },
        at_limit: if rng.bool() {
            AtLimit::Insists
        } else {
            AtLimit::Stops
        },
        song: 0,
        seed: None,
        cancel: None,
        delete: None,
    };
    let mut orders: Vec<_> = (0..options.jobs).map(|_| order(rng)).collect();
    burst(options, &mut orders, rng);
    orders.sort_by_key(|order| order.at);
    for (number, order) in orders.iter_mut().enumerate() {
        order.song = number;
    }
    for number in some(rng, 0.015, orders.len()) {
        orders[number].cancel = Some(seconds(rng, 0.0, 6.0));
    }
    let (keyed, keyless): (Vec<usize>, Vec<usize>) =
        (0..orders.len()).partition(|number| orders[*number].key == Key::One);
    for of in [&keyed, &keyless] {
        for place in some(rng, 0.08, of.len()) {
            let order = &mut orders[of[place]];
            if order.cancel.is_none() {
                order.delete = Some(seconds(rng, 0.0, 12.0));
            }
        }
    }
    for place in some(rng, 0.15, keyed.len()) {
        orders[keyed[place]].key = Key::Twins;
    }
    repeat(&mut orders, rng);
    orders
}

/// So many of them, at least one.
fn some(rng: &mut Rng, share: f64, of: usize) -> Vec<usize> {
    let count = (of as f64 * share).ceil() as usize;
    rng.choose_multiple(0..of, count)
}

/// Makes one tenant submit more than its line holds within a second, and another one more than its rate within some more.
fn burst(options: &Options, orders: &mut [Order], rng: &mut Rng) {
    let hasty = (LINE + TENANT_CAP + 10) as usize;
    let steady = (SUBMIT_RATE + 8) as usize;
    let mut rest = orders.iter_mut();
    for _ in 0..options.bursts() {
        let tenant = rng.usize(..options.tenants);
        let other = (tenant + 1) % options.tenants;
        for (count, tenant, lasts) in [(hasty, tenant, HASTY), (steady, other, STEADY)] {
            let begin = between(rng, Duration::ZERO, options.span() - lasts);
            for order in rest.by_ref().take(count) {
                order.tenant = tenant;
                order.at = between(rng, begin, begin + lasts);
            }
        }
    }
}

/// Makes some orders ask for what the same tenant asked for before: every second one for the same track, the others for another
/// track of the same plan.
fn repeat(orders: &mut [Order], rng: &mut Rng) {
    let mut numbers = some(rng, 0.12, orders.len());
    numbers.sort_unstable();
    for (place, number) in numbers.into_iter().enumerate() {
        let order = &orders[number];
        let before = |earlier: &usize| {
            let earlier = &orders[*earlier];
            earlier.tenant == order.tenant && earlier.at + SOON <= order.at
        };
        let Some(first) = (0..number).rev().find(before) else {
            continue;
        };
        if place % 2 == 0 {
            let seed = *orders[first].seed.get_or_insert_with(|| rng.u32(..));
            orders[number].seed = Some(seed);
        }
        let Order { song, seconds, .. } = orders[first];
        (orders[number].song, orders[number].seconds) = (song, seconds);
    }
}

/// One after the other, each of another worker than the one before, and all so early that the run sees them thaw.
fn freezes(options: &Options, rng: &mut Rng) -> Vec<Planned> {
    let mut faults = Vec::new();
    let mut at = seconds(rng, 2.0, 4.0);
    let mut worker = rng.usize(..options.workers);
    while at < options.span() - LEASE {
        let lasts = LEASE + seconds(rng, 2.0, 8.0);
        let fault = Fault::Freeze { worker, lasts };
        faults.push(Planned { at, fault });
        at += seconds(rng, 15.0, 25.0);
        worker = (worker + rng.usize(1..options.workers / 2)) % options.workers;
    }
    faults
}

/// About every 300 ms one that is not frozen then.
fn kills(options: &Options, freezes: &[Planned], rng: &mut Rng) -> Vec<Planned> {
    let mut faults = Vec::new();
    let mut at = seconds(rng, 1.0, 2.0);
    while at < options.span() {
        let frozen = |worker| {
            freezes.iter().any(|freeze| {
                matches!(freeze.fault, Fault::Freeze { worker: one, lasts }
                    if one == worker && (freeze.at..freeze.at + lasts).contains(&at))
            })
        };
        let worker = rng.usize(..options.workers);
        if !frozen(worker) {
            let fault = Fault::Kill { worker };
            faults.push(Planned { at, fault });
        }
        at += seconds(rng, 0.15, 0.45);
    }
    faults
}

/// Each in its own part of the span, so that a loss can be told from the one before.
fn redis_faults(options: &Options, rng: &mut Rng) -> Vec<Planned> {
    let mut faults = Vec::new();
    for _ in 0..options.restarts() {
        let down = seconds(rng, 0.5, 2.5);
        faults.push(Fault::Restart { down });
    }
    faults.extend(std::iter::repeat_n(Fault::Flush, options.flushes()));
    for number in 0..options.holes() {
        let lasts = seconds(rng, 2.0, 5.0);
        faults.push(match number % 3 {
            0 => Fault::Hole { lasts },
            1 => Fault::Deaf { lasts },
            _ => Fault::Cut,
        });
    }
    for _ in 0..options.outages() {
        let lasts = seconds(rng, 2.0, 4.0);
        faults.push(Fault::Full { lasts });
        let lasts = options.api_hangs().mul_f64(0.5 + rng.f64() / 2.0);
        faults.push(Fault::ApiHangs { lasts });
        let lasts = options.store_away().mul_f64(0.5 + rng.f64() / 2.0);
        faults.push(Fault::StoreAway { lasts });
    }
    rng.shuffle(&mut faults);
    let lead = Duration::from_secs(5);
    let part = (options.span() - lead) / faults.len() as u32;
    let mut at = lead;
    faults
        .into_iter()
        .map(|fault| {
            let planned = Planned {
                at: between(rng, at, at + part / 3),
                fault,
            };
            at += part;
            planned
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn count(schedule: &Schedule, is: impl Fn(&Fault) -> bool) -> usize {
        let faults = schedule.faults.iter();
        faults.filter(|planned| is(&planned.fault)).count()
    }

    #[test]
    fn a_seed_draws_the_same_schedule_again_and_another_seed_another_one() {
        let draw = |seed| Schedule::draw(&Options::long(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn even_a_short_run_has_every_fault() {
        for seed in 0..50 {
            let options = Options::short(seed);
            let schedule = Schedule::draw(&options);
            assert_eq!(schedule.orders.len(), options.jobs);
            assert!(count(&schedule, |f| matches!(f, Fault::Kill { .. })) > 50);
            assert!(count(&schedule, |f| matches!(f, Fault::Freeze { .. })) > 0);
            assert!(count(&schedule, |f| matches!(f, Fault::Restart { .. })) > 0);
            assert!(count(&schedule, |f| *f == Fault::Flush) > 0);
            assert!(count(&schedule, |f| matches!(f, Fault::Hole { .. })) > 0);
            assert!(count(&schedule, |f| matches!(f, Fault::Deaf { .. })) > 0);
            assert!(count(&schedule, |f| *f == Fault::Cut) > 0);
            assert!(count(&schedule, |f| matches!(f, Fault::Full { .. })) > 0);
            assert!(count(&schedule, |f| matches!(f, Fault::ApiHangs { .. })) > 0);
            assert!(count(&schedule, |f| matches!(f, Fault::StoreAway { .. })) > 0);
        }
    }

    /// The most orders of one tenant within this time.
    fn busiest(schedule: &Schedule, within: Duration) -> usize {
        let orders = &schedule.orders;
        let beside = |order: &Order| {
            let near = orders.iter().filter(|other| {
                other.tenant == order.tenant && (order.at..order.at + within).contains(&other.at)
            });
            near.count()
        };
        orders.iter().map(beside).max().unwrap_or_default()
    }

    #[test]
    fn even_a_short_run_has_every_kind_of_order() {
        for seed in 0..50 {
            let schedule = Schedule::draw(&Options::short(seed));
            let some = |is: fn(&Order) -> bool| schedule.orders.iter().any(is);
            assert!(some(|order| order.cancel.is_some()));
            assert!(some(|order| order.key == Key::Twins));
            assert!(some(
                |order| order.key == Key::None && order.delete.is_some()
            ));
            assert!(some(
                |order| order.key != Key::None && order.delete.is_some()
            ));
            let same = |of: fn(&Order) -> Option<(usize, u32)>| {
                let asked: Vec<_> = schedule.orders.iter().filter_map(of).collect();
                let different: BTreeSet<_> = asked.iter().collect();
                asked.len() - different.len()
            };
            assert!(same(|order| Some((order.song, 0))) > 3);
            assert!(same(|order| Some((order.song, order.seed?))) > 0);
            assert!(busiest(&schedule, HASTY) > (LINE + TENANT_CAP) as usize);
            assert!(busiest(&schedule, STEADY) > SUBMIT_RATE as usize);
        }
    }

    #[test]
    fn at_most_half_of_the_workers_are_frozen_at_a_time_and_none_is_killed_meanwhile() {
        for seed in 0..20 {
            let options = Options::long(seed);
            let schedule = Schedule::draw(&options);
            let frozen = |at: Duration| -> Vec<usize> {
                let faults = schedule.faults.iter();
                let at = faults.filter_map(|planned| match planned.fault {
                    Fault::Freeze { worker, lasts }
                        if (planned.at..planned.at + lasts).contains(&at) =>
                    {
                        Some(worker)
                    }
                    _ => None,
                });
                at.collect()
            };
            for planned in &schedule.faults {
                let frozen = frozen(planned.at);
                assert!(frozen.len() <= options.workers / 2, "{frozen:?}");
                if let Fault::Kill { worker } = planned.fault {
                    assert!(!frozen.contains(&worker));
                }
            }
        }
    }
}
