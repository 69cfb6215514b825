//! The queue against a model of it in plain Rust: whatever is asked in whatever order, Redis answers as the model does, every
//! job is seen as the model sees it, and the invariants hold.
//!
//! Reading order: `state` (what is known), `command` (what can be asked) and `draw`, `run`, `owner`, `worker`, `report`,
//! `care` and `moves` (what is to happen), `ask` (Redis's side), `view` (how the two are compared).

mod ask;
mod ask_others;
mod breaker;
mod care;
mod command;
mod draw;
mod moves;
mod owner;
mod report;
mod run;
mod state;
mod view;
mod worker;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;

use chrono::Utc;
use proptest::test_runner::{Config, FileFailurePersistence, TestError, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use shared::queue::{Policy, Queue};

use self::ask::Real;
use self::command::Command;
use self::run::Outcome;
use self::state::{CAP, JOBS, MAX_QUEUED, Model, SLOTS, id_of};
use self::view::{View, clocks};
use crate::check::check;
use crate::redis::Server;
use crate::rig::{RETENTION, Rig};

/// Commands of one case: few long ones, since most of what goes wrong needs a history.
const STEPS: std::ops::Range<usize> = 60..120;

/// How often each command had each answer.
type Tally = BTreeMap<String, u32>;

fn rig() -> Rig {
    let mut rig = Rig::over(Server::start(), SLOTS, CAP);
    let mut policy = Policy::new(SLOTS, CAP, MAX_QUEUED, RETENTION);
    policy.progress_ms = 0;
    policy.settle_ms = moves::SETTLE_MS;
    policy.turn_ms = moves::TURN_MS;
    rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
    rig
}

/// No two commands in one millisecond: in Redis, too, one is before the other.
async fn next_millisecond() {
    let now = Utc::now().timestamp_millis();
    while Utc::now().timestamp_millis() == now {
        tokio::task::yield_now().await;
    }
}

async fn step(real: &mut Real<'_>, rig: &Rig, model: &mut Model, command: &Command) -> Outcome {
    next_millisecond().await;
    let before = model.clone();
    let meant = model.run(command);
    let said = real.ask(&before, command).await;
    assert_eq!(said, meant, "Redis and the model, asked {command:?}");
    check(rig).await;
    for n in 0..JOBS {
        let found = rig.queue.read(id_of(n)).await.unwrap();
        let seen = found.map(View::from);
        assert_eq!(seen, model.view(n), "job {n} after {command:?}");
    }
    assert_eq!(clocks(rig).await, model.clocks(), "after {command:?}");
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!(counts, model.counts(), "after {command:?}");
    said.outcome
}

/// `Fail(3, …)` and `Failed(Stale)` are one line of the tally: `Fail: Failed(Stale)`.
fn note(tally: &RefCell<Tally>, command: &Command, outcome: &Outcome) {
    let asked = format!("{command:?}");
    let name = asked.split('(').next().unwrap_or(&asked);
    let said = match outcome {
        Outcome::Given { .. } => "Given".to_owned(),
        Outcome::Swept(_) => "Swept".to_owned(),
        other => format!("{other:?}"),
    };
    *tally
        .borrow_mut()
        .entry(format!("{name}: {said}"))
        .or_default() += 1;
}

#[test]
fn redis_answers_every_command_as_the_model_does() {
    let config = Config {
        cases: Config::default().cases / 8, // each is long
        max_shrink_iters: 400,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        test_name: Some(concat!(
            module_path!(),
            "::redis_answers_every_command_as_the_model_does"
        )),
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let rig = runtime.block_on(async { rig() });
    let tally = RefCell::new(Tally::new());
    let mut runner = TestRunner::new(config);
    let ran = runner.run(
        &Model::sequential_strategy(STEPS),
        |(mut model, commands, seen)| {
            runtime.block_on(async {
                let mut real = Real::over(&rig).await;
                for command in &commands {
                    if let Some(count) = &seen {
                        count.fetch_add(1, SeqCst);
                    }
                    let outcome = step(&mut real, &rig, &mut model, command).await;
                    note(&tally, command, &outcome);
                }
            });
            Ok(())
        },
    );
    for (line, times) in tally.borrow().iter() {
        println!("{times:6} {line}");
    }
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(why, (_, commands, _))) => {
            let steps: Vec<_> = commands.iter().map(|c| format!("{c:?}")).collect();
            panic!(
                "after {} commands:\n{}\n{why}",
                steps.len(),
                steps.join("\n")
            );
        }
        Err(aborted) => panic!("{aborted}"),
    }
}
