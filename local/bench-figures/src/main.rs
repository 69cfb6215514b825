//! The program behind `local/bench`.

use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use figures::chaos::{self, Options};
use figures::{
    Verdict, billed, doors, eta, fleet, logins, neighbours, outages, overview, recovery, scale,
    sockets,
};
use local::HarnessError;

/// Measures this system on this machine, and checks what it measures.
#[derive(Parser)]
#[command(name = "local/bench")]
struct Arguments {
    #[command(subcommand)]
    figure: Option<Figure>,
}

#[derive(Subcommand)]
enum Figure {
    /// Thousands of jobs under faults, and a checker that reads the record.
    Chaos {
        /// The same seed makes the same submissions and faults again; without it the clock chooses one.
        #[arg(long)]
        seed: Option<u64>,
        /// Submissions.
        #[arg(long, default_value_t = Options::long(0).jobs)]
        jobs: usize,
        /// Tenants, one user each.
        #[arg(long, default_value_t = Options::long(0).tenants)]
        tenants: usize,
        /// Worker processes.
        #[arg(long, default_value_t = Options::long(0).workers, value_parser = workers)]
        workers: usize,
        /// Submissions in a second, on average.
        #[arg(long, default_value_t = Options::long(0).pace)]
        pace: f64,
    },
    /// A million waiting jobs: memory a job, and time a script.
    Scale(scale::Options),
    /// Ten thousand GPUs: what one Redis core and the functions have to do for them.
    Fleet(fleet::Options),
    /// A day of mixed load: how often the true wait lay under the promised one.
    Eta(eta::Options),
    /// How long an operator waits for the state of a full queue.
    Overview(overview::Options),
    /// What a job costs in function time while its model renders and calls back.
    Billed(billed::Options),
    /// Whether the time of a refused login tells a user from nobody.
    Logins(logins::Options),
    /// What a caller waits for an answer: reads from many connections, a track, a submission beside long polls.
    Doors(doors::Options),
    /// What one tenant can do to another.
    Neighbours(neighbours::Options),
    /// What it costs that the API, the store or Redis is away for two minutes.
    Outages(outages::Options),
    /// A Redis that was emptied: how long until it knows all waiting jobs again.
    Recovery(recovery::Options),
    /// How fast a transition reaches a thousand sockets, and one.
    Sockets(sockets::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done: Verdict = match Arguments::parse().figure {
        None => say(&Arguments::command().render_help().to_string())
            .map(|()| true)
            .map_err(Into::into),
        Some(Figure::Chaos {
            seed,
            jobs,
            tenants,
            workers,
            pace,
        }) => {
            let seed = seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
            let options = Options {
                seed,
                jobs,
                tenants: tenants.max(1),
                workers,
                pace: pace.max(0.1),
            };
            run_chaos(&options).await.map_err(Into::into)
        }
        Some(Figure::Scale(options)) => scale::run(&options).await,
        Some(Figure::Fleet(options)) => fleet::run(&options).await,
        Some(Figure::Eta(options)) => eta::run(&options).await,
        Some(Figure::Overview(options)) => overview::run(&options).await,
        Some(Figure::Billed(options)) => billed::run(&options).await,
        Some(Figure::Logins(options)) => logins::run(&options).await,
        Some(Figure::Doors(options)) => doors::run(&options).await,
        Some(Figure::Neighbours(options)) => neighbours::run(&options).await,
        Some(Figure::Outages(options)) => outages::run(&options).await,
        Some(Figure::Recovery(options)) => recovery::run(&options).await,
        Some(Figure::Sockets(options)) => sockets::run(&options).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\n  {error}");
            ExitCode::FAILURE
        }
    }
}

/// False: something was violated.
async fn run_chaos(options: &Options) -> Result<bool, HarnessError> {
    say(&format!(
        "chaos: seed {}, {} jobs of {} tenants over {} s, {} workers",
        options.seed,
        options.jobs,
        options.tenants,
        options.span().as_secs(),
        options.workers
    ))?;
    let log = local::root().join(".local/chaos.log");
    let outcome = tokio::select! {
        outcome = chaos::run(options, Some(&log)) => outcome?,
        _ = tokio::signal::ctrl_c() => return Ok(false),
    };
    say(&chaos::violations(&outcome))?;
    say(&chaos::figures(&outcome))?;
    say(&format!("  The log of this run: {}", log.display()))?;
    Ok(outcome.violations.is_empty())
}

fn workers(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| format!("{text} is no number"))?;
    // Up to half of them are frozen at a time, each time another one.
    (number >= 4)
        .then_some(number)
        .ok_or("at least 4".to_owned())
}

fn say(text: &str) -> Result<(), HarnessError> {
    writeln!(stdout(), "{text}").map_err(|source| HarnessError::Io {
        what: "write to standard output".to_owned(),
        source,
    })
}
