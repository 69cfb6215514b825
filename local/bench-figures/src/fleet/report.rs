//! The table of `fleet`, and where it breaks.

use std::io::{Write, stdout};

use super::options::Options;
use super::tally::{Measured, Tally};
use crate::{Result, Verdict};

/// Of a core, so that a burst does not wait.
const FULL: f64 = 0.7;
/// Workers that one queue may have at a time on AWS Lambda.
const WORKERS: f64 = 1000.0;

pub(super) fn head(options: &Options) -> Result<()> {
    writeln!(
        stdout(),
        "fleet: {} GPUs, {} slots, {:.0} tracks a second of {} tenants, {} simulated seconds",
        options.gpus,
        options.slots(),
        options.tracks_a_second(),
        options.tenants,
        options.seconds
    )?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a minute")]
pub(super) fn print(options: &Options, measured: &Measured, tally: &Tally) -> Verdict {
    let mut out = stdout();
    let (tracks, seconds) = (measured.completed.max(1) as f64, options.seconds as f64);
    writeln!(
        out,
        "  {:<10}{:>14}{:>10}{:>14}{:>8}",
        "script", "calls a track", "µs", "µs a track", "share"
    )?;
    let cost = |name: &str, calls: u64| {
        let (timed, micros) = tally.timed.get(name).copied().unwrap_or_default();
        let each = micros / (timed.max(1) as f64);
        (calls as f64 / tracks, each, calls as f64 / tracks * each)
    };
    let costs = measured.scripts.iter();
    let mut costs: Vec<_> = costs
        .map(|(name, calls)| (*name, cost(name, *calls)))
        .collect();
    costs.sort_by(|(_, a), (_, b)| b.2.total_cmp(&a.2));
    let whole: f64 = costs.iter().map(|(_, cost)| cost.2).sum();
    for (name, (calls, each, micros)) in &costs {
        let share = 100.0 * micros / whole.max(1.0);
        writeln!(
            out,
            "  {name:<10}{calls:>14.2}{each:>10.0}{micros:>14.0}{share:>6.0} %"
        )?;
    }
    let rate = tracks / seconds;
    let busy = measured.cpu / 1e6 / seconds;
    let workers = measured.worked_ms as f64 / 1000.0 / seconds;
    let a_track = |count: u64| count as f64 / tracks;
    writeln!(
        out,
        "  {rate:.0} tracks a second came out, {:.0} went in",
        measured.submitted as f64 / seconds
    )?;
    writeln!(
        out,
        "  one Redis core is busy for {:.0} % of the time: {:.0} µs a track",
        100.0 * busy,
        measured.cpu / tracks
    )?;
    writeln!(
        out,
        "  invocations a track: worker {:.1}, API {:.1}; workers at a time {workers:.0}",
        a_track(measured.invocations),
        a_track(measured.requests)
    )?;
    writeln!(
        out,
        "  it breaks at {:.0} tracks a second (the core at {:.0} %), {:.0} ({WORKERS:.0} workers)",
        rate * FULL / busy.max(1e-9),
        100.0 * FULL,
        rate * WORKERS / workers.max(1e-9)
    )?;
    // A fleet that does not keep up has not been measured.
    Ok(rate > 0.9 * options.tracks_a_second())
}
