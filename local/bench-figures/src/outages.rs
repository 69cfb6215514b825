//! What an outage costs: somebody we depend on hangs or is away while jobs come in, and comes back.
//!
//! Each outage has a stack of its own, with a line that the GPUs do not get through meanwhile. During it
//! jobs are submitted and cancelled and the sweep goes round; afterwards everything must end, and no
//! outage may have cost a job an attempt.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Write, stdout};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use local::{Artifacts, Moto, Proxy, RedisChoice, Stack, StackOptions, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::caller::{Answers, Caller, id};
use crate::chaos::history::is_terminal;
use crate::chaos::{Api, Fault, Injector};
use crate::{Result, Verdict};

/// Within which a cancel is answered, in milliseconds.
const CANCEL_MS: f64 = 2_000.0;
/// Within which a round of the sweep ends, in milliseconds: the next one begins then.
const SWEEP_MS: f64 = 60_000.0;
/// How long everything may take to end afterwards.
const DRAIN: Duration = Duration::from_secs(180);
/// Between two submissions, and between two cancels.
const PACE: Duration = Duration::from_secs(2);
/// Between two rounds of the sweep: as often as `local/up` has them.
const SWEEP_PAUSE: Duration = Duration::from_secs(10);
/// Jobs that wait when the outage begins.
const BEFORE: usize = 90;
/// How long a render takes.
const RENDER_SECONDS: u32 = 3;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long each outage lasts, in seconds.
    #[arg(long, default_value_t = 120)]
    pub seconds: u64,
    /// One of them alone.
    #[arg(long)]
    pub only: Option<Outage>,
}

/// Who is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Outage {
    /// The API with its own job table takes calls and says nothing.
    ApiHangs,
    /// The directory of the objects is gone.
    StoreAway,
    /// The bucket takes calls and says nothing.
    StoreSilent,
    /// Redis is over its `maxmemory`.
    RedisFull,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiHangs => "API_URL hangs",
            Self::StoreAway => "store away",
            Self::StoreSilent => "store silent",
            Self::RedisFull => "Redis full",
        })
    }
}

/// What was seen of one outage.
#[derive(Debug, Default)]
struct Seen {
    accepted: Vec<String>,
    submitted: Answers,
    cancelled: Answers,
    sweeps: Answers,
    /// What each cancel was answered, if it was.
    cancels: BTreeMap<String, Option<StatusCode>>,
    /// Until everything had ended, and whoever is to be told of it was.
    drained: Option<Duration>,
    /// Ended jobs by status.
    ends: BTreeMap<String, usize>,
    /// What is wrong with single jobs.
    wrong: Vec<String>,
}

type Notes = Mutex<Seen>;

fn note<T>(notes: &Notes, what: impl FnOnce(&mut Seen) -> T) -> T {
    what(&mut notes.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One outage after the other; whether all targets were met.
pub async fn run(options: &Options) -> Verdict {
    let all = [
        Outage::ApiHangs,
        Outage::StoreAway,
        Outage::StoreSilent,
        Outage::RedisFull,
    ];
    let mut met = true;
    writeln!(
        stdout(),
        "outages: {} s each, {BEFORE} jobs waiting and {RENDER_SECONDS} s a render on 4 GPUs when it begins",
        options.seconds
    )?;
    for outage in all {
        if options.only.is_none_or(|only| only == outage) {
            let seen = one(outage, Duration::from_secs(options.seconds)).await?;
            met &= say(outage, &seen)?;
        }
    }
    Ok(met)
}

async fn one(outage: Outage, lasts: Duration) -> Result<Seen> {
    let api = Api::start().await?;
    let (artifacts, bucket) = match outage {
        Outage::StoreSilent => {
            let moto = Moto::start().await?;
            let proxy = Proxy::start(moto.port()).await?;
            let artifacts = Artifacts::S3 {
                endpoint: format!("http://127.0.0.1:{}", proxy.port()),
                bucket: Moto::BUCKET.to_owned(),
                prefix: "outages".to_owned(),
            };
            (artifacts, Some((moto, proxy)))
        }
        _ => (Artifacts::Own, None),
    };
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let stack = Stack::start(StackOptions {
        artifacts,
        redis: RedisChoice::Own { durable: true },
        // Each round is invoked, and timed, here.
        sweep_every: Duration::from_secs(3_600),
        env: vec![
            set("SUBMIT_RATE", "0"),
            set("READ_RATE", "0"),
            set("API_URL", &api.url),
        ],
        ..StackOptions::default()
    })
    .await?;
    let wire = bucket.as_ref().map(|(_, proxy)| proxy);
    let seen = watch(&stack, &api, wire, outage, lasts).await;
    let log = local::root().join(".local/outages.log");
    std::fs::copy(stack.logs(), log)?;
    stack.stop().await;
    if let Some((moto, _)) = bucket {
        moto.stop().await;
    }
    seen
}

async fn watch(
    stack: &Stack,
    api: &Api,
    bucket: Option<&Proxy>,
    outage: Outage,
    lasts: Duration,
) -> Result<Seen> {
    let caller = Caller::of(stack, "user", "bench")?;
    let switches = json!({"mode": "callback", "renderSeconds": RENDER_SECONDS});
    let faults = caller.http.put(format!("{}/faults", stack.muscgen()));
    faults.json(&switches).send().await?.error_for_status()?;
    let notes = Notes::default();
    for _ in 0..BEFORE {
        let job = caller.submit(&mut Answers::default(), 1).await?;
        note(&notes, |seen| seen.accepted.push(job));
    }
    let injector = Injector::new(stack, api);
    let suffer = async {
        let fault = match (outage, bucket) {
            (Outage::ApiHangs, _) => Fault::ApiHangs { lasts },
            (Outage::StoreAway, _) => Fault::StoreAway { lasts },
            (Outage::RedisFull, _) => Fault::Full { lasts },
            (Outage::StoreSilent, Some(bucket)) => {
                bucket.swallow();
                tokio::time::sleep(lasts).await;
                bucket.mend();
                return Some(());
            }
            (Outage::StoreSilent, None) => return None,
        };
        injector.apply(fault).await.map(drop)
    };
    let outage_and_after = async {
        tokio::select! {
            made = suffer => made.ok_or("the outage could not be made")?,
            failed = submit(&caller, &notes) => failed?,
            failed = cancel(&caller, &notes) => failed?,
        }
        drain(&caller, api, &notes).await
    };
    let jobs = tokio::select! {
        jobs = outage_and_after => jobs?,
        () = sweep(stack, &notes) => Vec::new(),
    };
    let mut seen = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
    judge(&mut seen, &jobs);
    Ok(seen)
}

/// Waits until all jobs have ended and the API was told of it, or for long enough; the jobs as they are then.
async fn drain(caller: &Caller, api: &Api, notes: &Notes) -> Result<Vec<Value>> {
    let back = Instant::now();
    let accepted = note(notes, |seen| seen.accepted.clone());
    let over = until(DRAIN, async || {
        let jobs = read(caller, &accepted).await.ok()?;
        let told = api.told();
        let over =
            |job: &Value| is_terminal(job["status"].as_str()?).then_some(told.contains(&id(job)));
        jobs.iter()
            .all(|job| over(job) == Some(true))
            .then_some(jobs)
    });
    match over.await {
        Some(jobs) => {
            note(notes, |seen| seen.drained = Some(back.elapsed()));
            Ok(jobs)
        }
        None => read(caller, &accepted).await,
    }
}

/// Submits until it is dropped.
async fn submit(caller: &Caller, notes: &Notes) -> Result<()> {
    let mut tick = paced();
    loop {
        tick.tick().await;
        let mut answers = Answers::default();
        let (status, job) = answers.ask(caller.submission(1)).await?;
        note(notes, |seen| {
            seen.submitted.add(answers);
            if status == StatusCode::ACCEPTED {
                seen.accepted.extend(job.as_ref().map(id));
            }
        });
    }
}

/// Cancels the job that was accepted last and not cancelled yet, until it is dropped.
async fn cancel(caller: &Caller, notes: &Notes) -> Result<()> {
    let mut tick = paced();
    loop {
        tick.tick().await;
        let next = note(notes, |seen| {
            let fresh = |id: &&String| !seen.cancels.contains_key(*id);
            let id = seen.accepted.iter().rev().find(fresh)?.clone();
            seen.cancels.insert(id.clone(), None);
            Some(id)
        });
        let Some(id) = next else { continue };
        let mut answers = Answers::default();
        let path = format!("/jobs/{id}/cancel");
        let (status, _) = answers.ask(caller.request(Method::POST, &path)).await?;
        note(notes, |seen| {
            seen.cancelled.add(answers);
            seen.cancels.insert(id, Some(status));
        });
    }
}

/// Invokes the sweep again and again until it is dropped.
async fn sweep(stack: &Stack, notes: &Notes) {
    loop {
        let from = Instant::now();
        let swept = stack.sweep().await;
        let ms = from.elapsed().as_secs_f64() * 1_000.0;
        note(notes, |seen| {
            seen.sweeps.ms.push(ms);
            seen.sweeps.refused += usize::from(swept.is_err());
        });
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}

fn paced() -> Interval {
    let mut tick = interval(PACE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

async fn read(caller: &Caller, jobs: &[String]) -> Result<Vec<Value>> {
    let mut read = Vec::with_capacity(jobs.len());
    for id in jobs {
        let request = caller.request(Method::GET, &format!("/jobs/{id}"));
        let answer = request.send().await?.error_for_status()?;
        read.push(answer.json().await?);
    }
    Ok(read)
}

/// Nobody's job is lost, run twice or cancelled for nothing.
fn judge(seen: &mut Seen, jobs: &[Value]) {
    for job in jobs {
        let (id, status) = (id(job), job["status"].as_str().unwrap_or_default());
        *seen.ends.entry(status.to_owned()).or_default() += 1;
        let cancel = seen.cancels.get(&id);
        let right = match status {
            "completed" => job["attempt"] == 1 && cancel != Some(&Some(StatusCode::OK)),
            "cancelled" => cancel.is_some(),
            _ => false,
        };
        if !right {
            seen.wrong.push(format!(
                "{id} is {status} at attempt {}, its cancel {cancel:?}: {}",
                job["attempt"], job["error"]
            ));
        }
    }
}

/// False: a target was missed.
fn say(outage: Outage, seen: &Seen) -> Verdict {
    let mut answers = BTreeMap::<String, usize>::new();
    for status in seen.cancels.values().flatten() {
        *answers.entry(status.as_u16().to_string()).or_default() += 1;
    }
    let longest = |of: &Answers| of.quantile(1.0);
    let (cancel, sweep) = (longest(&seen.cancelled), longest(&seen.sweeps));
    let drained = match seen.drained {
        Some(took) => format!("after {:.0} s", took.as_secs_f64()),
        None => format!("not within {} s", DRAIN.as_secs()),
    };
    let mut out = stdout();
    writeln!(out, "  {outage}")?;
    writeln!(
        out,
        "    submissions {}, refused {}; the longest took {:.0} ms",
        seen.submitted.ms.len(),
        seen.submitted.refused,
        longest(&seen.submitted)
    )?;
    writeln!(
        out,
        "    cancels answered {answers:?}, median {:.0} ms, longest {cancel:.0} ms (target {CANCEL_MS:.0})",
        seen.cancelled.quantile(0.5)
    )?;
    writeln!(
        out,
        "    sweeps {}, of which {} say that a part broke off; median {:.0} ms, longest {sweep:.0} ms (target {SWEEP_MS:.0})",
        seen.sweeps.ms.len(),
        seen.sweeps.refused,
        seen.sweeps.quantile(0.5)
    )?;
    writeln!(
        out,
        "    {} jobs, ended and told {drained}: {:?}; wrong {}",
        seen.accepted.len(),
        seen.ends,
        seen.wrong.len()
    )?;
    for wrong in &seen.wrong {
        writeln!(out, "      {wrong}")?;
    }
    let met = cancel <= CANCEL_MS && sweep <= SWEEP_MS;
    Ok(met && seen.drained.is_some() && seen.wrong.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_right_when_it_completed_at_once_or_was_cancelled_by_its_user() {
        let cancels = BTreeMap::from([
            ("b".to_owned(), Some(StatusCode::OK)),
            ("c".to_owned(), Some(StatusCode::SERVICE_UNAVAILABLE)),
        ]);
        let job = |id: &str, status: &str, attempt: u32| json!({"jobId": id, "status": status, "attempt": attempt});
        for (job, right) in [
            (job("a", "completed", 1), true),
            (job("a", "completed", 2), false),
            (job("a", "cancelled", 1), false),
            (job("a", "failed", 1), false),
            (job("b", "cancelled", 1), true),
            (job("b", "completed", 1), false),
            (job("c", "completed", 1), true),
            (job("c", "cancelled", 1), true),
            (job("c", "queued", 1), false),
        ] {
            let mut seen = Seen {
                cancels: cancels.clone(),
                ..Seen::default()
            };
            judge(&mut seen, std::slice::from_ref(&job));
            assert_eq!(seen.wrong.is_empty(), right, "{job}");
        }
    }
}
