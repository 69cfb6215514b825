//! The whole system: started together, ready together, ended together.

mod doors;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde_json::json;

use crate::beside::{Beside, Places};
use crate::emulator;
use crate::environment::{Addresses, EVENT_FUNCTIONS, HTTP_FUNCTIONS, configuration, runtime};
use crate::error::{HarnessError, Result};
use crate::invoke::Invoker;
use crate::log::Log;
use crate::models::Model;
use crate::options::{OllamaChoice, RedisChoice, StackOptions};
use crate::place::{Scratch, binary, free_port};
use crate::process::{Household, Kept, Program};
use crate::proxy::Proxy;
use crate::redis::{Redis, RedisKind};
use crate::token::{fresh_secret, mint};

/// Long enough for any test or session; only service roles may hold such a token.
const SERVICE_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a function may take from its start to its first answer, on a machine that has much else to do.
const READY: Duration = Duration::from_secs(60);

/// A running system. Stop it with [`Stack::stop`]; one that is only dropped ends too, but nobody waits for it.
#[derive(Debug)]
pub struct Stack {
    options: StackOptions,
    api: String,
    secret: String,
    redis_url: String,
    invoker: Invoker,
    beside: Beside,
    /// The emulator among them.
    functions: Vec<Kept>,
    jen1: Model,
    muscgen: Model,
    ollama: Option<Model>,
    redis: Option<Redis>,
    proxy: Option<Proxy>,
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
        let house = Household::new(log)?;
        let started = Self::assemble(options, folder, house.clone());
        match house.unless_one_ends(started).await {
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
        // The pumps play SQS, which a broken wire to Redis does not concern.
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
                orchestrator_token: &service_token(&secret)?,
                artifacts: &artifacts,
            },
        );
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let functions = start_functions(listen, &options, &env, &folder, &house).await?;
        let places = Places {
            api: &api,
            redis: &bells_url,
            listen: (Ipv4Addr::LOCALHOST, sockets).into(),
        };
        let beside = Beside::start(&options, &places, &house.deaths, house.log.clone()).await?;
        Ok(Self {
            invoker: Invoker::new(&api, options.invocation)?,
            beside,
            functions,
            jen1,
            muscgen,
            ollama,
            redis,
            proxy,
            redis_url,
            api,
            secret,
            house,
            folder,
            options,
            _scratch: None,
        })
    }

    /// Ends every process and waits for it: first what makes work, then what does it, Redis last.
    pub async fn stop(mut self) {
        self.beside.stop().await;
        join_all(self.functions.drain(..).map(Kept::stop)).await;
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

/// What our own services show one another.
pub(crate) fn service_token(secret: &str) -> Result<String> {
    mint(secret, "orchestrator", "harness", SERVICE_TOKEN_LIFE)
}

/// Any answer will do: it shows that the function runs and asks for work.
async fn functions_answer(api: &str, house: &Household) -> Result<()> {
    let http = reqwest::Client::builder()
        .timeout(READY)
        .no_proxy()
        .build()?;
    let probes = HTTP_FUNCTIONS.map(|name| {
        let probe = http.get(format!("{api}/lambda-url/{name}/is/ready")).send();
        async move {
            probe.await.map_err(|_| HarnessError::Silent {
                name: name.to_owned(),
                seconds: READY.as_secs(),
                log: house.log.path().to_owned(),
                tail: house.log.tail(8),
            })
        }
    });
    try_join_all(probes).await?;
    Ok(())
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

/// Starts the emulator at `listen` and, unless it builds and starts them itself, the programs of the functions.
pub(crate) async fn start_functions(
    listen: SocketAddr,
    options: &StackOptions,
    configured: &[(String, String)],
    folder: &Path,
    house: &Household,
) -> Result<Vec<Kept>> {
    let mut kept = vec![emulator::start(listen, options.watch, configured, folder, house).await?];
    if options.watch {
        return Ok(kept);
    }
    let api = format!("http://127.0.0.1:{}", listen.port());
    for name in HTTP_FUNCTIONS.into_iter().chain(EVENT_FUNCTIONS) {
        let copies = if name == "worker" { options.workers } else { 1 };
        for index in 0..copies {
            let mut program = Program::new(name, binary(name)?);
            program.index = index;
            program.comeback = options.comeback;
            program.env = runtime(name, &api);
            program.env.extend_from_slice(configured);
            kept.push(Kept::start(program, house)?);
        }
    }
    functions_answer(&api, house).await?;
    Ok(kept)
}
