//! How long it takes until a Redis that was emptied knows all waiting jobs again: real functions, a real Redis, and a bucket that answers
//! as late as S3. What a million jobs would take in the cloud is worked out from what was counted.

mod bucket;

use std::io::{Write, stdout};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use local::{Artifacts, Stack, StackOptions, until};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, cmd};
use reqwest::Method;
use shared::job::{JobId, JobStatus};
use shared::queue::{Keys, Owner};
use shared::reconcile::AT_ONCE;

use self::bucket::Bucket;
use crate::caller::{Answers, Caller};
use crate::scale::meter;
use crate::{Result, Verdict};

/// What a million jobs may take.
const TARGET: f64 = 600.0;
/// Reads a second that S3 answers below one prefix before it spreads it.
const S3_READS: f64 = 5_500.0;
/// Reads of a job below `jobs/`.
const JOB_READS: f64 = 2.0;
/// Of a core of Redis, which has other work.
const SHARE: f64 = 0.7;

/// What is lost.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Waiting jobs.
    #[arg(long, default_value_t = 20_000)]
    pub jobs: usize,
    /// Tenants.
    #[arg(long, default_value_t = 100)]
    pub tenants: usize,
    /// Worker processes.
    #[arg(long, default_value_t = 6)]
    pub workers: usize,
    /// Milliseconds that the bucket takes for an answer.
    #[arg(long, default_value_t = 25)]
    pub late: u64,
}

/// Fills a bucket, empties Redis, and waits.
pub async fn run(options: &Options) -> Verdict {
    let bucket = Bucket::start(Duration::from_millis(options.late)).await?;
    let stack = Stack::start(StackOptions {
        artifacts: Artifacts::S3 {
            endpoint: bucket.endpoint.clone(),
            bucket: Bucket::NAME.to_owned(),
            prefix: "tutti".to_owned(),
        },
        workers: options.workers,
        sweep_every: Duration::from_secs(60),
        ..StackOptions::default()
    })
    .await?;
    let measured = measure(&stack, &bucket, options).await;
    stack.stop().await;
    measured
}

async fn measure(stack: &Stack, bucket: &Bucket, options: &Options) -> Verdict {
    let admin = Caller::of(stack, "admin", "ops")?;
    let pause = admin.request(Method::POST, "/admin/queue/pause").send();
    pause.await?.error_for_status()?;
    let caller = Caller::of(stack, "user", "bench")?;
    let job = caller.submit(&mut Answers::default(), 30).await?;
    fill(bucket, &job, options)?;
    let client = redis::Client::open(stack.redis_url())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    cmd("FLUSHALL").exec_async(&mut redis).await?;
    let keys = Keys::new(stack.partition());
    let queued = keys.by_user(&Owner::Everybody, JobStatus::Queued.as_str());
    let before = Used::of(stack, bucket, &mut redis).await?;

    let from = Instant::now();
    let (mut begun, mut known) = (None, 0);
    let limit = Duration::from_secs(3_600);
    let all = until(limit, async || {
        known = redis.zcard(&queued).await.ok()?;
        begun = begun.or_else(|| (known > 0).then(|| from.elapsed()));
        (known >= options.jobs).then(|| from.elapsed())
    });
    let all = all.await;
    let (all, begun) = (
        all.ok_or_else(|| format!("only {known} jobs are known after an hour"))?,
        begun.unwrap_or_default(),
    );
    let used = Used::of(stack, bucket, &mut redis).await?.since(&before);
    let whole = until(limit, async || {
        let epoch: bool = redis.hexists(keys.clock(), "epoch").await.ok()?;
        epoch.then(|| from.elapsed())
    });
    let whole = whole.await.ok_or("it was not whole in an hour")?;
    print(options, begun, all, whole, &used)
}

/// As many jobs as are to be lost, made after one that was submitted.
fn fill(bucket: &Bucket, job: &str, options: &Options) -> Result<()> {
    let (request, open) = (
        format!("tutti/jobs/{job}/request.json"),
        format!("tutti/open/{job}.0"),
    );
    let text = |key: &str| {
        let object = bucket.get(key).ok_or_else(|| format!("no {key}"))?;
        Result::Ok(String::from_utf8(object.to_vec())?)
    };
    let (request, marker) = (text(&request)?, text(&open)?);
    for number in 1..options.jobs {
        let id = JobId::mint().to_string();
        let tenant = format!("\"tenant\":\"bench-{}\"", number % options.tenants);
        let request = request
            .replace(job, &id)
            .replace("\"tenant\":\"bench\"", &tenant);
        bucket.put(format!("tutti/jobs/{id}/request.json"), request);
        bucket.put(format!("tutti/open/{id}.0"), marker.clone());
    }
    Ok(())
}

/// What was used until now, or between two looks.
struct Used {
    /// Calls of the bucket.
    lists: u64,
    reads: u64,
    changes: u64,
    /// Of the thread of Redis that runs scripts, and of the sweep and the workers, in µs.
    redis: f64,
    functions: f64,
}

impl Used {
    async fn of(stack: &Stack, bucket: &Bucket, redis: &mut MultiplexedConnection) -> Result<Self> {
        let asked = bucket.asked();
        let pids = ["worker", "sweep"].map(|name| stack.pids(name));
        let pids = pids.into_iter().flatten().flatten();
        Ok(Self {
            lists: asked.lists.load(Relaxed),
            reads: asked.reads.load(Relaxed),
            changes: asked.changes.load(Relaxed),
            redis: meter::cpu(redis).await?,
            functions: pids.map(cpu).sum(),
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            lists: self.lists - before.lists,
            reads: self.reads - before.reads,
            changes: self.changes - before.changes,
            redis: self.redis - before.redis,
            functions: self.functions - before.functions,
        }
    }
}

/// Processor time of a process, in µs; its clock ticks a hundred times a second.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let fields = after_name.split(' ').skip(11).take(2);
    fields
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        * 1e4
}

fn print(
    options: &Options,
    begun: Duration,
    all: Duration,
    whole: Duration,
    used: &Used,
) -> Verdict {
    let mut out = stdout();
    let jobs = options.jobs as f64;
    let took = (all - begun).as_secs_f64().max(0.001);
    let [redis, functions] = [used.redis, used.functions].map(|micros| micros / jobs);
    writeln!(
        out,
        "recovery: {} waiting jobs, {} workers and the sweep, {} ms a call of the bucket",
        options.jobs, options.workers, options.late
    )?;
    writeln!(
        out,
        "  the first was known again after {:.1} s, all after {:.1} s ({:.0} a second), whole after {:.1} s",
        begun.as_secs_f64(),
        all.as_secs_f64(),
        jobs / took,
        whole.as_secs_f64()
    )?;
    writeln!(
        out,
        "  of the bucket a job: {:.2} lists, {:.2} reads, {:.2} changes",
        used.lists as f64 / jobs,
        used.reads as f64 / jobs,
        used.changes as f64 / jobs
    )?;
    writeln!(
        out,
        "  time of a core a job: Redis {redis:.0} µs, the functions {functions:.0} µs"
    )?;
    // Each of these alone would bound it.
    let bounds = [
        ("reads of one prefix of S3", S3_READS / JOB_READS),
        ("the core of Redis", SHARE * 1e6 / redis.max(1.0)),
        (
            "a core a chunk",
            f64::from(AT_ONCE) * 1e6 / functions.max(1.0),
        ),
    ];
    writeln!(out, "  worked out for 1,000,000 jobs, bounded by")?;
    let mut longest: f64 = 0.0;
    for (what, a_second) in bounds {
        let seconds = 1e6 / a_second;
        longest = longest.max(seconds);
        writeln!(
            out,
            "    {what:<28}{a_second:>8.0} a second{seconds:>8.0} s"
        )?;
    }
    let meets = longest <= TARGET;
    let verdict = if meets { "within" } else { "beyond" };
    writeln!(
        out,
        "  {:.1} minutes and the first round, {verdict} the target of {:.0}",
        longest / 60.0,
        TARGET / 60.0
    )?;
    Ok(meets)
}
