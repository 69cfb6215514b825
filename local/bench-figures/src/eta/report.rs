//! The tables of `eta`, and whether the promises were honest.

use std::io::{Write, stdout};
use std::ops::RangeInclusive;

use super::day::Day;
use super::play::Seen;
use crate::{Result, Verdict};

/// So many in a hundred jobs must start within the p90 that they were promised.
const HONEST: RangeInclusive<f64> = 85.0..=95.0;

pub(super) fn head(seed: u64, day: &Day) -> Result<()> {
    let (jobs, tenants) = (day.arrivals.len(), day.tenants.len());
    let slots = day.slots;
    writeln!(
        stdout(),
        "eta: seed {seed}, {jobs} jobs of {tenants} tenants on {slots} slots"
    )?;
    Ok(())
}

pub(super) fn print(seen: &[Seen]) -> Verdict {
    let mut out = stdout();
    let started: Vec<&Seen> = seen
        .iter()
        .filter(|job| job.waited.is_some() && job.promised.is_some())
        .collect();
    writeln!(
        out,
        "  {:<22}{:>7}{:>11}{:>11}{:>14}{:>14}",
        "", "jobs", "under p50", "under p90", "median wait", "median p90"
    )?;
    let mut line = |name: &str, jobs: &[&Seen]| -> Result<Option<f64>> {
        if jobs.is_empty() {
            return Ok(None);
        }
        let share =
            |of: fn((f64, f64)) -> f64| percent(jobs, |job| job.waited <= job.promised.map(of));
        let (half, most) = (share(|p| p.0), share(|p| p.1));
        let wait = median(jobs.iter().filter_map(|job| job.waited).collect());
        let p90 = median(
            jobs.iter()
                .filter_map(|job| job.promised)
                .map(|p| p.1)
                .collect(),
        );
        writeln!(
            out,
            "  {name:<22}{:>7}{half:>9.1} %{most:>9.1} %{wait:>12.0} s{p90:>12.0} s",
            jobs.len()
        )?;
        Ok(Some(most))
    };
    let most = line("all", &started)?;
    let of = |pick: &dyn Fn(&Seen) -> bool| -> Vec<&Seen> {
        started.iter().copied().filter(|job| pick(job)).collect()
    };
    line("waited over the pause", &of(&|job| job.over_pause))?;
    line("the others", &of(&|job| !job.over_pause))?;
    for (from, to) in [
        (0, 30),
        (30, 60),
        (60, 120),
        (120, 300),
        (300, 900),
        (900, 3_600),
        (3_600, 86_400),
    ] {
        let within = f64::from(from)..f64::from(to);
        let name = format!("promised {from} to {to} s");
        line(
            &name,
            &of(&|job| job.promised.is_some_and(|p| within.contains(&p.0))),
        )?;
    }
    for hour in 0..24 {
        let hour = f64::from(hour);
        let name = format!("submitted at {hour:02} h");
        line(&name, &of(&|job| (job.at / 3_600.0).floor() == hour))?;
    }
    let silent = seen.iter().filter(|job| job.promised.is_none()).count();
    let gone = seen.iter().filter(|job| job.waited.is_none()).count();
    let mut out = stdout();
    writeln!(
        out,
        "  Not counted: {silent} were promised nothing (paused), {gone} were cancelled before they started"
    )?;
    let good = most.is_some_and(|most| HONEST.contains(&most));
    writeln!(
        out,
        "{}",
        if good {
            "The promises were honest."
        } else {
            "The promises were not honest: 85 to 95 % must start within p90."
        }
    )?;
    Ok(good)
}

fn percent(jobs: &[&Seen], held: impl Fn(&Seen) -> bool) -> f64 {
    let held = jobs.iter().filter(|job| held(job)).count();
    #[expect(clippy::cast_precision_loss, reason = "jobs of a day")]
    let percent = 100.0 * held as f64 / jobs.len() as f64;
    percent
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
