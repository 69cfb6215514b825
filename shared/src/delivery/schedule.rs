//! When a message is tried again, and when no more.

use std::time::Duration;

use crate::endpoint::Target;

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// Seconds from each failed try to the next one (Standard Webhooks, "Retries").
const PAUSES: [u64; 7] = [
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    24 * HOUR,
];
/// A receiver may ask for a longer pause, up to this.
const MOST: Duration = Duration::from_secs(24 * HOUR);
/// An endpoint that fails for so long without a success between is disabled.
const WORN_OUT: Duration = Duration::from_secs(5 * 24 * HOUR);

/// A cancel that failed is tried again after a second, and then twice as late each time, up to this.
const CANCEL_MOST: Duration = Duration::from_secs(MINUTE);
/// A fault of our own is over, or not, after that.
const OWN_FAULT: Duration = Duration::from_secs(10);

/// The pause after so many tries, all failed; none when that was the last. With jitter U[0.9, 1.1).
pub(super) fn pause(target: Target, tries: u32, asked: Option<Duration>) -> Option<Duration> {
    let index = tries.saturating_sub(1);
    let own = match target {
        Target::Webhook(_) | Target::Api => {
            let seconds = PAUSES.get(usize::try_from(index).ok()?)?;
            Duration::from_secs(*seconds)
        }
        // Its time is over soon.
        Target::Model => Duration::from_secs(SECOND << index.min(6)).min(CANCEL_MOST),
    };
    Some(jittered(own).max(asked.unwrap_or_default().min(MOST)))
}

/// When a message that could not be looked up is tried again.
pub(super) fn own_fault() -> Duration {
    jittered(OWN_FAULT)
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.9 + fastrand::f64() / 5.0)
}

/// Whether an endpoint has failed for too long.
pub(super) fn is_worn_out(failing: Duration) -> bool {
    failing >= WORN_OUT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Hook;

    const HOOK: Target = Target::Webhook(Hook::Job);

    #[test]
    fn pauses_grow_with_jitter_and_end_after_the_eighth_try() {
        let expected = [5, 300, 1800, 7200, 18_000, 36_000, 86_400];
        for (tries, seconds) in (1..).zip(expected) {
            let full = Duration::from_secs(seconds);
            let pauses: Vec<_> = (0..100)
                .map(|_| pause(HOOK, tries, None).unwrap())
                .collect();
            let within = full.mul_f64(0.9)..full.mul_f64(1.1);
            assert!(pauses.iter().all(|p| within.contains(p)), "{tries}");
            assert!(pauses.iter().any(|p| *p != pauses[0]), "{tries}");
        }
        assert_eq!(pause(Target::Api, 8, None), None);
        assert_eq!(pause(HOOK, 8, Some(Duration::from_secs(1))), None);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_of_a_day_at_most() {
        let hour = Duration::from_secs(HOUR);
        assert_eq!(pause(HOOK, 1, Some(hour)), Some(hour));
        assert_eq!(pause(HOOK, 1, Some(100 * hour)), Some(24 * hour));
        let own = pause(HOOK, 2, Some(Duration::from_secs(1))).unwrap();
        assert!(own >= Duration::from_secs(270), "{own:?}");
    }

    #[test]
    fn a_cancel_is_tried_each_minute_at_the_latest_for_as_long_as_it_lives() {
        for (tries, seconds) in [(1, 1), (2, 2), (3, 4), (7, 60), (100, 60)] {
            let full = Duration::from_secs(seconds);
            let pause = pause(Target::Model, tries, None).unwrap();
            assert!(
                (full.mul_f64(0.9)..full.mul_f64(1.1)).contains(&pause),
                "{tries}"
            );
        }
    }

    #[test]
    fn an_endpoint_is_worn_out_after_five_days_of_failure() {
        let days = |n: f64| Duration::from_secs_f64(n * 86_400.0);
        assert!(!is_worn_out(days(4.9)) && is_worn_out(days(5.0)));
    }
}
