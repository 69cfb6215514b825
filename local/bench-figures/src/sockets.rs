//! How fast a transition reaches those who listen: a crowd of sockets on one job, and one socket over many jobs.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use local::{Heard, Opening, SocketClient, Stack, StackOptions};
use reqwest::Client;
use serde_json::{Value, json};

use crate::{Result, Verdict};

/// Milliseconds from the end of a job until the last of the crowd has it.
const CROWD_TARGET: f64 = 2_000.0;
/// Milliseconds from a transition to its push: half of them, and 99 of 100.
const TARGETS: (f64, f64) = (30.0, 150.0);
/// Sockets that are opened at a time.
const BUNCH: usize = 25;
/// How often one of them tries to open.
const TRIES: u32 = 5;
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Sockets on one job.
    #[arg(long, default_value_t = 1_000)]
    pub sockets: usize,
    /// Events over one socket, at least.
    #[arg(long, default_value_t = 1_000)]
    pub events: usize,
}

/// Lets a job pass before a crowd, then many before one, and tells how late the events came.
pub async fn run(options: &Options) -> Verdict {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let stack = Stack::start(StackOptions {
        env: vec![
            set("SOCKETS_MAX", "100000"),
            set("SOCKET_RATE", "0"),
            set("SOCKET_TENANT_RATE", "0"),
            set("READ_RATE", "0"),
            set("SUBMIT_RATE", "0"),
        ],
        workers: 2,
        sweep_every: Duration::from_secs(60),
        ..StackOptions::default()
    })
    .await?;
    let measured = measure(&stack, options).await;
    stack.stop().await;
    report(options, &measured?)
}

struct Measured {
    opening: Duration,
    /// Milliseconds after the end, one for each of the crowd.
    crowd: Vec<f64>,
    /// Milliseconds after the transition, one for each event.
    events: Vec<f64>,
    jobs: usize,
}

async fn measure(stack: &Stack, options: &Options) -> Result<Measured> {
    let caller = Caller::new(stack)?;
    let switches = json!({"mode": "callback", "renderSeconds": 0});
    let faults = caller.http.put(format!("{}/faults", stack.muscgen()));
    faults.json(&switches).send().await?.error_for_status()?;

    // What a fresh process does at its first invocation is no latency of a push.
    follow_many(&caller, 1).await?;
    caller.steer("pause").await?;
    let job = caller.submit().await?;
    let begun = Instant::now();
    let listen = async |_| {
        let subscribe = json!({"action": "job:subscribe", "jobId": job});
        caller.listen(&subscribe, "subscribed").await
    };
    let crowd: Vec<SocketClient> = stream::iter(0..options.sockets)
        .map(listen)
        .buffer_unordered(BUNCH)
        .try_collect()
        .await?;
    let opening = begun.elapsed();
    let ends: Vec<_> = crowd
        .into_iter()
        .map(|socket| tokio::spawn(until_ended(socket)))
        .collect();
    caller.steer("resume").await?;
    let mut crowd = Vec::with_capacity(ends.len());
    for end in ends {
        let (_socket, late) = end.await??;
        crowd.extend(late.last());
    }
    let (jobs, events) = follow_many(&caller, options.events).await?;
    Ok(Measured {
        opening,
        crowd,
        events,
        jobs,
    })
}

/// Jobs, one after the other, until so many events have come over one socket.
async fn follow_many(caller: &Caller<'_>, least: usize) -> Result<(usize, Vec<f64>)> {
    let feed = json!({"action": "jobs:subscribe:user"});
    let mut socket = caller.listen(&feed, "subscribed:user").await?;
    let (mut events, mut jobs) = (Vec::new(), 0);
    while events.len() < least {
        // The emulator may keep back its answer for longer than the first events take.
        let (submitted, heard) = tokio::join!(caller.submit(), until_ended(socket));
        submitted?;
        let (back, late) = heard?;
        socket = back;
        events.extend(late);
        jobs += 1;
    }
    Ok((jobs, events))
}

/// Milliseconds by which each event of a job came after its transition, to the end; the socket for more.
async fn until_ended(mut socket: SocketClient) -> Result<(SocketClient, Vec<f64>)> {
    let mut late = Vec::new();
    loop {
        let heard = match socket.next(PATIENCE).await {
            Some(Heard::Message(Value::Array(several))) => several,
            Some(Heard::Message(one)) => vec![one],
            other => return Err(format!("no event but {other:?}").into()),
        };
        let now = Utc::now();
        for event in heard {
            late.push(lateness(&event, now)?);
            if !matches!(event["status"].as_str(), Some("queued" | "processing")) {
                return Ok((socket, late));
            }
        }
    }
}

fn lateness(event: &Value, now: DateTime<Utc>) -> Result<f64> {
    let at = event["at"].as_str().ok_or("an event without a time")?;
    let late = now - DateTime::parse_from_rfc3339(at)?.to_utc();
    Ok(late.to_std().unwrap_or_default().as_secs_f64() * 1_000.0)
}

/// A user with jobs and sockets, who is also let steer the queue.
struct Caller<'a> {
    stack: &'a Stack,
    http: Client,
    user: String,
    admin: String,
}

impl<'a> Caller<'a> {
    fn new(stack: &'a Stack) -> Result<Self> {
        Ok(Self {
            stack,
            http: Client::builder().no_proxy().build()?,
            user: stack.token("user", "alice")?,
            admin: stack.token("admin", "bench")?,
        })
    }

    async fn submit(&self) -> Result<String> {
        let body =
            json!({"narrative": "a calm piano evening in the rain", "duration": 1, "seed": 7});
        let request = self.http.post(format!("{}/jobs", self.stack.api()));
        let request = request
            .bearer_auth(&self.user)
            .header("cache-control", "no-cache")
            .json(&body);
        let job: Value = request.send().await?.error_for_status()?.json().await?;
        Ok(job["jobId"].as_str().unwrap_or_default().to_owned())
    }

    /// `pause` or `resume`.
    async fn steer(&self, how: &str) -> Result<()> {
        let url = format!("{}/admin/queue/{how}", self.stack.api());
        let request = self
            .http
            .post(url)
            .bearer_auth(&self.admin)
            .json(&json!({}));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// A socket on which `message` was answered with `answer`. As clients do, it tries again when it is refused.
    async fn listen(&self, message: &Value, answer: &str) -> Result<SocketClient> {
        let mut pause = Duration::from_millis(200);
        for _ in 1..TRIES {
            if let Ok(socket) = self.listen_once(message, answer).await {
                return Ok(socket);
            }
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause *= 2;
        }
        self.listen_once(message, answer).await
    }

    async fn listen_once(&self, message: &Value, answer: &str) -> Result<SocketClient> {
        let request = self.http.post(format!("{}/auth/ticket", self.stack.api()));
        let ticket = request.bearer_auth(&self.user).send().await?;
        let ticket: Value = ticket.error_for_status()?.json().await?;
        let ticket = ticket["ticket"].as_str().unwrap_or_default();
        let address = format!("{}/?ticket={ticket}", self.stack.sockets());
        let mut socket = match SocketClient::open(&address).await? {
            Opening::Open(socket) => socket,
            Opening::Refused(status) => return Err(format!("refused with {status}").into()),
        };
        socket.say(message.to_string()).await?;
        // The job's first event may come before the answer.
        for _ in 0..2 {
            match socket.next(PATIENCE).await {
                Some(Heard::Message(said)) if said["event"] == answer => return Ok(socket),
                Some(Heard::Message(event)) if event["event"] == "job:status" => {}
                other => return Err(format!("not {answer} but {other:?}").into()),
            }
        }
        Err(format!("no {answer}").into())
    }
}

/// The values at 50, 95, 99 and 100 of a hundred.
fn shares(values: &[f64]) -> [f64; 4] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [50, 95, 99, 100].map(|share| {
        let at = (sorted.len() * share / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or(f64::NAN)
    })
}

fn report(options: &Options, measured: &Measured) -> Verdict {
    let (crowd, events) = (shares(&measured.crowd), shares(&measured.events));
    writeln!(
        stdout(),
        "sockets: {} on one job, opened in {:.1} s; then {} events of {} jobs over one",
        options.sockets,
        measured.opening.as_secs_f64(),
        measured.events.len(),
        measured.jobs
    )?;
    let line = |what: &str, cells: [&str; 4]| {
        let [p50, p95, p99, last] = cells;
        writeln!(
            stdout(),
            "  {what:<36} {p50:>9} {p95:>9} {p99:>9} {last:>9}"
        )
    };
    line("milliseconds", ["p50", "p95", "p99", "last"])?;
    for (what, values) in [
        ("end of the job to each of the crowd", crowd),
        ("transition to push, one socket", events),
    ] {
        let cells = values.map(|value| format!("{value:.1}"));
        line(what, cells.each_ref().map(String::as_str))?;
    }
    let (half, most) = TARGETS;
    writeln!(
        stdout(),
        "  Targets: the last of the crowd within {CROWD_TARGET:.0} ms; one socket p50 under {half:.0} ms and p99 under {most:.0} ms."
    )?;
    Ok(crowd[3] < CROWD_TARGET && events[0] < half && events[2] < most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_hundred_values_are_those_at_their_places() {
        let values: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(shares(&values), [50.0, 95.0, 99.0, 99.0]);
        assert!(shares(&[])[0].is_nan());
    }

    #[test]
    fn an_event_is_as_late_as_the_clock_says() {
        let event = json!({"at": "2026-01-01T00:00:00.250Z"});
        let now = DateTime::parse_from_rfc3339("2026-01-01T00:00:01Z").unwrap();
        let late = lateness(&event, now.to_utc()).unwrap();
        assert!((late - 750.0).abs() < 1e-9, "{late}");
        assert!(lateness(&json!({}), now.to_utc()).is_err());
    }
}
