//! What a job costs in function time while its model renders: a thousand jobs whose muscgen calls back after a render of 30 s by a
//! clock of its own, whose jen1 answers at once, and for whom nobody waits.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use local::{Stack, StackOptions};
use reqwest::Client;
use serde_json::{Value, json};
use shared::job::{JobId, JobStatus};
use shared::queue::{Policy, Queue, Redis};

use crate::{Result, Verdict};

/// Milliseconds a job, all functions together.
const TARGET: f64 = 50.0;
/// How many times as fast as a real one the GPU's clock runs.
const SPEED: u32 = 100;
const SUBMITTERS: usize = 1;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Jobs.
    #[arg(long, default_value_t = 1_000)]
    pub jobs: usize,
    /// Length of their tracks: what is examined in the end, and sent through our door before.
    #[arg(long, default_value_t = 10)]
    pub seconds: u32,
    /// Tracks that are rendered at a time. More than the machine has cores for, and the functions wait for each other.
    #[arg(long, default_value_t = 2)]
    pub slots: usize,
}

/// Calls of a function, and the milliseconds that they took together.
type Spent = BTreeMap<String, (u64, u64)>;

/// Runs the jobs and adds up what the functions say that they took.
pub async fn run(options: &Options) -> Verdict {
    let number = |name: &str, value: usize| (name.to_owned(), value.to_string());
    let stack = Stack::start(StackOptions {
        env: vec![
            number("SLOTS", options.slots),
            number("TENANT_CAP", options.slots),
            number("SUBMIT_RATE", 0),
        ],
        gpus: options.slots,
        workers: 2,
        sweep_every: Duration::from_secs(60),
        ..StackOptions::default()
    })
    .await?;
    let measured = measure(&stack, options).await;
    stack.stop().await;
    let (jobs, spent) = measured?;
    report(options, &jobs, &spent)
}

/// The `billedMs` of each job, and what every function logged.
async fn measure(stack: &Stack, options: &Options) -> Result<(Vec<u64>, Spent)> {
    let client = Client::builder().no_proxy().build()?;
    let switches = json!({"mode": "callback", "renderSeconds": 30, "speed": SPEED});
    let faults = client.put(format!("{}/faults", stack.muscgen()));
    faults.json(&switches).send().await?.error_for_status()?;
    let policy = Policy::new(1, 1, 1, DAY);
    let queue = Queue::new(Redis::open(stack.redis_url())?, stack.partition(), policy);
    let token = stack.token("user", "alice")?;

    let begun = Instant::now();
    let submit = |number: usize| {
        let request = client.post(format!("{}/jobs", stack.api()));
        let body = json!({"narrative": "a calm piano evening in the rain", "duration": options.seconds, "seed": 7,
            "tags": [format!("number-{number}")]});
        let request = request
            .bearer_auth(&token)
            .header("cache-control", "no-cache")
            .json(&body);
        async move {
            let job: Value = request.send().await?.error_for_status()?.json().await?;
            let id = job["jobId"].as_str().unwrap_or_default().parse::<JobId>()?;
            Ok::<_, Box<dyn Error + Send + Sync>>(id)
        }
    };
    let ids: Vec<JobId> = stream::iter((0..options.jobs).map(submit))
        .buffer_unordered(SUBMITTERS)
        .try_collect()
        .await?;
    // Nobody asks the functions: that would be paid for as well.
    let patience = Duration::from_secs(60) + Duration::from_secs(2) * u32::try_from(options.jobs)?;
    let settled = async || {
        let counts = queue.counts().await.ok()?;
        let done = counts.completed + counts.failed >= options.jobs as u64;
        (done && counts.unsettled == 0).then_some(())
    };
    local::until(patience, settled)
        .await
        .ok_or("the jobs did not end in time")?;
    writeln!(
        stdout(),
        "billed: {} jobs of {} s of audio in {:.0} s",
        options.jobs,
        options.seconds,
        begun.elapsed().as_secs_f64()
    )?;
    let mut billed = Vec::with_capacity(ids.len());
    for id in ids {
        let job = queue.read(id).await?.ok_or("a job is gone")?.job;
        if job.status != JobStatus::Completed || job.attempt != 1 {
            return Err(format!("job {id} is {} at attempt {}", job.status, job.attempt).into());
        }
        billed.push(job.usage.billed_ms);
    }
    Ok((billed, logged(&stack.log_lines())))
}

/// What each function did, by route or by its own name, as its log has it.
fn logged(lines: &[Value]) -> Spent {
    let mut spent = Spent::new();
    for line in lines {
        let Some(ms) = line["duration_ms"].as_u64() else {
            continue;
        };
        let over = line["message"] == "invocation over";
        let what = match (line["method"].as_str(), line["route"].as_str()) {
            (Some(method), Some(route)) => format!("{method} {route}"),
            _ if over => "worker".to_owned(),
            _ if line["message"] == "round over" => "sweep".to_owned(),
            _ => continue,
        };
        let (calls, all) = spent.entry(what).or_default();
        *calls += 1;
        *all += ms;
    }
    spent
}

fn report(options: &Options, billed: &[u64], spent: &Spent) -> Verdict {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few minutes")]
    let each = |ms: u64| ms as f64 / options.jobs as f64;
    writeln!(
        stdout(),
        "  {:<24} {:>12} {:>12}",
        "function",
        "calls a job",
        "ms a job"
    )?;
    for (what, (calls, ms)) in spent {
        writeln!(
            stdout(),
            "  {what:<24} {:>12.2} {:>12.2}",
            each(*calls),
            each(*ms)
        )?;
    }
    let all = each(spent.values().map(|(_, ms)| ms).sum());
    let mut sorted = billed.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get(sorted.len() * share / 100).copied().unwrap_or(0);
    let mean = each(sorted.iter().sum());
    writeln!(
        stdout(),
        "  All functions together took {all:.1} ms a job by their logs. billedMs of the jobs: mean {mean:.1}, p50 {}, p95 {}, p99 {}.",
        at(50),
        at(95),
        at(99)
    )?;
    Ok(all < TARGET && mean < TARGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_says_of_time_is_added_up_by_route_and_function() {
        let lines = [
            json!({"method": "POST", "route": "/jobs", "duration_ms": 3}),
            json!({"method": "POST", "route": "/jobs", "duration_ms": 4}),
            json!({"message": "invocation over", "duration_ms": 20}),
            json!({"message": "stage done", "duration_ms": 300}),
            json!({"message": "job accepted"}),
        ];
        let spent = logged(&lines);
        assert_eq!(spent.len(), 2);
        assert_eq!((spent["POST /jobs"], spent["worker"]), ((2, 7), (1, 20)));
    }
}
