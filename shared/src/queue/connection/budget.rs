//! How many calls may be sent a second time: a share of all calls, so that trouble does not double the load that may be its cause.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// One call in ten may be repeated.
const EARNED: u32 = 1;
const COST: u32 = 10;
/// Repeats that may come at once: those of all calls that were under way over a connection that died.
const BURST: u32 = 32;

pub(super) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(BURST * COST))
    }
}

impl Budget {
    /// A call was made.
    pub(super) fn earn(&self) {
        let more = |had: u32| Some((had + EARNED).min(BURST * COST));
        let _ = self.0.fetch_update(Relaxed, Relaxed, more);
    }

    /// Whether one may be made again.
    pub(super) fn spend(&self) -> bool {
        let less = |had: u32| had.checked_sub(COST);
        self.0.fetch_update(Relaxed, Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_allowed_for_one_call_in_ten_and_a_burst_at_the_start() {
        let budget = Budget::default();
        let burst = std::iter::repeat_with(|| budget.spend()).take_while(|ok| *ok);
        assert_eq!(burst.count(), BURST as usize);
        let mut repeats = 0;
        for _ in 0..100 {
            budget.earn();
            repeats += u32::from(budget.spend());
        }
        assert_eq!(repeats, 10);
    }
}
