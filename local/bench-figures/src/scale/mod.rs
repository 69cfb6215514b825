//! What many waiting jobs cost: memory a job, and time in the server a script.
//!
//! `fill` submits them, `memory` weighs them, `round` runs every script a number of times, `meter` reads what Redis itself says
//! of them. Two servers, a large and a small queue, take turns, so that what else this machine does troubles both alike.

mod fill;
mod memory;
pub(crate) mod meter;
mod report;
mod round;
mod site;
mod upkeep;

use std::io::{Write, stderr};
use std::time::Instant;

pub use fill::Load;

use self::report::{Sizes, Timed};
use self::site::Site;
use crate::Verdict;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Waiting jobs of the large queue.
    #[arg(long, default_value_t = 1_000_000)]
    pub jobs: usize,
    /// Waiting jobs of the small one.
    #[arg(long, default_value_t = 1_000)]
    pub small: usize,
    /// Waiting jobs of each tenant.
    #[arg(long, default_value_t = 100)]
    pub per_tenant: usize,
    /// Runs at each size, by turns.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Calls of each script in a run.
    #[arg(long, default_value_t = 200)]
    pub calls: usize,
    /// The same seed makes the same jobs.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Fills both, weighs the large one, and times every script on both.
pub async fn run(options: &Options) -> Verdict {
    let mut small = Site::start(options.small, options.per_tenant, options.seed).await?;
    small.fill(options.small).await?;
    let mut large = Site::start(options.jobs, options.per_tenant, options.seed).await?;
    let start = Instant::now();
    let before = large.used().await?;
    large.fill(options.jobs).await?;
    let after = large.settled().await?;
    let filled = start.elapsed();
    say(&format!("filled in {} s, now weighing", filled.as_secs()));
    let kinds = memory::measure(&mut large.raw).await?;
    let sizes = Sizes {
        jobs: options.jobs,
        bytes: after.saturating_sub(before),
        kinds,
    };

    let mut timed = Timed::default();
    small.busy().await?;
    large.busy().await?;
    for number in 1..=options.rounds {
        say(&format!("run {number} of {}", options.rounds));
        timed
            .small
            .push(round::run(&mut small, options.calls).await?);
        timed
            .large
            .push(round::run(&mut large, options.calls).await?);
    }
    report::print(options, &sizes, &timed)
}

fn say(text: &str) {
    writeln!(stderr(), "  {text}").ok(); // progress only
}
