//! What happens on a day, decided beforehand. All times are seconds of that day.

use std::f64::consts::PI;

use shared::job::TenantId;
use shared::priority::Priority;

pub(super) const DAY: f64 = 86_400.0;
const TENANTS: usize = 20;
/// Jobs that one tenant submits at once, and how often somebody does.
const BURST: usize = 50;
const BURSTS: usize = 12;
/// Seconds of `plan`, and of `audio` for each requested second; the latter varies by a log-normal factor.
const PLAN: f64 = 10.0;
const AUDIO: f64 = 1.0;
const SPREAD: f64 = 0.3;
/// When a quarter of the slots is taken away.
const FEWER: f64 = 11.5 * 3_600.0;
const FAILS: f64 = 0.1;
const CANCELLED: f64 = 0.03;
pub(super) const ATTEMPTS: u32 = 3;
/// Share of what the slots of that hour can do that is submitted at each hour, bursts apart: a quiet night, peaks beyond it in the morning
/// and in the evening.
const CURVE: [f64; 24] = [
    0.3, 0.2, 0.15, 0.15, 0.15, 0.2, 0.4, 0.7, 1.1, 1.3, 1.1, 0.8, 0.7, 0.75, 0.7, 0.6, 0.7, 0.9,
    1.2, 1.4, 1.2, 0.8, 0.5, 0.4,
];

/// One who submits.
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) weight: u32,
    pub(super) cap: u32,
}

/// One job to be.
#[derive(Clone)]
pub(super) struct Arrival {
    pub(super) at: f64,
    pub(super) tenant: usize,
    pub(super) priority: Priority,
    /// Requested audio seconds.
    pub(super) cost: u32,
    /// How long each attempt takes, and whether it fails.
    pub(super) attempts: Vec<Attempt>,
    /// Its owner gives up so long after submitting it.
    pub(super) cancel_after: Option<f64>,
}

/// One attempt of a job.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    pub(super) plan: f64,
    pub(super) audio: f64,
    pub(super) fails: bool,
}

/// What an operator does.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Slots(u32),
    Pause,
    Resume,
}

pub(super) struct Day {
    pub(super) slots: u32,
    pub(super) tenants: Vec<Tenant>,
    /// In the order of time.
    pub(super) arrivals: Vec<Arrival>,
    pub(super) orders: Vec<(f64, Order)>,
}

impl Day {
    /// The same for the same seed.
    pub(super) fn plan(seed: u64, slots: u32) -> Self {
        let mut dice = Dice(fastrand::Rng::with_seed(seed));
        let tenants: Vec<_> = (0..TENANTS)
            .map(|number| dice.tenant(number, slots))
            .collect();
        let mut arrivals = Vec::new();
        let fewer = (slots * 3 / 4).max(1);
        // Attempts that fail are made again.
        let a_slot = 1.0 / (dice.mean_service() * (1.0 + FAILS));
        let mut at = 0.0;
        while at < DAY {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an hour"
            )]
            let hour = (at / 3_600.0) as usize;
            let capacity = a_slot * f64::from(if at < FEWER { slots } else { fewer });
            at += -dice.share().ln() / (CURVE[hour % 24] * capacity);
            let tenant = dice.popular();
            arrivals.push(dice.arrival(at, tenant));
        }
        for _ in 0..BURSTS {
            let (at, tenant) = (DAY * dice.share(), dice.0.usize(..TENANTS));
            arrivals.extend((0..BURST).map(|_| dice.arrival(at, tenant)));
        }
        arrivals.retain(|arrival| arrival.at < DAY);
        arrivals.sort_by(|one, other| one.at.total_cmp(&other.at));
        let pause = 3_600.0 * (14.0 + dice.share());
        let orders = vec![
            (FEWER, Order::Slots(fewer)),
            (pause, Order::Pause),
            (pause + 600.0, Order::Resume),
        ];
        Self {
            slots,
            tenants,
            arrivals,
            orders,
        }
    }
}

struct Dice(fastrand::Rng);

impl Dice {
    /// In (0, 1].
    fn share(&mut self) -> f64 {
        1.0 - self.0.f64()
    }

    /// Of mean 0 and deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.share().ln()).sqrt() * (2.0 * PI * self.share()).cos()
    }

    fn tenant(&mut self, number: usize, slots: u32) -> Tenant {
        let weight = [1, 1, 1, 2, 4][number % 5];
        let cap = [slots, slots / 2, slots / 2, slots / 4][number % 4].max(1);
        Tenant {
            id: TenantId::new(&format!("tenant-{number}")),
            weight,
            cap,
        }
    }

    /// A few submit most.
    fn popular(&mut self) -> usize {
        let share = self.share();
        (0..TENANTS - 1)
            .find(|rank| share > 0.75_f64.powi(i32::try_from(*rank + 1).unwrap_or(0)))
            .unwrap_or(TENANTS - 1)
    }

    /// 5 to 300, short ones more often: as many from 5 to 10 as from 150 to 300.
    fn cost(&mut self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 300"
        )]
        let cost = (5.0 * 60_f64.powf(self.share())).round() as u32;
        cost
    }

    fn mean_service(&self) -> f64 {
        PLAN + AUDIO * (300.0 - 5.0) / 60_f64.ln()
    }

    fn arrival(&mut self, at: f64, tenant: usize) -> Arrival {
        let priority = match self.0.u32(..20) {
            0..2 => Priority::High,
            2..17 => Priority::Normal,
            _ => Priority::Low,
        };
        let cost = self.cost();
        let attempt = |dice: &mut Self| Attempt {
            plan: PLAN * (0.8 + 0.4 * dice.share()),
            audio: AUDIO * f64::from(cost) * (SPREAD * dice.normal() - SPREAD * SPREAD / 2.0).exp(),
            fails: dice.share() < FAILS,
        };
        let attempts = (0..ATTEMPTS).map(|_| attempt(self)).collect();
        let gives_up = self.share() < CANCELLED;
        let cancel_after = gives_up.then(|| 600.0 * self.share());
        Arrival {
            at,
            tenant,
            priority,
            cost,
            attempts,
            cancel_after,
        }
    }
}
