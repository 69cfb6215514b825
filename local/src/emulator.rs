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
    let limit = Duration::from_secs(20);
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
    let lines: String = env
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    file.write_all(lines.as_bytes())
        .map_err(HarnessError::io(about()))
}
