//! `cargo lambda watch`: routes HTTP requests to functions and serves them the Lambda Runtime API.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::error::{HarnessError, Result};
use crate::place::tool;
use crate::process::{Household, Kept, Program};
use crate::wait::until;

/// A request without an answer ends after as long as Lambda lets a function run.
const TIMEOUT: &str = "900";

/// Requests that one function serves at a time when the emulator starts its processes.
const PROCESSES: &str = "4";

/// Starts it at `listen`; returns when it listens. With `watch` it builds, starts and reloads the functions itself and gives them `env`;
/// else somebody starts them beside it.
pub(crate) async fn start(
    listen: SocketAddr,
    watch: bool,
    env: &[(String, String)],
    folder: &Path,
    house: &Household,
) -> Result<Kept> {
    let mut args = [
        "lambda",
        "watch",
        "-A",
        &listen.ip().to_string(),
        "-P",
        &listen.port().to_string(),
        "--disable-cors",
        "--timeout",
        TIMEOUT,
    ]
    .map(str::to_owned)
    .to_vec();
    if watch {
        let file = folder.join("functions.env");
        write_private(&file, env)?;
        args.extend(["--concurrency", PROCESSES, "--env-file"].map(str::to_owned));
        args.push(file.display().to_string());
    } else {
        args.push("--only-lambda-apis".to_owned());
    }
    let program = Program::new("cargo-lambda", tool("cargo-lambda")?).args(args);
    let kept = Kept::start(program, house)?;
    let limit = Duration::from_secs(60);
    let listens = until(limit, async || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, listen.port()))
            .await
            .ok()
    })
    .await;
    listens.map(|_| kept).ok_or_else(|| HarnessError::Silent {
        name: "cargo lambda watch".to_owned(),
        seconds: limit.as_secs(),
        log: house.log.path().to_owned(),
        tail: house.log.tail(5),
    })
}

/// As `cargo lambda` reads it: between quotes that it does not hold everything stands for itself.
fn quoted(name: &str, value: &str) -> Result<String> {
    let quote = ['\'', '"', '`']
        .into_iter()
        .find(|&quote| !value.contains(quote));
    let quote = quote.ok_or_else(|| {
        HarnessError::Job(format!(
            "{name} holds every kind of quotes, which no file of variables can hold"
        ))
    })?;
    Ok(format!("{name}={quote}{value}{quote}\n"))
}

/// The file holds the secret.
fn write_private(path: &Path, env: &[(String, String)]) -> Result<()> {
    use std::io::Write;
    let about = || format!("write {}", path.display());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(HarnessError::io(about()))?;
    let lines = env.iter().map(|(name, value)| quoted(name, value));
    let lines: String = lines.collect::<Result<_>>()?;
    file.write_all(lines.as_bytes())
        .map_err(HarnessError::io(about()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::place::{Scratch, free_port};
    use std::sync::Arc;

    #[tokio::test]
    async fn whatever_a_variable_holds_cargo_lambda_reads_the_file() {
        let env = [
            (
                "ADMIN_PASSWORD_HASH",
                "$argon2id$v=19$m=19456,t=2,p=1$UV8s$Whv/W9+x",
            ),
            (
                "MODELS",
                r#"{"jen1": {"planner": "jen1", "maxSeconds": 300}}"#,
            ),
            ("NARRATIVE", "it's #1"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let scratch = Scratch::new().unwrap();
        let file = scratch.path().join("functions.env");
        write_private(&file, &env).unwrap();

        let log = Arc::new(Log::create(&scratch.path().join("emulator.log")).unwrap());
        let house = Household::new(log).unwrap();
        let port = free_port().unwrap().to_string();
        let args = [
            "lambda",
            "watch",
            "--only-lambda-apis",
            "-A",
            "127.0.0.1",
            "-P",
            &port,
        ];
        let program = Program::new("cargo-lambda", tool("cargo-lambda").unwrap()).args(
            args.into_iter()
                .chain(["--env-file", file.to_str().unwrap()]),
        );
        let kept = Kept::start(program, &house).unwrap();
        let address = format!("127.0.0.1:{port}");
        let listens = until(Duration::from_secs(60), async || {
            TcpStream::connect(&address).await.ok()
        });
        let listens = house.unless_one_ends(async { Ok(listens.await.is_some()) });
        assert!(listens.await.unwrap());
        kept.stop().await;
    }

    #[test]
    fn a_value_stands_between_quotes_that_it_does_not_hold() {
        assert_eq!(quoted("A", "$x").unwrap(), "A='$x'\n");
        assert_eq!(quoted("A", "it's").unwrap(), "A=\"it's\"\n");
        assert!(quoted("A", "'\"`").is_err());
    }
}
