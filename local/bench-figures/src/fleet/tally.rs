//! Counts what the scripts and the functions do.

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;
use shared::queue::QueueError;

use crate::Result;
use crate::scale::meter;

/// Of the time that was measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    pub(super) scripts: BTreeMap<&'static str, u64>,
    /// Time of the thread that runs the scripts, µs.
    pub(super) cpu: f64,
    pub(super) submitted: u64,
    pub(super) completed: u64,
    /// Invocations of the worker, and how long they took together, ms.
    pub(super) invocations: u64,
    pub(super) worked_ms: u64,
    /// Calls of the API.
    pub(super) requests: u64,
}

pub(super) struct Tally {
    raw: MultiplexedConnection,
    pub(super) now: Measured,
    /// Of each script, how often it was timed, and how long that took the server, in µs.
    pub(super) timed: BTreeMap<&'static str, (u64, f64)>,
    begun: f64,
    times_each_call: bool,
}

impl Tally {
    pub(super) fn new(raw: MultiplexedConnection) -> Self {
        Self {
            raw,
            now: Measured::default(),
            timed: BTreeMap::new(),
            begun: 0.0,
            times_each_call: false,
        }
    }

    /// From here on everything counts.
    pub(super) async fn begin(&mut self) -> Result<()> {
        self.now = Measured::default();
        self.begun = meter::cpu(&mut self.raw).await?;
        Ok(())
    }

    pub(super) async fn end(&mut self) -> Result<Measured> {
        let cpu = meter::cpu(&mut self.raw).await? - self.begun;
        let counted = std::mem::take(&mut self.now);
        Ok(Measured { cpu, ..counted })
    }

    /// From here on Redis is asked before and after each call, which makes all slower but itself.
    pub(super) fn time_each_call(&mut self) {
        self.times_each_call = true;
    }

    /// Counts a call, and times it.
    pub(super) async fn call<T>(
        &mut self,
        name: &'static str,
        call: impl Future<Output = std::result::Result<T, QueueError>>,
    ) -> Result<T> {
        *self.now.scripts.entry(name).or_default() += 1;
        if !self.times_each_call {
            return Ok(call.await?);
        }
        let started = meter::start(&mut self.raw).await?;
        let answer = call.await?;
        let cost = meter::stop(&mut self.raw, started).await?;
        #[expect(clippy::cast_precision_loss, reason = "one call has few scripts")]
        let micros = cost.mean * cost.calls as f64;
        let (times, all) = self.timed.entry(name).or_default();
        (*times, *all) = (*times + 1, *all + micros);
        Ok(answer)
    }
}
