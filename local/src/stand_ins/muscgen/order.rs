//! muscgen's switches, and what they mean for one render.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::stand_ins::chance::Fate;
use crate::stand_ins::faults::{Common, FaultState, Faults, Seconds, Speed, Switches, spend};

/// muscgen's switches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MuscgenFaults {
    #[serde(flatten)]
    pub common: Common,
    /// How long the pretended GPU works, by its own clock.
    pub render_seconds: Seconds,
    /// How many times as fast that clock runs.
    pub speed: Speed,
    /// Well-formed audio with nothing to hear.
    pub silent_times: u32,
    /// Audio of a third of the length.
    pub short_times: u32,
}

impl Default for MuscgenFaults {
    fn default() -> Self {
        Self {
            common: Common::default(),
            render_seconds: Seconds::new(2),
            speed: Speed::default(),
            silent_times: 0,
            short_times: 0,
        }
    }
}

impl Switches for MuscgenFaults {}

impl FaultState for MuscgenFaults {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

/// What comes out of a render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Music,
    Silence,
    Short,
    Garbage,
    Huge,
    Endless,
}

/// How a render ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    ReportedFailed,
    NeverReported,
}

/// One render's fate, settled when it starts.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) faults: MuscgenFaults,
    pub(crate) product: Product,
    pub(crate) ending: Ending,
}

impl Order {
    /// Counts a new render against the switches: at most one fault each.
    pub(crate) fn take(faults: &Faults<MuscgenFaults>, reports: bool, fate: Fate) -> Self {
        let fate = if reports { fate } else { Fate::Usual };
        let mut order = Self::drawn(faults, reports, fate);
        if fate == Fate::Late {
            let common = &mut order.faults.common;
            common.report_delay_seconds = common.chances.late_seconds;
        }
        order
    }

    fn drawn(faults: &Faults<MuscgenFaults>, reports: bool, fate: Fate) -> Self {
        faults.with(|state| {
            let common = &mut state.common;
            let ending = if fate == Fate::Never || reports && spend(&mut common.never_report_times)
            {
                Ending::NeverReported
            } else if fate == Fate::ReportFailed
                || reports && spend(&mut common.report_failed_times)
            {
                Ending::ReportedFailed
            } else {
                Ending::Completed
            };
            let product = if ending != Ending::Completed {
                Product::Music
            } else if spend(&mut state.common.garbage_times) {
                Product::Garbage
            } else if spend(&mut state.common.huge_times) {
                Product::Huge
            } else if !reports && spend(&mut state.common.endless_times) {
                Product::Endless
            } else if spend(&mut state.silent_times) {
                Product::Silence
            } else if spend(&mut state.short_times) {
                Product::Short
            } else {
                Product::Music
            };
            Self {
                faults: state.clone(),
                product,
                ending,
            }
        })
    }

    /// Whether a repeat of the request is to render anew: a fault passes, it is not kept under the key.
    pub(crate) fn is_faulty(&self) -> bool {
        self.product != Product::Music || self.ending != Ending::Completed
    }

    /// How long the render takes for everybody else.
    pub(crate) fn render_time(&self) -> Duration {
        self.faults
            .speed
            .real(self.faults.render_seconds.duration())
    }

    pub(crate) fn early_report(&self) -> bool {
        self.faults.common.early_report
    }
}
