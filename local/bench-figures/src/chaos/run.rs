//! One run, from an empty stack to a verdict.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use local::{HarnessError, Stack};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::api::Api;
use super::board::Board;
use super::callers::{Caller, Door, user};
use super::check::{Bounds, Violation, check};
use super::collect;
use super::history::{History, Injected, Sample, Submission};
use super::inject::Injector;
use super::options::{LATE, MAX_ATTEMPTS, Options, SWEEP};
use super::samples::Sampler;
use super::schedule::{Key, Schedule};

/// How long after the last fault every job must have come to its end.
const QUIET: Duration = Duration::from_secs(240);
/// How long after the last job's end the last message about an end must have arrived.
const TOLD: Duration = Duration::from_secs(30);
/// An emulator that has answered nothing for so long will not.
const SILENT: Duration = Duration::from_secs(45);
/// What a stranded job may cost beyond the sweep period.
const STRAND: Duration = Duration::from_secs(5);
/// Of the accepted and not cancelled jobs.
const COMPLETED: f64 = 0.95;
/// Of the callers' tries. The emulator loses hardly any answer; a function that crashes at every tenth request shows.
const FOREIGN: f64 = 0.05;

/// The record and what is wrong with it.
#[derive(Debug)]
pub struct Outcome {
    pub history: History,
    pub violations: Vec<Violation>,
    pub bounds: Bounds,
}

/// Runs it, and judges. The log stays at `log` where one is given.
pub async fn run(options: &Options, log: Option<&Path>) -> Result<Outcome, HarnessError> {
    let api = Api::start().await?;
    let stack = Stack::start(options.stack(&api.url)).await?;
    let ran = record(options, &stack, &api).await;
    if let Some(log) = log {
        let _ = std::fs::copy(stack.logs(), log);
    }
    stack.stop().await;
    let history = ran?;
    let bounds = Bounds {
        completed: COMPLETED,
        foreign: FOREIGN,
        strand_ms: (SWEEP + STRAND).as_millis() as i64,
        attempts: u64::from(MAX_ATTEMPTS),
        workers: options.workers,
    };
    let violations = check(&history, &bounds);
    Ok(Outcome {
        history,
        violations,
        bounds,
    })
}

/// What is written down while the run goes on.
#[derive(Default)]
struct Notes {
    board: Arc<Board>,
    submissions: Arc<Mutex<Vec<Submission>>>,
    made: Arc<Mutex<Vec<Injected>>>,
    samples: Arc<Mutex<Vec<Sample>>>,
}

async fn record(options: &Options, stack: &Stack, api: &Api) -> Result<History, HarnessError> {
    spoil_models(options, stack).await?;
    let users: Vec<_> = (0..options.tenants).map(user).collect();
    let tokens = users
        .iter()
        .map(|user| stack.token("user", user))
        .collect::<Result<_, _>>()?;
    let door = Door::new(stack.api(), tokens)?;
    let notes = Notes::default();
    let mut lookers = JoinSet::new();
    let sampler = Sampler {
        url: stack
            .redis()
            .map_or_else(String::new, |redis| redis.url().to_owned()),
        partition: stack.partition().to_owned(),
        tenants: users,
    };
    let samples = notes.samples.clone();
    lookers.spawn(async move {
        // Ends only with an address that is none, and then there are no samples, which shows.
        let _ = sampler.watch(samples).await;
    });
    lookers.spawn(notes.board.clone().watch(door.clone()));
    let ran = async {
        act(options, stack, api, &door, &notes).await;
        settle(stack, &notes.board).await;
    };
    tokio::select! {
        () = ran => {}
        silent = silence(stack) => return Err(silent),
    }
    lookers.shutdown().await;
    let mut history = gather(stack, &door, notes).await?;
    history.told = Some(api.told());
    Ok(history)
}

/// The models of this run: quick, and now and then bad.
async fn spoil_models(options: &Options, stack: &Stack) -> Result<(), HarnessError> {
    let chances = json!({
        "chanceSeed": options.seed as u32, "failChance": 0.05, "reportFailedChance": 0.05,
        "lateChance": 0.05, "lateSeconds": LATE.as_secs(), "neverChance": 0.02,
    });
    // A worker waits for the plan, so that a kill finds it at work; it does not wait for the render.
    let (mut jen1, mut muscgen) = (chances.clone(), chances);
    jen1["planSeconds"] = json!(0.15);
    muscgen["renderSeconds"] = json!(0.5);
    for (address, switches) in [(stack.jen1(), jen1), (stack.muscgen(), muscgen)] {
        let put = reqwest::Client::new()
            .put(format!("{address}/faults"))
            .json(&switches);
        put.send().await?.error_for_status()?;
    }
    Ok(())
}

/// Everything that is planned, at its time; returns when all of it is over.
async fn act(options: &Options, stack: &Stack, api: &Api, door: &Door, notes: &Notes) {
    let Schedule { orders, faults } = Schedule::draw(options);
    let begin = Instant::now();
    let mut callers = JoinSet::new();
    let count = orders.len();
    for (number, order) in orders.into_iter().enumerate() {
        let key = (order.key != Key::None).then(|| format!("chaos-{}-{number}", options.seed));
        let caller = Caller {
            door: door.clone(),
            board: notes.board.clone(),
            number,
            orders: count,
            order,
            key,
            begin,
        };
        callers.spawn(caller.act(notes.submissions.clone()));
    }
    let mut injector = Injector::new(stack, api);
    injector.made = notes.made.clone();
    let faults = faults.into_iter().map(|planned| injector.make(planned));
    let submitted = async { while callers.join_next().await.is_some() {} };
    tokio::join!(submitted, join_all(faults));
}

/// Returns when the Lambda emulator no longer hands requests on. No fault touches it or `health`, which needs nothing: so it is
/// not the system that fell silent, and nothing can be said of it.
async fn silence(stack: &Stack) -> HarnessError {
    let http = reqwest::Client::new();
    let mut heard = Instant::now();
    while heard.elapsed() < SILENT {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let ask = http.get(format!("{}/health", stack.api()));
        let answer = ask.timeout(Duration::from_secs(5)).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            heard = Instant::now();
        }
    }
    HarnessError::Silent {
        name: "the Lambda emulator".to_owned(),
        seconds: SILENT.as_secs(),
        log: stack.logs().to_owned(),
        tail: String::new(),
    }
}

/// Until every job has ended, the store holds none for unfinished, and the messages have had their time; the checker says which did not.
async fn settle(stack: &Stack, board: &Board) {
    let artifacts = stack.folder().join("artifacts");
    let over = local::until(QUIET, async || {
        (board.unfinished() == 0 && collect::open(&artifacts) == 0).then_some(())
    });
    // What is not over by then is stuck, and is found in the record.
    let _ = over.await;
    // A note of a message that arrived stays where the store was away just then; whether all were told is in the record.
    let told = local::until(TOLD, async || {
        (collect::owed(&artifacts) == 0).then_some(())
    });
    let _ = told.await;
}

async fn gather(stack: &Stack, door: &Door, notes: Notes) -> Result<History, HarnessError> {
    let mut history = History {
        submissions: take(&notes.submissions),
        faults: take(&notes.made),
        samples: take(&notes.samples),
        ..History::default()
    };
    history
        .submissions
        .sort_by_key(|submission| submission.number);
    history.faults.sort_by_key(|fault| fault.at);
    collect::name_submissions(&mut history);
    collect::add_stored(&mut history, &stack.folder().join("artifacts"));
    collect::add_last(&mut history, door).await?;
    for (id, seen) in notes.board.seen() {
        history.jobs.entry(id).or_default().seen = seen;
    }
    for (id, call) in collect::calls(stack).await? {
        if let Some(job) = history.jobs.get_mut(&id) {
            job.calls.push(call);
        }
    }
    collect::add_lines(&mut history, stack.log_lines());
    Ok(history)
}

fn take<T>(from: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *from.lock().unwrap_or_else(PoisonError::into_inner))
}
