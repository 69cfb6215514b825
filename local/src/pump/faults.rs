//! What may happen to a bell on its way.

use std::sync::{Mutex, PoisonError};

use crate::options::BellFaults;

/// What becomes of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    Dropped,
    Duplicated,
}

impl Fate {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
            Self::Duplicated => "duplicated",
        }
    }
}

/// Draws fates from a seed: the same seed, the same fates in the same order.
#[derive(Debug)]
pub(super) struct Dice {
    faults: BellFaults,
    rng: Mutex<fastrand::Rng>,
}

impl Dice {
    pub(super) fn new(faults: BellFaults) -> Self {
        let rng = Mutex::new(fastrand::Rng::with_seed(faults.seed));
        Self { faults, rng }
    }

    pub(super) fn throw(&self) -> Fate {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        match rng.f64() {
            share if share < self.faults.drop => Fate::Dropped,
            share if share < self.faults.drop + self.faults.duplicate => Fate::Duplicated,
            _ => Fate::Delivered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_fates_in_about_the_shares_asked_for() {
        let faults = BellFaults {
            seed: 7,
            drop: 0.1,
            duplicate: 0.2,
        };
        let draw = || {
            let dice = Dice::new(faults);
            (0..2_000).map(|_| dice.throw()).collect::<Vec<_>>()
        };
        let fates = draw();
        assert_eq!(fates, draw());
        let count = |fate| fates.iter().filter(|one| **one == fate).count();
        assert!((140..=260).contains(&count(Fate::Dropped)));
        assert!((320..=480).contains(&count(Fate::Duplicated)));
    }

    #[test]
    fn without_faults_every_bell_is_delivered() {
        let dice = Dice::new(BellFaults::default());
        assert!((0..1_000).all(|_| dice.throw() == Fate::Delivered));
    }
}
