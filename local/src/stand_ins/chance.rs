//! Faults by chance. The fate of a call follows from a seed, the call's key and how often that key was asked before, so that
//! a run can be made again, and a call that is repeated has another fate.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::faults::Seconds;

/// A part of all calls, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

/// What part of the calls has which fate; what is left goes well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chances {
    pub chance_seed: u32,
    /// Refused with `failStatus`.
    pub fail_chance: Share,
    /// 202, and then a callback that says `failed`, retryable.
    pub report_failed_chance: Share,
    /// 202, and a completed report that comes later by `lateSeconds`.
    pub late_chance: Share,
    /// 202, and then nothing.
    pub never_chance: Share,
    pub late_seconds: Seconds,
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    #[default]
    Usual,
    Fail,
    ReportFailed,
    Late,
    Never,
}

impl Fate {
    /// Whether it shows in reports only.
    pub fn reports(self) -> bool {
        matches!(self, Self::ReportFailed | Self::Late | Self::Never)
    }
}

impl Chances {
    /// The fate of the call under `key` that comes after `before` others.
    pub fn fate(&self, key: &str, before: usize) -> Fate {
        let mut hasher = DefaultHasher::new();
        (self.chance_seed, key, before).hash(&mut hasher);
        let drawn = fastrand::Rng::with_seed(hasher.finish()).f64();
        let shares = [
            (self.fail_chance, Fate::Fail),
            (self.report_failed_chance, Fate::ReportFailed),
            (self.late_chance, Fate::Late),
            (self.never_chance, Fate::Never),
        ];
        let mut limit = 0.0;
        for (Share(share), fate) in shares {
            limit += share;
            if drawn < limit {
                return fate;
            }
        }
        Fate::Usual
    }
}

impl Default for Chances {
    fn default() -> Self {
        let none = Share::default();
        Self {
            chance_seed: 0,
            fail_chance: none,
            report_failed_chance: none,
            late_chance: none,
            never_chance: none,
            late_seconds: Seconds::default(),
        }
    }
}

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(share: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self(share))
        } else {
            Err("must be 0 to 1")
        }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chances() -> Chances {
        Chances {
            chance_seed: 3,
            fail_chance: Share(0.1),
            late_chance: Share(0.2),
            ..Chances::default()
        }
    }

    #[test]
    fn fates_come_in_about_the_shares_asked_for_and_come_again_with_the_same_seed() {
        let draw = |chances: &Chances| -> Vec<Fate> {
            let key = |n: i32| format!("job-{n}:audio:7:0");
            (0..2_000).map(|n| chances.fate(&key(n), 0)).collect()
        };
        let fates = draw(&chances());
        assert_eq!(fates, draw(&chances()));
        let count = |fate| fates.iter().filter(|one| **one == fate).count();
        assert!((140..=260).contains(&count(Fate::Fail)));
        assert!((320..=480).contains(&count(Fate::Late)));
        assert_eq!(count(Fate::Never), 0);
        assert!(
            draw(&Chances::default())
                .iter()
                .all(|fate| *fate == Fate::Usual)
        );
    }

    #[test]
    fn a_repeated_call_may_have_another_fate() {
        let fates: Vec<_> = (0..200)
            .map(|before| chances().fate("key", before))
            .collect();
        assert!(fates.contains(&Fate::Usual) && fates.contains(&Fate::Late));
    }
}
