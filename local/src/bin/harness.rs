//! The program behind `local/up`, `local/demo`, `local/token` and `local/hash-password`, and in the containers of
//! `local/docker-compose.yml`.

use std::io::{Read, Write, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use local::api::Api;
use local::{Functions, HarnessError, Result, Scratch, Stack, StackOptions};
use local::{beside, demo, hash_password, mint, schemathesis, signing_secret, up};
use shared::identity::PASSWORD_MAX;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Tutti on one machine.
#[derive(Parser)]
#[command(name = "local")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything until Ctrl-C.
    Up {
        /// Build and reload the functions when their code changes.
        #[arg(long)]
        watch: bool,
        /// Port of the HTTP API on the loopback address.
        #[arg(long, default_value_t = up::API_PORT)]
        port: u16,
        /// Port of the sockets on the loopback address.
        #[arg(long, default_value_t = up::SOCKETS_PORT)]
        sockets_port: u16,
    },
    /// Run the functions alone until told to stop.
    Functions {
        /// Build and reload them when their code changes.
        #[arg(long)]
        watch: bool,
        /// Where the HTTP API is.
        #[arg(long, default_value_t = loopback(up::API_PORT))]
        listen: SocketAddr,
    },
    /// Run alone, until told to stop, what stands beside the functions: the pumps, the timer of the sweep, the sockets.
    Beside {
        /// Base address of the functions.
        #[arg(long, default_value_t = format!("http://{}", loopback(up::API_PORT)))]
        api: String,
        /// Where the sockets are.
        #[arg(long, default_value_t = loopback(up::SOCKETS_PORT))]
        listen: SocketAddr,
    },
    /// Compose one track into ./track.wav and stop.
    Demo {
        /// What the music should be about.
        #[arg(default_value = "a calm piano evening in the rain")]
        narrative: String,
        /// Seconds of music.
        #[arg(long, default_value_t = 30)]
        duration: u32,
    },
    /// Hold the running API to its document, as a user and as an admin; more arguments go to `schemathesis run`.
    Schemathesis {
        /// Whose token; once for each caller.
        #[arg(long, default_values = ["user", "admin"])]
        role: Vec<String>,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Print a token of this clone, or of the secret that the environment gives.
    Token {
        /// user, admin, orchestrator, system or worker.
        #[arg(long, default_value = "user")]
        role: String,
        /// Whom it speaks for.
        #[arg(long)]
        sub: String,
        /// How long it works: a number with s, m, h or d.
        #[arg(long, default_value = "1h", value_parser = span)]
        expires: Duration,
    },
    /// Read a password from standard input and print its hash.
    HashPassword,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Up {
            watch,
            port,
            sockets_port,
        } => run_up(port, sockets_port, watch).await,
        Command::Functions { watch, listen } => run_functions(listen, watch).await,
        Command::Beside { api, listen } => run_beside(&api, listen).await,
        Command::Demo {
            narrative,
            duration,
        } => run_demo(&narrative, duration).await,
        Command::Schemathesis { role, arguments } => run_schemathesis(&role, &arguments).await,
        Command::Token { role, sub, expires } => {
            signing_secret().and_then(|secret| say(&mint(&secret, &role, &sub, expires)?))
        }
        Command::HashPassword => run_hash_password().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n  {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_up(port: u16, sockets_port: u16, watch: bool) -> Result<()> {
    let mut stop = Stop::new()?;
    let admin = up::admin()?;
    let options = up::options(port, sockets_port, watch, admin.as_ref()).await?;
    let stack = tokio::select! {
        stack = Stack::start(options) => stack?,
        () = stop.told() => return Ok(()),
    };
    say(&up::card(&stack, admin.as_ref())?)?;
    stop.told().await;
    eprintln!("\n  Stopping.");
    stack.stop().await;
    Ok(())
}

async fn run_functions(listen: SocketAddr, watch: bool) -> Result<()> {
    let mut stop = Stop::new()?;
    let functions = tokio::select! {
        functions = Functions::start(listen, watch) => functions?,
        () = stop.told() => return Ok(()),
    };
    stop.told().await;
    functions.stop().await;
    Ok(())
}

async fn run_beside(api: &str, listen: SocketAddr) -> Result<()> {
    let mut stop = Stop::new()?;
    let mut beside = beside(api, listen).await?;
    tokio::select! {
        broken = beside.broken() => return Err(broken),
        () = stop.told() => {}
    }
    beside.stop().await;
    Ok(())
}

async fn run_hash_password() -> Result<()> {
    // One byte more than a password may have.
    let mut text = String::new();
    let most = PASSWORD_MAX as u64 + 3;
    stdin()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|source| HarnessError::Io {
            what: "read the password".to_owned(),
            source,
        })?;
    let password = text.trim_end_matches(['\r', '\n']);
    say(&hash_password(password).await?)
}

async fn run_demo(narrative: &str, duration: u32) -> Result<()> {
    let mut stop = Stop::new()?;
    // Beside a running `up`: its own ports, Redis and files.
    let scratch = Scratch::new()?;
    let options = StackOptions {
        folder: Some(scratch.path().to_owned()),
        ..up::with_caller(StackOptions::default())?
    };
    eprintln!("  Starting Redis, the functions and the models.");
    let composed = tokio::select! {
        composed = started_demo(options, narrative, duration) => composed,
        () = stop.told() => Err(HarnessError::Job("stopped before the track was finished".to_owned())),
    };
    if composed.is_err() {
        // The log tells why; it is kept.
        let kept = local::root().join(".local/demo.log");
        let _ = std::fs::copy(scratch.path().join("tutti.log"), &kept);
        eprintln!("\n  The log of this run: {}", kept.display());
    }
    composed
}

async fn started_demo(options: StackOptions, narrative: &str, duration: u32) -> Result<()> {
    let stack = Stack::start(options).await?;
    eprintln!("  \"{narrative}\", {duration} s");
    let api = Api::new(stack.api(), &stack.token("user", "demo")?)?;
    let file = Path::new("track.wav");
    let job = demo::compose(&api, narrative, duration, file).await;
    stack.stop().await;
    say(&demo::summary(&job?, file))
}

async fn run_schemathesis(roles: &[String], arguments: &[String]) -> Result<()> {
    let mut stop = Stop::new()?;
    tokio::select! {
        held = held_to_the_document(roles, arguments) => held,
        () = stop.told() => Err(HarnessError::Job("stopped before all was tried".to_owned())),
    }
}

async fn held_to_the_document(roles: &[String], arguments: &[String]) -> Result<()> {
    let mut failed = Vec::new();
    for role in roles {
        let scratch = Scratch::new()?;
        let options = StackOptions {
            folder: Some(scratch.path().to_owned()),
            ..schemathesis::options()
        };
        let stack = Stack::start(options).await?;
        eprintln!("  As {role}:");
        let mut command = schemathesis::command(&stack, role, arguments).await?;
        let ended = command.status().await.map_err(|source| HarnessError::Io {
            what: "run schemathesis".to_owned(),
            source,
        })?;
        if !ended.success() {
            // The log tells why; it is kept.
            let kept = local::root().join(format!(".local/schemathesis-{role}.log"));
            let _ = std::fs::copy(stack.logs(), &kept);
            failed.push(format!("as {role}, see {}", kept.display()));
        }
        stack.stop().await;
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(HarnessError::Job(format!(
            "the API and its document differ: {}",
            failed.join("; ")
        ))),
    }
}

/// Ctrl-C, `kill`, or a closed terminal. Made before anything starts, so that none is missed.
struct Stop([Signal; 3]);

impl Stop {
    fn new() -> Result<Self> {
        let on = |kind| {
            signal(kind).map_err(|source| HarnessError::Io {
                what: "listen for signals".to_owned(),
                source,
            })
        };
        Ok(Self([
            on(SignalKind::interrupt())?,
            on(SignalKind::terminate())?,
            on(SignalKind::hangup())?,
        ]))
    }

    async fn told(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn say(text: &str) -> Result<()> {
    writeln!(stdout(), "{text}").map_err(|source| HarnessError::Io {
        what: "write to standard output".to_owned(),
        source,
    })
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn span(text: &str) -> std::result::Result<Duration, String> {
    let wrong = || format!("{text} is no span of time; write for example 90s, 30m, 1h or 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number
        .checked_mul(seconds)
        .filter(|&all| all > 0)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_is_a_number_and_a_unit() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in [
            "",
            "h",
            "1",
            "1 h",
            "-1h",
            "0s",
            "1w",
            "99999999999999999999d",
            "1é",
        ] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
