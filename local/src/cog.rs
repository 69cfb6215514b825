//! A real Cog server with a small model.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::error::{HarnessError, Result};
use crate::log::Log;
use crate::place::{Scratch, free_port, root, tool, variable};
use crate::process::{Death, Household, Kept, Program};
use crate::wait::until;

/// From its start to `READY`; it takes some hundred milliseconds when nothing else runs.
const READY: Duration = Duration::from_secs(60);
/// How long it may take to say how it is.
const ASK: Duration = Duration::from_secs(2);

/// What kind of container.
#[derive(Debug, Clone, Default)]
pub struct CogOptions {
    /// Files go here, by PUT and under their own name, instead of into the answer.
    pub upload_url: Option<String>,
    /// It tells its inputs, as an image that `cog build` made does.
    pub schema: bool,
}

/// `python -m cog.server.http` on a free port, with the model of `local/cog` and one slot; it ends with its owner.
#[derive(Debug)]
pub struct Cog {
    url: String,
    http: reqwest::Client,
    kept: Kept,
    scratch: Scratch,
}

impl Cog {
    /// Starts it, and returns when it is ready; `COG_PYTHON` names a Python that has the package `cog`, where the private environment is
    /// not to be used.
    pub async fn start(options: CogOptions) -> Result<Self> {
        let python = match variable("COG_PYTHON") {
            Some(path) => path.into(),
            None => tool("python")?,
        };
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let scratch = Scratch::new()?;
        let folder = scratch.path().join("cog");
        copy_model(&folder, options.schema)?;
        let log = Arc::new(Log::create(&scratch.path().join("cog.log"))?);
        let house = Household::new(log.clone())?;
        let program = server(python, folder, port, options.upload_url.as_deref());
        let mut deaths = house.deaths.subscribe();
        let kept = Kept::start(program, &house)?;
        let http = reqwest::Client::builder().no_proxy().timeout(ASK).build()?;
        let cog = Self {
            url,
            http,
            kept,
            scratch,
        };
        let (name, tail) = ("cog".to_owned(), || log.tail(8));
        let failure = tokio::select! {
            ready = cog.is("READY", READY) => match ready {
                true => return Ok(cog),
                false => HarnessError::Silent {
                    name,
                    seconds: READY.as_secs(),
                    log: log.path().to_owned(),
                    tail: tail(),
                },
            },
            Ok(Death { status, .. }) = deaths.recv() => HarnessError::Ended {
                name,
                status,
                log: log.path().to_owned(),
                tail: tail(),
            },
        };
        cog.scratch.keep();
        Err(failure)
    }

    /// For `MUSCGEN_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it says within `limit` that it is in this state.
    pub async fn is(&self, state: &str, limit: Duration) -> bool {
        let probe = async || (self.state().await? == state).then_some(());
        until(limit, probe).await.is_some()
    }

    /// `READY`, `BUSY`, `STARTING`, …
    async fn state(&self) -> Option<String> {
        let url = format!("{}/health-check", self.url);
        let answer = self.http.get(url).send().await.ok()?;
        let health: Value = answer.json().await.ok()?;
        Some(health["status"].as_str()?.to_owned())
    }

    /// Returns when it is gone; dropping it ends it too.
    pub async fn stop(self) {
        self.kept.stop().await;
    }
}

/// Python writes beside what it runs, so it gets a copy.
fn copy_model(folder: &Path, schema: bool) -> Result<()> {
    let from = root().join("local/cog");
    let mut files = vec![("cog.yaml", "cog.yaml"), ("predict.py", "predict.py")];
    if schema {
        files.push(("openapi_schema.json", ".cog/openapi_schema.json"));
    }
    std::fs::create_dir_all(folder.join(".cog"))
        .map_err(HarnessError::io(format!("make {}", folder.display())))?;
    for (name, copy) in files {
        std::fs::copy(from.join(name), folder.join(copy))
            .map_err(HarnessError::io(format!("copy local/cog/{name}")))?;
    }
    Ok(())
}

fn server(python: PathBuf, folder: PathBuf, port: u16, upload_url: Option<&str>) -> Program {
    // Its worker is another Python, which it looks for in PATH.
    let mut path = python
        .parent()
        .unwrap_or(&folder)
        .to_string_lossy()
        .into_owned();
    if let Some(rest) = variable("PATH") {
        path = format!("{path}:{rest}");
    }
    let mut args = vec!["-m", "cog.server.http", "--host", "127.0.0.1"];
    args.extend(upload_url.iter().flat_map(|url| ["--upload-url", url]));
    let mut program = Program::new("cog", python).args(args);
    let stub = "predict.py:Predictor".to_owned();
    program.env = vec![
        ("PATH".to_owned(), path),
        ("PORT".to_owned(), port.to_string()),
        ("COG_PREDICT_TYPE_STUB".to_owned(), stub),
        ("TMPDIR".to_owned(), folder.to_string_lossy().into_owned()),
    ];
    program.folder = folder;
    program
}
