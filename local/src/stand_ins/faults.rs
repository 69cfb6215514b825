//! Switches that make a stand-in misbehave: `GET` and `PUT /faults`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::chance::{Chances, Fate};

/// How a service answers `POST /generate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A callback when the request offers one and the service likes them, else at once.
    #[default]
    Auto,
    Sync,
    Json,
    Url,
    Callback,
}

/// Up to an hour, written as a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Seconds(Duration);

/// How many times as fast as a real one a clock runs, 1 to 10000.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Speed(f64);

/// An error status, 400 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ErrorStatus(u16);

/// The two ways of a full service to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct BusyStatus(u16);

/// What jen1 and muscgen can be told. Fields in `…_times` count down, one a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    pub mode: Mode,
    pub fail_times: u32,
    pub fail_status: ErrorStatus,
    pub busy_times: u32,
    pub busy_status: BusyStatus,
    pub retry_after_seconds: u32,
    /// Answers that are no audio, or no JSON.
    pub garbage_times: u32,
    /// Answers of 50 MB: a plan that long, or audio with so much beside it.
    pub huge_times: u32,
    /// Answers that go on until the caller hangs up.
    pub endless_times: u32,
    /// Callbacks that say `failed`, retryable.
    pub report_failed_times: u32,
    /// 202, and then nothing.
    pub never_report_times: u32,
    /// How much later than the work the completed report comes.
    pub report_delay_seconds: Seconds,
    /// Reports completed before the 202 is answered.
    pub early_report: bool,
    pub report_twice: bool,
    #[serde(flatten)]
    pub chances: Chances,
}

/// One service's switches.
pub trait Switches: Clone + Default + Serialize + DeserializeOwned + Send + 'static {
    /// What is wrong with these values, each of which is well by itself.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// The switches of a service that may answer by callback.
pub trait FaultState: Switches {
    /// The part that such services share.
    fn common(&mut self) -> &mut Common;
}

/// A call that is refused before any work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Fail {
        status: u16,
    },
    Busy {
        status: u16,
        retry_after_seconds: u32,
    },
}

/// The current fault state of a running service.
#[derive(Default)]
pub struct Faults<F>(Mutex<F>);

impl<F: Switches> Faults<F> {
    /// A copy of the state.
    pub fn get(&self) -> F {
        self.with(|state| state.clone())
    }

    /// Changes the named fields and returns the whole state; an unknown field or a bad value changes nothing.
    pub fn change(&self, fields: Map<String, Value>) -> Result<F, String> {
        self.with(|state| {
            let Ok(Value::Object(mut all)) = serde_json::to_value(&*state) else {
                return Err("the state is no object".to_owned());
            };
            for (name, value) in fields {
                let Some(field) = all.get_mut(&name) else {
                    return Err(format!("unknown field {name:?}"));
                };
                *field = value;
            }
            let changed: F = serde_json::from_value(all.into()).map_err(|e| e.to_string())?;
            if let Some(fault) = changed.fault() {
                return Err(fault);
            }
            *state = changed.clone();
            Ok(changed)
        })
    }

    /// Reads and changes the state in one step.
    pub fn with<T>(&self, change: impl FnOnce(&mut F) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: FaultState> Faults<F> {
    /// Counts a call against `failTimes`, then `busyTimes`; or its fate is to fail.
    pub fn refusal(&self, fate: Fate) -> Option<Refusal> {
        self.with(|state| {
            let common = state.common();
            if spend(&mut common.fail_times) || fate == Fate::Fail {
                Some(Refusal::Fail {
                    status: common.fail_status.0,
                })
            } else if spend(&mut common.busy_times) {
                Some(Refusal::Busy {
                    status: common.busy_status.0,
                    retry_after_seconds: common.retry_after_seconds,
                })
            } else {
                None
            }
        })
    }
}

/// Takes one from a counter, if there is one.
pub fn spend(times: &mut u32) -> bool {
    let some = *times > 0;
    *times = times.saturating_sub(1);
    some
}

impl Default for Common {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            fail_times: 0,
            fail_status: ErrorStatus::default(),
            busy_times: 0,
            busy_status: BusyStatus(503),
            retry_after_seconds: 1,
            garbage_times: 0,
            huge_times: 0,
            endless_times: 0,
            report_failed_times: 0,
            never_report_times: 0,
            report_delay_seconds: Seconds::default(),
            early_report: false,
            report_twice: false,
            chances: Chances::default(),
        }
    }
}

impl Default for ErrorStatus {
    fn default() -> Self {
        Self(500)
    }
}

impl Seconds {
    /// Whole seconds.
    pub const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<f64> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        if (0.0..=3_600.0).contains(&seconds) {
            Ok(Self(Duration::from_secs_f64(seconds)))
        } else {
            Err("must be 0 to 3600 seconds")
        }
    }
}

impl From<Seconds> for f64 {
    fn from(seconds: Seconds) -> Self {
        seconds.0.as_secs_f64()
    }
}

impl Default for Speed {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Speed {
    /// How long that is for everybody else.
    pub fn real(self, own: Duration) -> Duration {
        own.div_f64(self.0)
    }
}

impl TryFrom<f64> for Speed {
    type Error = &'static str;

    fn try_from(times: f64) -> Result<Self, Self::Error> {
        if (1.0..=10_000.0).contains(&times) {
            Ok(Self(times))
        } else {
            Err("must be 1 to 10000")
        }
    }
}

impl From<Speed> for f64 {
    fn from(speed: Speed) -> Self {
        speed.0
    }
}

impl TryFrom<u16> for ErrorStatus {
    type Error = &'static str;

    fn try_from(status: u16) -> Result<Self, Self::Error> {
        if (400..=599).contains(&status) {
            Ok(Self(status))
        } else {
            Err("must be an error status, 400 to 599")
        }
    }
}

impl From<ErrorStatus> for u16 {
    fn from(status: ErrorStatus) -> Self {
        status.0
    }
}

impl TryFrom<u16> for BusyStatus {
    type Error = &'static str;

    fn try_from(status: u16) -> Result<Self, Self::Error> {
        if matches!(status, 429 | 503) {
            Ok(Self(status))
        } else {
            Err("must be 429 or 503")
        }
    }
}

impl From<BusyStatus> for u16 {
    fn from(status: BusyStatus) -> Self {
        status.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_ins::jen1::Jen1Faults;
    use serde_json::json;

    fn change(faults: &Faults<Jen1Faults>, fields: Value) -> Result<Jen1Faults, String> {
        faults.change(fields.as_object().unwrap().clone())
    }

    #[test]
    fn a_subset_changes_only_what_it_names() {
        let faults = Faults::default();
        change(&faults, json!({"failTimes": 2})).unwrap();
        let state = change(&faults, json!({"planSeconds": 0.5})).unwrap();
        let state = serde_json::to_value(state).unwrap();
        assert_eq!(
            (&state["failTimes"], &state["planSeconds"]),
            (&json!(2), &json!(0.5))
        );
    }

    #[test]
    fn nonsense_is_refused_and_changes_nothing() {
        let faults = Faults::default();
        for fields in [
            json!({"failTimes": 1, "renderSeconds": 2}),
            json!({"failTimes": 1, "nonsense": true}),
            json!({"failTimes": -1}),
            json!({"lateChance": 1.5}),
            json!({"failStatus": 200}),
            json!({"busyStatus": 500}),
            json!({"planSeconds": 1e9}),
            json!({"mode": "url"}),
        ] {
            assert!(change(&faults, fields.clone()).is_err(), "{fields}");
        }
        assert_eq!(faults.get(), Jen1Faults::default());
    }

    #[test]
    fn counters_run_out() {
        let faults = Faults::default();
        change(
            &faults,
            json!({"failTimes": 1, "busyTimes": 1, "busyStatus": 429}),
        )
        .unwrap();
        assert_eq!(
            faults.refusal(Fate::Usual),
            Some(Refusal::Fail { status: 500 })
        );
        let busy = Refusal::Busy {
            status: 429,
            retry_after_seconds: 1,
        };
        assert_eq!(faults.refusal(Fate::Usual), Some(busy));
        assert_eq!(faults.refusal(Fate::Usual), None);
        let unlucky = Some(Refusal::Fail { status: 500 });
        assert_eq!(faults.refusal(Fate::Fail), unlucky);
    }
}
