//! Whether the promised waits come true, on a simulated day of mixed load.
//!
//! `day` decides from a seed what is submitted, how long it takes and what goes wrong; `play` and `work` let it happen through the real
//! scripts; `report` compares the wait that each job was promised with the one that it had.

mod day;
mod play;
mod report;
mod work;

use self::day::Day;
use crate::Verdict;

/// What is simulated.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The same seed makes the same day; without it the clock chooses one.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Jobs that can run at the same time.
    #[arg(long, default_value_t = 8)]
    pub slots: u32,
}

/// Lives through a day and looks back.
pub async fn run(options: &Options) -> Verdict {
    let seed = options.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let day = Day::plan(seed, options.slots);
    report::head(seed, &day)?;
    let past = play::day(day, seed).await?;
    report::print(&past)
}
