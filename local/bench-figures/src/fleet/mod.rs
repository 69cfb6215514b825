//! What one Redis core and the functions have to do for a fleet of GPUs: every track goes through the real scripts on a real Redis, with
//! the clock of each call set to its moment of a simulated minute. Models are simulated, and nothing is read or stored elsewhere.
//!
//! `play` lets it happen, `tally` counts calls and function time, `report` works out where it breaks.

mod options;
mod play;
mod report;
mod tally;

use std::time::Duration;

pub use self::options::Options;
use self::play::Play;
use crate::Verdict;

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
