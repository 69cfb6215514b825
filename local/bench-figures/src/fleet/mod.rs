//! What one Redis core and the functions have to do for a fleet of GPUs: every track goes through the real scripts on a real Redis, with
//! the clock of each call set to its moment of a simulated minute. Models are simulated, and nothing is read or stored elsewhere.
//!
//! `play` lets it happen, `tally` counts calls and function time, `report` works out where it breaks.

mod play;
mod report;
mod tally;

use std::time::Duration;

use self::play::Play;
use crate::Verdict;

/// The fleet.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// What renders; each track takes one of them 40 s on average.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=17_000))]
    pub gpus: u32,
    /// Simulated seconds that are measured.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Tenants; the first asks for most.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tenants: u32,
    /// Times that a caller reads a job.
    #[arg(long, default_value_t = 4)]
    pub reads: u32,
    /// The same seed makes the same load.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Options {
    /// A slot is held from the beginning of the plan to the end of the render.
    fn slots(&self) -> u32 {
        self.gpus * (play::PLAN + play::RENDER) / play::RENDER
    }

    fn tracks_a_second(&self) -> f64 {
        f64::from(self.gpus) / f64::from(play::RENDER)
    }
}

/// Fills the slots, lets the fleet run for a while, measures, and then times each script on its own.
pub async fn run(options: &Options) -> Verdict {
    report::head(options)?;
    let mut play = Play::start(options).await?;
    play.fill().await?;
    play.until(Duration::from_secs(10)).await?;
    play.tally.begin().await?;
    play.until(Duration::from_secs(10 + options.seconds))
        .await?;
    let measured = play.tally.end().await?;
    play.tally.time_each_call();
    play.until(Duration::from_secs(12 + options.seconds))
        .await?;
    report::print(options, &measured, &play.tally)
}
