//! What one tenant can do to another: it goes to all its limits at once, and the other one goes on as before.
//!
//! The loud tenant lists by tag, submits jobs with ten tags and a webhook that hangs, half of them
//! repeats that the result cache answers, cancels what it submitted, and polls. Beside it the quiet
//! tenant submits a job now and then, whose webhook must arrive soon. Meanwhile Redis and the store
//! are weighed.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::any;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use local::{Stack, StackOptions};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant as Clock, MissedTickBehavior, interval, sleep, sleep_until};

use crate::caller::{Answers, Caller, id};
use crate::{Result, Verdict};

/// Within which 99 of 100 submissions of the quiet tenant are answered, in milliseconds.
const SUBMIT_MS: f64 = 200.0;
/// Within which the quiet tenant's webhook has arrived after the end, in milliseconds.
const WEBHOOK_MS: f64 = 5_000.0;
/// How much more Redis may hold at the end than in the middle: by then the loud tenant keeps as many jobs as it may.
const GROWTH: f64 = 1.1;
/// Bytes that the store may take for a job beside its audio.
const JOB_BYTES: f64 = 16_000.0;
/// Between two submissions of the quiet tenant.
const QUIET: Duration = Duration::from_secs(2);
/// How long the last messages of the quiet tenant are waited for.
const LAST: Duration = Duration::from_secs(30);
/// Finished jobs that Redis keeps of a tenant.
const KEPT_JOBS: u32 = 500;
/// Waiting jobs of a tenant.
const MAX_QUEUED: u32 = 300;
/// Looks at what Redis and the store hold, in the whole time.
const LOOKS: u32 = 10;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long the loud tenant is loud, in seconds.
    #[arg(long, default_value_t = 600)]
    pub seconds: u64,
    /// How many callers of the loud tenant ask for lists at a time, each as soon as it is answered.
    #[arg(long, default_value_t = 4)]
    pub readers: usize,
}

/// What somebody weighs.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    redis_bytes: u64,
    redis_keys: u64,
    objects: u64,
    /// Of tracks and uploads.
    audio_bytes: u64,
    /// Of everything else.
    record_bytes: u64,
}

/// What the loud tenant was answered: how often, by what it wanted and the status.
type Tally = Arc<Mutex<BTreeMap<(&'static str, u16), u64>>>;
/// When a message about a job came, and when it says that the job ended.
type Arrivals = Arc<Mutex<BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)>>>;

fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a stack, lets the one be loud and the other quiet, and says whether all targets were met.
pub async fn run(options: &Options) -> Verdict {
    let number = |name: &str, value: u32| (name.to_owned(), value.to_string());
    let stack = Stack::start(StackOptions {
        env: vec![
            number("KEPT_JOBS", KEPT_JOBS),
            number("MAX_QUEUED", MAX_QUEUED),
            number("TENANT_CAP", 2),
        ],
        ..StackOptions::default()
    })
    .await?;
    let measured = measure(&stack, options).await;
    std::fs::copy(stack.logs(), local::root().join(".local/neighbours.log"))?;
    stack.stop().await;
    measured
}

async fn measure(stack: &Stack, options: &Options) -> Verdict {
    let (hangs, _hanging) = receiver(None).await?;
    let arrivals = Arrivals::default();
    let (hears, _hearing) = receiver(Some(arrivals.clone())).await?;
    let quiet = Caller::of(stack, "user", "quiet")?;
    let switches = json!({"mode": "callback", "renderSeconds": 0.5});
    let faults = quiet.http.put(format!("{}/faults", stack.muscgen()));
    faults.json(&switches).send().await?.error_for_status()?;
    // What a fresh process does at its first call is nobody's fault.
    quiet_job(&quiet, &hears, &mut Answers::default()).await?;

    let tally = Tally::default();
    let mut loud = JoinSet::new();
    for number in 0..options.readers {
        let caller = Caller::of(stack, "user", "loud")?;
        loud.spawn(list(caller, number, tally.clone()));
    }
    for kind in [Kind::Fresh, Kind::Repeat] {
        let caller = Caller::of(stack, "user", "loud")?;
        loud.spawn(submit(caller, kind, hangs.clone(), tally.clone()));
    }
    let span = Duration::from_secs(options.seconds);
    let weighing = weigh_often(stack, span / LOOKS);
    let asking = ask(&quiet, &hears, span);
    let (weights, asked) = tokio::join!(weighing, asking);
    let (weights, (answers, jobs)) = (weights?, asked?);
    loud.shutdown().await;
    let all_came = local::until(LAST, async || {
        let came = locked(&arrivals);
        jobs.iter().all(|job| came.contains_key(job)).then_some(())
    });
    let missing = all_came.await.is_none();
    let late = lateness(&locked(&arrivals));
    let tally = locked(&tally).clone();
    say(options, &answers, &late, missing, &weights, &tally)
}

/// A server for webhooks: one that notes who is told of what, or one that takes calls and says nothing.
async fn receiver(notes: Option<Arrivals>) -> Result<(String, JoinSet<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let hear = async move |Json(message): Json<Value>| {
        let Some(notes) = notes else {
            return std::future::pending().await;
        };
        let ended = message["timestamp"].as_str().unwrap_or_default();
        if let Ok(ended) = DateTime::parse_from_rfc3339(ended) {
            let told = (Utc::now(), ended.to_utc());
            locked(&notes).entry(id(&message["data"])).or_insert(told);
        }
        StatusCode::OK
    };
    let router = Router::new().fallback(any(hear));
    let mut server = JoinSet::new();
    server.spawn(async move {
        // Ends with the run.
        let _ = axum::serve(listener, router).await;
    });
    Ok((url, server))
}

/// A submission with a webhook.
fn submission(caller: &Caller, narrative: &str, tags: &[String], hook: &str) -> RequestBuilder {
    let body = json!({"narrative": narrative, "duration": 1, "seed": 7, "tags": tags,
        "webhook": {"url": hook, "secret": SECRET}});
    caller.request(Method::POST, "/jobs").json(&body)
}

async fn quiet_job(quiet: &Caller, hook: &str, answers: &mut Answers) -> Result<String> {
    let request = submission(quiet, "a quiet evening", &[], hook);
    let job = answers.time(request.header("cache-control", "no-cache"));
    Ok(id(&job.await?.ok_or("the quiet tenant was refused")?))
}

/// The quiet tenant's submissions, and its jobs.
async fn ask(quiet: &Caller, hook: &str, span: Duration) -> Result<(Answers, Vec<String>)> {
    let (mut answers, mut jobs) = (Answers::default(), Vec::new());
    let end = Clock::now() + span;
    let mut tick = interval(QUIET);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Clock::now() < end {
        tick.tick().await;
        jobs.push(quiet_job(quiet, hook, &mut answers).await?);
    }
    Ok((answers, jobs))
}

/// The status, and what was answered; a caller that is told to wait does so, at most a second.
async fn send(
    request: RequestBuilder,
    what: &'static str,
    tally: &Tally,
) -> Option<(StatusCode, Value)> {
    let answer = request.timeout(Duration::from_secs(30)).send().await.ok()?;
    let status = answer.status();
    *locked(tally).entry((what, status.as_u16())).or_default() += 1;
    let body = answer.json().await.unwrap_or_default();
    if status == StatusCode::TOO_MANY_REQUESTS {
        sleep(Duration::from_millis(100)).await;
    }
    Some((status, body))
}

/// Lists and polls until it is dropped.
async fn list(caller: Caller, number: usize, tally: Tally) {
    for turn in number.. {
        let path = format!("/jobs?limit=100&tag=tag-{}", turn % 10);
        send(caller.request(Method::GET, &path), "GET /jobs", &tally).await;
    }
}

/// Whether a track may answer.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Fresh,
    Repeat,
}

/// Submits as fast as it is let, and cancels three of four jobs, until it is dropped.
async fn submit(caller: Caller, kind: Kind, hook: String, tally: Tally) {
    let tags: Vec<String> = (0..10).map(|n| format!("tag-{n}")).collect();
    for turn in 0_u64.. {
        let narrative = match kind {
            Kind::Fresh => format!("a loud evening, number {turn}"),
            Kind::Repeat => "a loud evening".to_owned(),
        };
        let request = submission(&caller, &narrative, &tags, &hook);
        let Some((status, job)) = send(request, "POST /jobs", &tally).await else {
            continue;
        };
        let cancels = matches!(kind, Kind::Fresh) && status == 202 && !turn.is_multiple_of(4);
        if cancels {
            let path = format!("/jobs/{}/cancel", id(&job));
            send(caller.request(Method::POST, &path), "cancel", &tally).await;
        }
    }
}

async fn weigh_often(stack: &Stack, every: Duration) -> Result<Vec<Weight>> {
    let mut weights = vec![weigh(stack).await?];
    let begin = Clock::now();
    for look in 1..=LOOKS {
        sleep_until(begin + every * look).await;
        weights.push(weigh(stack).await?);
    }
    Ok(weights)
}

async fn weigh(stack: &Stack) -> Result<Weight> {
    let client = redis::Client::open(stack.redis_url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await?;
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let redis_bytes = used.ok_or("Redis tells no memory")?.trim().parse()?;
    let redis_keys = redis::cmd("DBSIZE").query_async(&mut connection).await?;
    let mut weight = Weight {
        redis_bytes,
        redis_keys,
        ..Weight::default()
    };
    let store = stack.folder().join("artifacts");
    // Files come and go meanwhile.
    tokio::task::spawn_blocking(move || {
        add_files(&store, &mut weight);
        weight
    })
    .await
    .map_err(Into::into)
}

fn add_files(folder: &Path, weight: &mut Weight) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(data) if data.is_dir() => add_files(&entry.path(), weight),
            Ok(data) => {
                weight.objects += 1;
                let name = entry.file_name();
                let is_audio = ["track-", "upload-"]
                    .iter()
                    .any(|kind| name.to_string_lossy().starts_with(kind));
                let bytes = match is_audio {
                    true => &mut weight.audio_bytes,
                    false => &mut weight.record_bytes,
                };
                *bytes += data.len();
            }
            Err(_) => {}
        }
    }
}

/// From the end of each job to its message, in milliseconds.
fn lateness(arrivals: &BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)>) -> Answers {
    let late = |(came, ended): &(DateTime<Utc>, DateTime<Utc>)| {
        (*came - *ended).num_milliseconds().max(0) as f64
    };
    Answers {
        ms: arrivals.values().map(late).collect(),
        refused: 0,
    }
}

fn say(
    options: &Options,
    answers: &Answers,
    late: &Answers,
    missing: bool,
    weights: &[Weight],
    tally: &BTreeMap<(&'static str, u16), u64>,
) -> Verdict {
    let mut out = stdout();
    writeln!(out, "neighbours: loud for {} s", options.seconds)?;
    for ((what, status), count) in tally {
        let rate = *count as f64 / options.seconds as f64;
        writeln!(
            out,
            "  loud   {what:<12} {status} {count:>8}, {rate:.1} a second"
        )?;
    }
    let mut row = |what: &str, of: &Answers, target: f64| {
        writeln!(
            out,
            "  quiet  {what:<28} {:>4}: median {:.0} ms, p99 {:.0}, longest {:.0} (target {target:.0})",
            of.ms.len(),
            of.quantile(0.5),
            of.quantile(0.99),
            of.quantile(1.0)
        )
    };
    row("submissions, p99", answers, SUBMIT_MS)?;
    row("end to webhook, longest", late, WEBHOOK_MS)?;
    for weight in weights {
        writeln!(
            out,
            "  Redis {:>6.2} MB in {:>6} keys; store {:>6} objects, {:>7.2} MB of records, {:>7.2} MB of audio",
            weight.redis_bytes as f64 / 1e6,
            weight.redis_keys,
            weight.objects,
            weight.record_bytes as f64 / 1e6,
            weight.audio_bytes as f64 / 1e6
        )?;
    }
    let [first, .., last] = weights else {
        return Err("nothing was weighed".into());
    };
    let growth = last.redis_bytes as f64 / weights[weights.len() / 2].redis_bytes as f64;
    let loud = tally.get(&("POST /jobs", 202)).copied().unwrap_or_default();
    let jobs = loud + answers.ms.len() as u64;
    let job_bytes = (last.record_bytes - first.record_bytes) as f64 / jobs as f64;
    writeln!(
        out,
        "  Redis at the end: {growth:.2} times what it held in the middle (target {GROWTH}); store: {job_bytes:.0} B of records a job (target {JOB_BYTES:.0})"
    )?;
    Ok(answers.quantile(0.99) < SUBMIT_MS
        && !missing
        && late.quantile(1.0) < WEBHOOK_MS
        && growth < GROWTH
        && job_bytes < JOB_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_late_as_the_clock_says() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        let told = (at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:00.25Z"));
        let late = lateness(&BTreeMap::from([("a".to_owned(), told)]));
        assert!((late.quantile(1.0) - 750.0).abs() < f64::EPSILON);
    }
}
