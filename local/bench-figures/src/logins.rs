//! Whether the time of a refused login tells who exists: wrong passwords of users, any passwords of nobody, and right passwords of
//! disabled users, in turn, each from an address of its own.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use local::{Stack, StackOptions, http_event};
use reqwest::Client;
use serde_json::{Value, json};

use crate::{Result, Verdict};

/// How far two medians may be apart, as a share of the lower one.
const TARGET: f64 = 0.05;
const PASSWORD: &str = "correct horse battery";
/// Users of each kind; a fresh process has read none of their objects.
const USERS: usize = 20;
/// Attempts before the measured ones.
const WARM_UP: usize = 20;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Attempts of each kind.
    #[arg(long, default_value_t = 1_000)]
    pub attempts: usize,
}

/// Who is named in an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Known,
    Unknown,
    Disabled,
}

const KINDS: [Kind; 3] = [Kind::Known, Kind::Unknown, Kind::Disabled];

/// Makes users, tries to sign in, and compares the medians.
pub async fn run(options: &Options) -> Verdict {
    // Each attempt is counted, and none is over a limit.
    let rate = |name: &str| (name.to_owned(), "1000000".to_owned());
    let stack = Stack::start(StackOptions {
        env: ["LOGIN_RATE", "LOGIN_ADDRESS_RATE", "LOGIN_NAME_RATE"]
            .map(rate)
            .to_vec(),
        workers: 1,
        sweep_every: Duration::from_secs(3_600),
        ..StackOptions::default()
    })
    .await?;
    let measured = measure(&stack, options).await;
    stack.stop().await;
    report(options, &measured?)
}

/// Milliseconds of every attempt, by kind.
async fn measure(stack: &Stack, options: &Options) -> Result<[Vec<f64>; 3]> {
    for kind in [Kind::Known, Kind::Disabled] {
        for number in 0..USERS {
            make(stack, kind, number).await?;
        }
    }
    let mut times = [const { Vec::new() }; 3];
    for round in 0..WARM_UP + options.attempts {
        let mut order = [0, 1, 2];
        fastrand::shuffle(&mut order);
        for index in order {
            let ms = attempt(stack, KINDS[index], round).await?;
            if round >= WARM_UP {
                times[index].push(ms);
            }
        }
    }
    Ok(times)
}

fn name(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Known => format!("known-{:04}@example.com", number % USERS),
        Kind::Unknown => format!("nobody-{number:03}@example.com"),
        Kind::Disabled => format!("gone-{:05}@example.com", number % USERS),
    }
}

async fn make(stack: &Stack, kind: Kind, number: usize) -> Result<()> {
    let client = Client::builder().no_proxy().build()?;
    let token = stack.token("admin", "bench")?;
    let url = format!("{}/auth/users", stack.api());
    let body = json!({"email": name(kind, number), "password": PASSWORD});
    let made = client.post(&url).bearer_auth(&token).json(&body);
    let user: Value = made.send().await?.error_for_status()?.json().await?;
    if kind == Kind::Disabled {
        let url = format!("{url}/{}", user["id"].as_str().unwrap_or_default());
        let change = client.patch(url).bearer_auth(&token);
        let change = change.json(&json!({"disabled": true})).send();
        change.await?.error_for_status()?;
    }
    Ok(())
}

/// Milliseconds until it was refused, as every attempt is.
async fn attempt(stack: &Stack, kind: Kind, round: usize) -> Result<f64> {
    let password = match kind {
        Kind::Disabled => PASSWORD,
        Kind::Known | Kind::Unknown => "incorrect horse trough",
    };
    let body = json!({"emailOrUsername": name(kind, round), "password": password});
    let address = format!("198.51.{}.{}", round / 250 % 250, round % 250);
    let event = http_event("POST", "/auth/login", &address, &body);
    let from = Instant::now();
    let answer = stack.invoke("auth", &event).await?;
    let took = from.elapsed();
    if answer["statusCode"] != 401 {
        return Err(format!("{kind:?} was answered {}", answer["statusCode"]).into());
    }
    Ok(took.as_secs_f64() * 1000.0)
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// By how much the higher is above the lower, as a share of it.
fn apart(one: f64, other: f64) -> f64 {
    (one - other).abs() / one.min(other)
}

fn report(options: &Options, times: &[Vec<f64>; 3]) -> Verdict {
    let medians = times.each_ref().map(|times| median(times));
    writeln!(
        stdout(),
        "logins: {} attempts of each kind, in turn",
        options.attempts
    )?;
    for (kind, median) in KINDS.iter().zip(medians) {
        writeln!(stdout(), "  {kind:<9?} median {median:>7.2} ms")?;
    }
    let [known, unknown, disabled] = medians;
    let differences = [apart(known, unknown), apart(known, disabled)];
    writeln!(
        stdout(),
        "  Known and unknown names differ by {:.2} %, known and disabled ones by {:.2} %; the target is under {:.0} %.",
        100.0 * differences[0],
        100.0 * differences[1],
        100.0 * TARGET
    )?;
    Ok(differences.iter().all(|difference| *difference < TARGET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_medians_are_apart_by_a_share_of_the_lower() {
        assert!((median(&[3.0, 100.0, 1.0]) - 3.0).abs() < f64::EPSILON);
        assert!((apart(10.0, 10.4) - 0.04).abs() < 1e-9);
        assert!((apart(10.4, 10.0) - 0.04).abs() < 1e-9);
    }

    #[test]
    fn names_of_every_kind_are_as_long() {
        let lengths = KINDS.map(|kind| name(kind, 7).len());
        assert!(lengths.iter().all(|length| *length == lengths[0]));
    }
}
