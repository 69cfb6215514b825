//! Everything a function talks to, made once at its start from the configuration. Nothing connects before its first use.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use axum::extract::FromRef;
use lru::LruCache;

use crate::config::{Address, Config, GeneratorApi};
use crate::doorbell::Doorbell;
use crate::envelope::{Envelope, Manifest};
use crate::identity::Revocations;
use crate::job::JobId;
use crate::models::{Cog, Fetcher, Generator, Jen1, Muscgen, Ollama, OrchestratorApi};
use crate::queue::{Policy, Queue, Redis};
use crate::store::{Pace, Store};
use crate::verifier::Verifier;
use crate::webhook::Sender;

/// Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    pub config: Arc<Config>,
    pub queue: Queue,
    pub store: Store,
    pub doorbell: Doorbell,
    /// Wakes `notify`.
    pub notices: Doorbell,
    /// Wakes `deliver`.
    pub messages: Doorbell,
    /// Of the tokens that callers carry.
    pub verifier: Verifier,
    pub jen1: Option<Jen1>,
    pub ollama: Option<Ollama>,
    pub generator: Option<Generator>,
    /// Of audio that a model left at an address.
    pub fetcher: Fetcher,
    /// The API that keeps its own job table, where there is one.
    pub api: Option<OrchestratorApi>,
    /// Calls webhooks.
    pub webhooks: Sender,
    /// What was read of the store lately and never changes.
    pub(crate) envelopes: Recent<JobId, Envelope>,
    /// The same, by job and generation.
    pub(crate) manifests: Recent<(JobId, u32), Manifest>,
}

/// What was read last, by its name.
pub(crate) type Recent<K, V> = Arc<Mutex<LruCache<K, V>>>;

/// An envelope has some kilobytes, at most 40.
const ENVELOPES_KEPT: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// A manifest holds its envelope, a plan and a waveform.
const MANIFESTS_KEPT: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("REDIS_URL: {0}")]
    Redis(#[from] redis::RedisError),
    #[error("ARTIFACTS_URL: {0}")]
    Store(#[from] crate::store::StoreError),
    #[error("TLS: {0}")]
    Http(#[from] reqwest::Error),
}

impl Clients {
    /// From the environment.
    pub fn from_env() -> Result<Self, CannotStart> {
        Self::new(Config::from_env()?)
    }

    /// For a function that nobody waits for and that moves whole tracks: its store may take longer.
    pub fn patient(self) -> Result<Self, CannotStart> {
        let store = Store::open(self.config.artifacts_url.url(), Pace::Patient)?;
        Ok(Self { store, ..self })
    }

    /// From a given configuration.
    pub fn new(config: Config) -> Result<Self, CannotStart> {
        let redis = Redis::open(config.redis_url.url().as_str())?;
        let policy = Policy::new(
            config.slots,
            config.tenant_cap,
            config.max_queued,
            config.retention,
        )
        .keeping(config.kept_jobs)
        .limited(config.submit_rate, config.read_rate);
        let queue = Queue::new(redis.clone(), &config.partition, policy);
        let partition = config.partition.as_str();
        let bells = |url: &Option<Address>, now, later| match url {
            Some(url) => Doorbell::sqs(url.as_str(), partition),
            None => Doorbell::stream_named(redis.clone(), partition, now, later),
        };
        let keys = queue.keys();
        let doorbell = bells(&config.queue_url, keys.bell(), keys.bell_later());
        let notices = bells(&config.notify_queue_url, keys.notice(), keys.notice_later());
        let messages = bells(
            &config.deliver_queue_url,
            keys.message(),
            keys.message_later(),
        );
        let http = crate::models::http_client()?;
        let api = config.api.as_ref().map(|api| {
            OrchestratorApi::new(
                http.clone(),
                api.url.url().clone(),
                api.token.expose().to_owned(),
            )
        });
        let store = Store::open(config.artifacts_url.url(), Pace::Prompt)?;
        let verifier = Verifier::new(
            config.keys.clone(),
            config.issuer.as_ref(),
            http.clone(),
            Revocations::new(queue.clone(), store.clone()),
        );
        Ok(Self {
            verifier,
            store,
            jen1: config
                .jen1_url
                .as_ref()
                .map(|at| Jen1::new(http.clone(), at.url().clone())),
            ollama: config
                .ollama_url
                .as_ref()
                .map(|at| Ollama::new(http.clone(), at.url().clone(), config.ollama_model.clone())),
            generator: config.muscgen_url.as_ref().map(|at| {
                let (client, base) = (http.clone(), at.url().clone());
                match config.muscgen_api {
                    GeneratorApi::Muscgen => Generator::Muscgen(Muscgen::new(client, base)),
                    GeneratorApi::Cog => {
                        Generator::Cog(Cog::new(client, base, config.cog_inputs.clone()))
                    }
                }
            }),
            fetcher: Fetcher::new(http.clone(), trusted(&config), config.dev_mode),
            queue,
            doorbell,
            notices,
            messages,
            webhooks: Sender::new(http.clone(), config.dev_mode),
            api,
            envelopes: Arc::new(Mutex::new(LruCache::new(ENVELOPES_KEPT))),
            manifests: Arc::new(Mutex::new(LruCache::new(MANIFESTS_KEPT))),
            config: Arc::new(config),
        })
    }
}

/// The hosts of the configured models, and those that the operator names.
fn trusted(config: &Config) -> Vec<String> {
    let models = [&config.jen1_url, &config.muscgen_url]
        .into_iter()
        .flatten();
    let hosts = models.filter_map(|at| {
        let (host, port) = (at.url().host_str()?, at.url().port_or_known_default()?);
        Some(format!("{host}:{port}"))
    });
    hosts.chain(config.model_hosts.iter().cloned()).collect()
}

impl FromRef<Clients> for Verifier {
    fn from_ref(clients: &Clients) -> Self {
        clients.verifier.clone()
    }
}
