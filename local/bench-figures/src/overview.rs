//! How long an operator waits for the state of a full queue: the script by itself, and `GET /admin/overview` over HTTP, beside
//! `GET /health`, which asks nobody anything: both go through the emulator of Lambda, which takes its own time.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use local::{RedisChoice, Stack, StackOptions};
use reqwest::Client;
use serde_json::Value;
use shared::queue::{Policy, Queue, Redis, Settings};

use crate::scale::Load;
use crate::{Result, Verdict};

/// The answer must be there so soon, in ms, apart from what an answer that says nothing takes.
const TARGET: f64 = 20.0;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Waiting jobs.
    #[arg(long, default_value_t = 100_000)]
    pub jobs: usize,
    /// Their tenants.
    #[arg(long, default_value_t = 1_000)]
    pub tenants: usize,
    /// Requests.
    #[arg(long, default_value_t = 200)]
    pub calls: usize,
    /// Without the functions, which must be built for the rest.
    #[arg(long)]
    pub script_only: bool,
}

/// Fills a queue, starts the functions over it, and asks.
pub async fn run(options: &Options) -> Verdict {
    let server = local::Redis::start().await?;
    let policy = Policy::new(16, 4, 10_000, DAY);
    let queue = Queue::new(Redis::open(server.url())?, "tutti", policy);
    let loaded = true;
    queue
        .configure(&Settings {
            loaded,
            ..Settings::default()
        })
        .await?;
    Load::new(options.tenants, 1)
        .fill(&queue, options.jobs)
        .await?;
    for _ in 0..16 {
        queue.acquire().await?;
    }
    let waiting: u64 = queue
        .overview()
        .await?
        .levels
        .iter()
        .map(|level| level.jobs)
        .sum();
    writeln!(
        stdout(),
        "overview of {waiting} waiting jobs of {} tenants, {} times:",
        options.tenants,
        options.calls
    )?;
    let script = times(options.calls, async || {
        Ok(queue.overview().await.map(drop)?)
    })
    .await?;
    let script = print("the script, from Rust", &script)?;
    if options.script_only {
        return Ok(script <= TARGET);
    }

    // Nobody rings and no sweep comes round: the queue stays as it is.
    let redis = RedisChoice::Url(server.url().to_owned());
    let stack = Stack::start(StackOptions {
        redis,
        sweep_every: DAY,
        ..StackOptions::default()
    })
    .await?;
    let asked = ask(&stack, waiting, options.calls).await;
    stack.stop().await;
    let (whole, empty) = asked?;
    let empty = print("GET /health", &empty)?;
    let whole = print("GET /admin/overview", &whole)?;
    let own = whole - empty;
    writeln!(
        stdout(),
        "  The emulator's way there and back taken off, the overview takes {own:.1} ms."
    )?;
    Ok(own <= TARGET)
}

/// Our address, and beside it one that asks nobody anything: what is left of it is the harness's.
async fn ask(stack: &Stack, waiting: u64, calls: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let token = stack.token("admin", "operator")?;
    let client = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?;
    let get = async |path: &str| -> Result<Value> {
        let asked = client
            .get(format!("{}{path}", stack.api()))
            .bearer_auth(&token);
        Ok(asked.send().await?.error_for_status()?.json().await?)
    };
    let first = get("/admin/overview").await?; // starts the function
    let levels = first["queued"].as_object().into_iter().flatten();
    let told: u64 = levels.filter_map(|(_, level)| level["jobs"].as_u64()).sum();
    if told != waiting {
        return Err(format!("{told} jobs are said to wait, and {waiting} do: {first}").into());
    }
    get("/health").await?;
    let (mut whole, mut empty) = (Vec::new(), Vec::new());
    for _ in 0..calls {
        empty.extend(times(1, async || Ok(get("/health").await.map(drop)?)).await?);
        whole.extend(times(1, async || Ok(get("/admin/overview").await.map(drop)?)).await?);
    }
    empty.sort_by(f64::total_cmp);
    whole.sort_by(f64::total_cmp);
    Ok((whole, empty))
}

/// How long each call took, in ms, sorted.
async fn times(calls: usize, call: impl AsyncFn() -> Result<()>) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        call().await?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The median.
fn print(what: &str, times: &[f64]) -> Result<f64> {
    let at = |share: usize| {
        times
            .get((times.len() * share / 100).min(times.len() - 1))
            .copied()
            .unwrap_or(f64::NAN)
    };
    let median = at(50);
    writeln!(
        stdout(),
        "  {what:<24} p50 {median:.1} ms, p95 {:.1} ms, p99 {:.1} ms",
        at(95),
        at(99)
    )?;
    Ok(median)
}
