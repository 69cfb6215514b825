//! The whole system: started together, ready together, ended together.

mod doors;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::json;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::emulator;
use crate::environment::{Addresses, EVENT_FUNCTIONS, HTTP_FUNCTIONS, configuration, runtime};
use crate::error::{HarnessError, Result};
use crate::gateway::Gateway;
use crate::invoke::Invoker;
use crate::log::Log;
use crate::models::Model;
use crate::options::{BellFaults, Bells, OllamaChoice, RedisChoice, StackOptions};
use crate::place::{Scratch, binary, free_port};
use crate::process::{Death, Household, Kept, Program};
use crate::proxy::Proxy;
use crate::pump::{Doorbell, NOTIFY, Pump, Source, Sqs, Stream, WORKER};
use crate::redis::{Redis, RedisKind};
use crate::sweep;
use crate::token::{fresh_secret, mint};

/// Long enough for any test or session; only service roles may hold such a token.
const SERVICE_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a function may take from its start to its first answer.
const READY: Duration = Duration::from_secs(15);

/// Notices that are looked after at a time.
const NOTICES: usize = 32;

/// A running system. Stop it with [`Stack::stop`]; one that is only dropped ends too, but nobody waits for it.
#[derive(Debug)]
pub struct Stack {
    options: StackOptions,
    api: String,
    secret: String,
    redis_url: String,
    /// The pump plays SQS, which a broken wire to Redis does not concern.
    bells_url: String,
    invoker: Invoker,
    pumps: Vec<Arc<Pump>>,
    tasks: JoinSet<()>,
    functions: Vec<Kept>,
    emulator: Option<Kept>,
    jen1: Model,
    muscgen: Model,
    ollama: Option<Model>,
    redis: Option<Redis>,
    proxy: Option<Proxy>,
    gateway: Gateway,
    house: Household,
    folder: PathBuf,
    _scratch: Option<Scratch>,
}

impl Stack {
    /// Starts everything and returns when every HTTP function answers. Fails at once when a process ends meanwhile.
    pub async fn start(options: StackOptions) -> Result<Self> {
        let (folder, scratch) = match &options.folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let scratch = Scratch::new()?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        let log = Arc::new(Log::create(&folder.join("tutti.log"))?);
        let house = Household::new(log.clone())?;
        let mut deaths = house.deaths.subscribe();
        let started = tokio::select! {
            stack = Self::assemble(options, folder, house) => stack,
            Ok(Death { name, status }) = deaths.recv() => Err(HarnessError::Ended {
                name,
                status,
                log: log.path().to_owned(),
                tail: log.tail(8),
            }),
        };
        match started {
            Ok(mut stack) => {
                stack._scratch = scratch;
                Ok(stack)
            }
            Err(error) => {
                // The error names the log in it.
                if let Some(scratch) = scratch {
                    scratch.keep();
                }
                Err(error)
            }
        }
    }

    async fn assemble(options: StackOptions, folder: PathBuf, house: Household) -> Result<Self> {
        let port = options.ports.api.map_or_else(free_port, Ok)?;
        let api = format!("http://127.0.0.1:{port}");
        let secret = options.secret.clone().unwrap_or_else(fresh_secret);
        let gpus = [("--gpus", options.gpus.to_string())];
        let (redis, jen1, muscgen, ollama) = tokio::try_join!(
            own_redis(&options, &folder, &house),
            Model::start(
                options.jen1_url.as_deref(),
                "jen1-stand-in",
                options.ports.jen1,
                &[],
                &house
            ),
            Model::start(
                options.muscgen_url.as_deref(),
                "muscgen-stand-in",
                options.ports.muscgen,
                &gpus,
                &house
            ),
            ollama(&options, &house),
        )?;
        let bells_url = match (&redis, &options.redis) {
            (Some(redis), _) => redis.url().to_owned(),
            (None, RedisChoice::Url(url)) => url.clone(),
            (None, _) => String::new(),
        };
        let proxy = match &redis {
            Some(redis) if options.proxy => Some(Proxy::start(redis.port()).await?),
            _ => None,
        };
        let redis_url = proxy.as_ref().map_or(bells_url.clone(), |proxy| {
            format!("redis://127.0.0.1:{}", proxy.port())
        });
        let sockets = options.ports.sockets.map_or_else(free_port, Ok)?;
        let gateway = Gateway::start(sockets, &api, options.sockets, house.log.clone()).await?;
        let artifacts = folder.join("artifacts");
        std::fs::create_dir_all(&artifacts)
            .map_err(HarnessError::io(format!("make {}", artifacts.display())))?;
        let env = configuration(
            &options,
            &Addresses {
                api: &api,
                sockets: &format!("http://127.0.0.1:{sockets}"),
                redis: &redis_url,
                jen1: jen1.url(),
                muscgen: muscgen.url(),
                ollama: ollama.as_ref().map(Model::url),
                secret: &secret,
                orchestrator_token: &mint(&secret, "orchestrator", "harness", SERVICE_TOKEN_LIFE)?,
                artifacts: &artifacts,
            },
        );
        let emulator = emulator::start(port, options.watch, &env, &folder, &house).await?;
        let functions = if options.watch {
            Vec::new()
        } else {
            start_functions(&options, &api, &env, &house)?
        };
        let mut stack = Self {
            invoker: Invoker::new(&api, options.invocation)?,
            pumps: Vec::new(),
            tasks: JoinSet::new(),
            functions,
            emulator: Some(emulator),
            jen1,
            muscgen,
            ollama,
            redis,
            proxy,
            gateway,
            bells_url,
            redis_url,
            api,
            secret,
            house,
            folder,
            options,
            _scratch: None,
        };
        if !stack.options.watch {
            stack.functions_answer().await?;
        }
        stack.pump_and_sweep()?;
        Ok(stack)
    }

    /// Any answer will do: it shows that the function runs and asks for work.
    async fn functions_answer(&self) -> Result<()> {
        let http = reqwest::Client::builder()
            .timeout(READY)
            .no_proxy()
            .build()?;
        let probes = HTTP_FUNCTIONS.map(|name| {
            let probe = http
                .get(format!("{}/lambda-url/{name}/is/ready", self.api))
                .send();
            async move {
                probe.await.map_err(|_| HarnessError::Silent {
                    name: name.to_owned(),
                    seconds: READY.as_secs(),
                    log: self.house.log.path().to_owned(),
                    tail: self.house.log.tail(8),
                })
            }
        });
        try_join_all(probes).await?;
        Ok(())
    }

    fn pump_and_sweep(&mut self) -> Result<()> {
        let log = self.house.log.clone();
        let bells = Arc::new(Pump::start(
            self.source(&WORKER)?,
            WORKER.function,
            self.options.workers,
            self.options.bell_faults,
            self.invoker.clone(),
            log.clone(),
        ));
        let notices = Arc::new(Pump::start(
            self.source(&NOTIFY)?,
            NOTIFY.function,
            NOTICES,
            BellFaults::default(),
            self.invoker.clone(),
            log.clone(),
        ));
        let deaths = || self.house.deaths.subscribe();
        self.tasks
            .spawn(mind(deaths(), bells.clone(), notices.clone()));
        self.tasks.spawn(sweep::run(
            self.invoker.clone(),
            self.options.sweep_every,
            deaths(),
            log,
        ));
        self.pumps = vec![bells, notices];
        Ok(())
    }

    fn source(&self, doorbell: &Doorbell) -> Result<Source> {
        Ok(match &self.options.bells {
            Bells::Stream => {
                let (url, partition) = (&self.bells_url, &self.options.partition);
                Source::Stream(Box::new(Stream::new(url, partition, doorbell)?))
            }
            Bells::Sqs {
                endpoint,
                queue_url,
                notify_queue_url,
                visibility,
            } => {
                let queue_url = match doorbell.function == NOTIFY.function {
                    true => notify_queue_url,
                    false => queue_url,
                };
                Source::Sqs(Sqs::new(endpoint, queue_url, *visibility))
            }
        })
    }

    /// Ends every process and waits for it: first what makes work, then what does it, Redis last.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.pumps.clear();
        drop(self.gateway);
        let functions = self.functions.drain(..).chain(self.emulator.take());
        futures_util::future::join_all(functions.map(Kept::stop)).await;
        tokio::join!(self.jen1.stop(), self.muscgen.stop());
        if let Some(ollama) = &mut self.ollama {
            ollama.stop().await;
        }
        if let Some(redis) = &self.redis {
            redis.stop().await;
        }
        self.house
            .log
            .line("INFO", "all processes have ended", json!({}));
    }
}

async fn own_redis(
    options: &StackOptions,
    folder: &Path,
    house: &Household,
) -> Result<Option<Redis>> {
    let (kind, durable) = match options.redis {
        RedisChoice::Own { durable } => (RedisKind::Plain, durable),
        RedisChoice::Kind(kind) => (kind, false),
        RedisChoice::Url(_) => return Ok(None),
    };
    let port = options.ports.redis.map_or_else(free_port, Ok)?;
    Redis::launch(kind, port, folder.join("redis"), durable, house.clone())
        .await
        .map(Some)
}

async fn ollama(options: &StackOptions, house: &Household) -> Result<Option<Model>> {
    let url = match &options.ollama {
        OllamaChoice::Nobody => return Ok(None),
        OllamaChoice::StandIn => None,
        OllamaChoice::Url(url) => Some(url.as_str()),
    };
    Model::start(url, "ollama-stand-in", options.ports.ollama, &[], house)
        .await
        .map(Some)
}

fn start_functions(
    options: &StackOptions,
    api: &str,
    configured: &[(String, String)],
    house: &Household,
) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for name in HTTP_FUNCTIONS.into_iter().chain(EVENT_FUNCTIONS) {
        let copies = if name == "worker" { options.workers } else { 1 };
        for index in 0..copies {
            let mut program = Program::new(name, binary(name)?);
            program.index = index;
            program.comeback = options.comeback;
            program.env = runtime(name, api);
            program.env.extend_from_slice(configured);
            kept.push(Kept::start(program, house)?);
        }
    }
    Ok(kept)
}

async fn mind(mut deaths: broadcast::Receiver<Death>, bells: Arc<Pump>, notices: Arc<Pump>) {
    loop {
        match deaths.recv().await {
            Ok(death) if death.name == WORKER.function => bells.worker_lost(),
            Ok(death) if death.name == NOTIFY.function => notices.all_lost(),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
