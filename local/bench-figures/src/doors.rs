//! What a caller waits for an answer of the local stack: reads from many connections, a long track, and a submission beside many
//! long polls.

use std::io::{Write, stdout};
use std::time::Duration;

use local::{Stack, StackOptions, until};
use redis::AsyncCommands;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::caller::{Answers, Caller};
use crate::{Result, Verdict};

/// How many times the median of a read may be that of `GET /health`, which asks nobody.
const TIMES_HEALTH: f64 = 3.0;
/// How long a submission may take while the polls are open.
const SUBMIT_MS: f64 = 100.0;
/// Seconds of the track that is fetched: some megabytes, which a function on Lambda would not send itself.
const TRACK: u32 = 60;
/// Seconds that a poll waits.
const POLL: u32 = 20;
/// Submissions beside the polls.
const SUBMISSIONS: usize = 20;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Reads of each address.
    #[arg(long, default_value_t = 10_000)]
    pub reads: usize,
    /// Connections that read at a time.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Long polls that are open while jobs are submitted.
    #[arg(long, default_value_t = 64)]
    pub polls: usize,
}

/// Starts a stack, measures, and says whether all targets were met.
pub async fn run(options: &Options) -> Verdict {
    let unlimited = ["READ_RATE", "SUBMIT_RATE"];
    let stack = Stack::start(StackOptions {
        env: unlimited
            .map(|name| (name.to_owned(), "0".to_owned()))
            .into_iter()
            // A tenant may hold half of the places.
            .chain([("WAITERS_MAX".to_owned(), "200".to_owned())])
            .collect(),
        ..StackOptions::default()
    })
    .await?;
    let measured = measure(&stack, options).await;
    stack.stop().await;
    measured
}

async fn measure(stack: &Stack, options: &Options) -> Verdict {
    let caller = Caller::of(stack, "user", "bench")?;
    let job = caller.submit(&mut Answers::default(), TRACK).await?;
    let job_path = format!("/jobs/{job}");
    let done = until(Duration::from_secs(120), async || {
        let read = caller.request(Method::GET, &job_path).send().await.ok()?;
        let job: Value = read.json().await.ok()?;
        (job["status"] == "completed").then_some(())
    });
    done.await.ok_or("the track was not made in two minutes")?;

    let mut met = true;
    let mut health = 0.0;
    for path in ["/health", "/jobs", &job_path] {
        let answers = read(stack, path, options.reads, options.connections).await?;
        if path == "/health" {
            health = answers.quantile(0.5);
        }
        met &= say(path, &answers, health * TIMES_HEALTH)?;
    }
    let audio = format!("{job_path}/audio");
    let tracks = read(stack, &audio, options.reads.div_ceil(100), 4).await?;
    met &= say("the track", &tracks, f64::INFINITY)?;
    let submitted = beside_polls(stack, &caller, options.polls).await?;
    let what = format!("POST /jobs beside {} long polls", options.polls);
    Ok(say(&what, &submitted, SUBMIT_MS)? && met)
}

/// Reads `path` so often, from so many connections.
async fn read(stack: &Stack, path: &str, times: usize, connections: usize) -> Result<Answers> {
    let mut readers = JoinSet::new();
    for number in 0..connections {
        let caller = Caller::of(stack, "user", "bench")?;
        let path = path.to_owned();
        let share = times / connections + usize::from(number < times % connections);
        readers.spawn(async move {
            let mut answers = Answers::default();
            for _ in 0..share {
                answers.time(caller.request(Method::GET, &path)).await?;
            }
            Result::Ok(answers)
        });
    }
    let mut all = Answers::default();
    while let Some(answers) = readers.join_next().await {
        all.add(answers??);
    }
    Ok(all)
}

/// Submits while so many wait for jobs that a paused queue does not begin.
async fn beside_polls(stack: &Stack, caller: &Caller, polls: usize) -> Result<Answers> {
    let operator = Caller::of(stack, "admin", "bench")?;
    let pause = operator.request(Method::POST, "/admin/queue/pause");
    pause.json(&json!({})).send().await?.error_for_status()?;
    let job = caller.submit(&mut Answers::default(), 10).await?;
    let mut waiting = JoinSet::new();
    for _ in 0..polls {
        let path = format!("/jobs/{job}?wait={POLL}");
        let poll = caller.request(Method::GET, &path);
        waiting.spawn(async move { poll.send().await?.error_for_status().map(drop) });
    }
    // They are open when the queue counts them.
    let redis = redis::Client::open(stack.redis_url())?;
    let redis = redis.get_multiplexed_async_connection().await?;
    let key = format!("{{{}}}:waiters", stack.partition());
    let open = until(Duration::from_secs(10), async || {
        let count: usize = redis.clone().zcard(&key).await.ok()?;
        (count >= polls).then_some(())
    });
    open.await.ok_or("the polls were not open in ten seconds")?;
    let mut answers = Answers::default();
    for _ in 0..SUBMISSIONS {
        caller.submit(&mut answers, 10).await?;
    }
    if waiting.try_join_next().is_some() {
        return Err("a poll ended before the submissions did".into());
    }
    while let Some(poll) = waiting.join_next().await {
        poll??;
    }
    Ok(answers)
}

/// False: an answer failed, or the median is over its target.
fn say(what: &str, answers: &Answers, target: f64) -> Verdict {
    let median = answers.quantile(0.5);
    writeln!(
        stdout(),
        "  {what:<44} {:>6} answers, {} not 2xx, median {median:>6.1} ms (target {target:.1}), p99 {:>6.1}",
        answers.ms.len(),
        answers.refused,
        answers.quantile(0.99),
    )?;
    Ok(answers.refused == 0 && median <= target)
}
