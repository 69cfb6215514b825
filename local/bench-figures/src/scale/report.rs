//! The tables of `scale`, and whether the targets are met.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use super::Options;
use super::memory::Kind;
use super::meter::Cost;
use super::round::Costs;
use crate::Verdict;

/// A waiting job may take that much memory.
const BYTES_A_JOB: f64 = 1_200.0;
/// Acquire may take that much longer with the large queue.
const GROWTH: f64 = 1.5;
/// And 99 in 100 calls of any script not longer, in µs.
const P99: f64 = 1_000.0;

/// What the large queue weighs.
pub(super) struct Sizes {
    pub(super) jobs: usize,
    pub(super) bytes: u64,
    pub(super) kinds: BTreeMap<String, Kind>,
}

/// The runs at each size.
#[derive(Default)]
pub(super) struct Timed {
    pub(super) small: Vec<Costs>,
    pub(super) large: Vec<Costs>,
}

pub(super) fn print(options: &Options, sizes: &Sizes, timed: &Timed) -> Verdict {
    let mut out = stdout();
    #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
    let a_job = |bytes: u64| bytes as f64 / sizes.jobs as f64;
    let weight = a_job(sizes.bytes);
    writeln!(
        out,
        "Memory: {weight:.0} B a waiting job ({} jobs, {} a tenant)",
        sizes.jobs, options.per_tenant
    )?;
    let mut rest = weight;
    for (name, kind) in &sizes.kinds {
        let bytes = a_job(kind.bytes);
        rest -= bytes;
        if bytes >= 1.0 {
            writeln!(out, "  {name:<24}{bytes:>7.1} B   {:>9} keys", kind.keys)?;
        }
    }
    writeln!(
        out,
        "  {:<24}{rest:>7.1} B   tables of keys, and keys under 1 B a job",
        "the rest"
    )?;

    writeln!(
        out,
        "\nTime in the server in µs, the median of {} runs of {} calls:",
        options.rounds, options.calls
    )?;
    writeln!(
        out,
        "  {:<25}{:>30}{:>30}",
        "",
        format!("{} jobs", options.small),
        format!("{} jobs", options.jobs)
    )?;
    writeln!(
        out,
        "  {:<25}{1:>10}{2:>10}{3:>10}{1:>10}{2:>10}{3:>10}",
        "script", "mean", "p99", "cpu"
    )?;
    let mut good = weight <= BYTES_A_JOB;
    let mut growth = 0.0;
    let names: Vec<&str> = timed
        .large
        .first()
        .into_iter()
        .flatten()
        .map(|(name, _)| *name)
        .collect();
    for name in names {
        let (small, large) = (median(&timed.small, name), median(&timed.large, name));
        write!(out, "  {name:<25}")?;
        for cost in [small, large] {
            write!(
                out,
                "{:>10.0}{:>10.0}{:>10.0}",
                cost.mean, cost.p99, cost.cpu
            )?;
        }
        let slow = large.p99 > P99 || small.p99 > P99;
        good &= !slow;
        writeln!(out, "{}", if slow { "  over 1 ms" } else { "" })?;
        if name == "acquire" {
            growth = large.mean / small.mean;
        }
    }
    good &= growth <= GROWTH;
    writeln!(
        out,
        "\nAcquire takes {growth:.2} times as long with {} jobs as with {}.",
        options.jobs, options.small
    )?;
    writeln!(
        out,
        "{}",
        if good {
            "All targets are met."
        } else {
            "A target is missed."
        }
    )?;
    Ok(good)
}

/// Of each figure by itself.
fn median(runs: &[Costs], name: &str) -> Cost {
    let costs: Vec<Cost> = runs
        .iter()
        .flatten()
        .filter(|(of, _)| *of == name)
        .map(|(_, cost)| *cost)
        .collect();
    let middle = |figure: fn(&Cost) -> f64| {
        let mut figures: Vec<f64> = costs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Cost {
        calls: costs.iter().map(|cost| cost.calls).sum(),
        mean: middle(|cost| cost.mean),
        p99: middle(|cost| cost.p99),
        cpu: middle(|cost| cost.cpu),
    }
}
