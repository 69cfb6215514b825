//! Settings, from the environment: the only place that reads it.

mod models;
mod reader;
mod values;
mod variables;

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::http::HeaderValue;
use tracing::Level;

use crate::identity::{Email, PasswordHash, Rates};
use crate::keyring::KeyRing;
use crate::models::NamedInputs;
use reader::Reader;

pub use models::{Generator, Model, Models, Planner};
pub use reader::ConfigError;
pub use values::{Address, Api, Issuer, Secret};
pub use values::{Fallback, GeneratorApi};
pub use variables::{VARIABLES, Variable};

/// How many jobs may be in plan or audio at once: of all tenants, and of one.
pub const SLOTS: RangeInclusive<u32> = 1..=20_000;

/// Everything that can be set. The meaning of each is in [`VARIABLES`].
#[derive(Debug, Clone)]
pub struct Config {
    pub redis_url: Address,
    pub partition: String,
    pub artifacts_url: Address,
    /// Of SQS; without it bells go through a Redis stream.
    pub queue_url: Option<Address>,
    /// The same for notices.
    pub notify_queue_url: Option<Address>,
    pub deliver_queue_url: Option<Address>,
    /// Of the socket gateway's management API.
    pub sockets_url: Option<Address>,
    /// Connections that one user may have.
    pub sockets_max: u32,
    /// Messages of one user in a minute; 0: no limit.
    pub socket_rate: u32,
    /// The same of one tenant.
    pub socket_tenant_rate: u32,
    pub jen1_url: Option<Address>,
    pub muscgen_url: Option<Address>,
    /// The interface of the service at `muscgen_url`.
    pub muscgen_api: GeneratorApi,
    /// Inputs of a Cog model that have names of their own.
    pub cog_inputs: NamedInputs,
    pub ollama_url: Option<Address>,
    /// The first installed one, if it is not said.
    pub ollama_model: Option<String>,
    /// Who plans when jen1 is down.
    pub planner_fallback: Fallback,
    /// `API_URL` with `ORCHESTRATOR_TOKEN`.
    pub api: Option<Api>,
    pub public_url: Option<Address>,
    pub keys: KeyRing,
    /// `JWKS_URL` and the `JWT_…` beside it: whose tokens are believed besides our own.
    pub issuer: Option<Issuer>,
    /// `ADMIN_EMAIL` with `ADMIN_PASSWORD_HASH`.
    pub first_admin: Option<(Email, PasswordHash)>,
    /// `LOGIN_…` and `REFRESH_RATE`.
    pub rates: Rates,
    pub slots: u32,
    pub tenant_cap: u32,
    pub max_attempts: u32,
    pub max_queued: u32,
    /// Of one tenant in a minute; 0: no limit.
    pub submit_rate: u32,
    /// Of one tenant in a minute; 0: no limit.
    pub read_rate: u32,
    pub retention: Duration,
    /// Finished jobs that Redis keeps of one tenant.
    pub kept_jobs: u32,
    pub waiters_max: u32,
    pub render_deadline: Duration,
    pub models: Models,
    /// Lower-case host names.
    pub model_hosts: Vec<String>,
    pub dev_mode: bool,
    pub log_level: Level,
    pub metrics_namespace: String,
}

impl Config {
    /// Reads the process environment. The error names everything that is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(environment)
    }

    /// Reads from `look`, which answers a variable's name with its value.
    pub fn read(look: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut from = Reader::new(&look);
        let fields = Self::fields(&mut from);
        from.finish(fields)
    }

    /// Reads every variable before it gives up on one, so that all faults are found.
    fn fields(from: &mut Reader<'_>) -> Option<Self> {
        let redis_url = from.needed("REDIS_URL", |text| {
            values::address(text, &["redis", "rediss"])
        });
        let partition = from.needed("PARTITION", values::partition);
        let artifacts_url = from.needed("ARTIFACTS_URL", |text| {
            values::address(text, &["file", "s3"])
        });
        let queue_url = from.optional("QUEUE_URL", values::web_address);
        let notify_queue_url = from.optional("NOTIFY_QUEUE_URL", values::web_address);
        let deliver_queue_url = from.optional("DELIVER_QUEUE_URL", values::web_address);
        let sockets_url = from.optional("SOCKETS_URL", values::web_address);
        let sockets_max = from.needed("SOCKETS_MAX", |text| values::whole(text, 0..=100_000));
        let socket_rate = from.needed("SOCKET_RATE", |text| values::whole(text, 0..=1_000_000));
        let socket_tenant_rate = from.needed("SOCKET_TENANT_RATE", |text| {
            values::whole(text, 0..=1_000_000)
        });
        let jen1_url = from.optional("JEN1_URL", values::web_address);
        let muscgen_url = from.optional("MUSCGEN_URL", values::web_address);
        let muscgen_api = from.needed("MUSCGEN_API", values::generator_api);
        let cog_inputs = from.optional("COG_INPUTS", NamedInputs::parse);
        let ollama_url = from.optional("OLLAMA_URL", values::ollama_address);
        let ollama_model = from.optional("OLLAMA_MODEL", values::name);
        let planner_fallback = from.needed("PLANNER_FALLBACK", values::fallback);
        let api_url = from.optional("API_URL", values::web_address);
        let token = from.optional("ORCHESTRATOR_TOKEN", |text| Ok(Secret::new(text)));
        let public_url = from.optional("PUBLIC_URL", values::web_address);
        let keys = keys(from);
        let issuer = issuer(from);
        let first_admin = first_admin(from);
        let rates = rates(from);
        let slots = from.needed("SLOTS", |text| values::whole(text, SLOTS));
        let tenant_cap = from.needed("TENANT_CAP", |text| values::whole(text, SLOTS));
        let max_attempts = from.needed("MAX_ATTEMPTS", |text| values::whole(text, 1..=20));
        let max_queued = from.needed("MAX_QUEUED", |text| values::whole(text, 1..=1_000_000));
        let submit_rate = from.needed("SUBMIT_RATE", |text| values::whole(text, 0..=1_000_000));
        let read_rate = from.needed("READ_RATE", |text| values::whole(text, 0..=1_000_000));
        let retention = from.needed("RETENTION", |text| values::seconds(text, 1..=31_536_000));
        let kept_jobs = from.needed("KEPT_JOBS", |text| values::whole(text, 1..=1_000_000));
        let waiters_max = from.needed("WAITERS_MAX", |text| values::whole(text, 0..=10_000));
        let render_deadline =
            from.needed("RENDER_DEADLINE", |text| values::seconds(text, 1..=86_400));
        let models = from.needed("MODELS", Models::parse);
        let models = models.and_then(|models| offered(from, models, ollama_url.is_some()));
        let model_hosts = from.optional("MODEL_HOSTS", values::hosts);
        // Read again by the edge of every function: here only its faults are found.
        from.optional("CORS_ORIGINS", values::origins);
        from.optional("PROXY_SECRETS", values::proxy_secrets);
        let dev_mode = from.needed("DEV_MODE", values::switch);
        let log_level = from.needed("LOG_LEVEL", values::level);
        let metrics_namespace = from.needed("METRICS_NAMESPACE", values::namespace);
        from.needed("RELEASE", values::release);

        if planner_fallback == Some(Fallback::Ollama) && ollama_url.is_none() {
            from.fault("OLLAMA_URL is not set, but PLANNER_FALLBACK is ollama");
        }
        if api_url.is_some() && !from.is_set("ORCHESTRATOR_TOKEN") {
            from.fault("ORCHESTRATOR_TOKEN is not set, but API_URL is");
        }
        let same = |(api, public): (&Address, &Address)| api.at("") == public.at("");
        if api_url.as_ref().zip(public_url.as_ref()).is_some_and(same) {
            from.fault("PUBLIC_URL must differ from API_URL: models call back here, not there");
        }
        let plain = |issuer: &Issuer| issuer.jwks_url.url().scheme() != "https";
        if issuer.as_ref().is_some_and(plain) && dev_mode != Some(true) {
            from.fault(
                "JWKS_URL must begin with https://: who can change the answer can be anybody",
            );
        }
        if from.on_lambda() {
            if dev_mode == Some(true) {
                from.fault("DEV_MODE is for one machine alone; unset it on Lambda");
            }
            if artifacts_url
                .as_ref()
                .is_some_and(|url| url.url().scheme() == "file")
            {
                from.fault(
                    "ARTIFACTS_URL must be an s3:// address on Lambda, whose disk does not last",
                );
            }
        }

        Some(Self {
            redis_url: redis_url?,
            partition: partition?,
            artifacts_url: artifacts_url?,
            queue_url,
            notify_queue_url,
            deliver_queue_url,
            sockets_url,
            sockets_max: sockets_max?,
            socket_rate: socket_rate?,
            socket_tenant_rate: socket_tenant_rate?,
            jen1_url,
            muscgen_url,
            muscgen_api: muscgen_api?,
            cog_inputs: cog_inputs.unwrap_or_default(),
            ollama_url,
            ollama_model,
            planner_fallback: planner_fallback?,
            api: api_url.zip(token).map(|(url, token)| Api { url, token }),
            public_url,
            keys: keys?,
            issuer,
            first_admin,
            rates: rates?,
            slots: slots?,
            tenant_cap: tenant_cap?,
            max_attempts: max_attempts?,
            max_queued: max_queued?,
            submit_rate: submit_rate?,
            read_rate: read_rate?,
            retention: retention?,
            kept_jobs: kept_jobs?,
            waiters_max: waiters_max?,
            render_deadline: render_deadline?,
            models: models?,
            model_hosts: model_hosts.unwrap_or_default(),
            dev_mode: dev_mode?,
            log_level: log_level?,
            metrics_namespace: metrics_namespace?,
        })
    }
}

/// `LOG_LEVEL`, or `info` when it is unset or malformed: logs begin before the configuration is read.
pub fn log_level() -> Level {
    environment("LOG_LEVEL")
        .and_then(|text| values::level(&text).ok())
        .unwrap_or(Level::INFO)
}

/// `CORS_ORIGINS`, or none when it is unset or malformed: the function without a configuration answers browsers too.
pub fn cors_origins() -> Vec<HeaderValue> {
    environment("CORS_ORIGINS")
        .and_then(|text| values::origins(&text).ok())
        .unwrap_or_default()
}

/// `PROXY_SECRETS`, or none when it is unset: the edge of a function is made before its configuration is read. A malformed one keeps a
/// function with a configuration from starting.
pub fn proxy_secrets() -> Vec<Secret> {
    environment("PROXY_SECRETS")
        .and_then(|text| values::proxy_secrets(&text).ok())
        .unwrap_or_default()
}

/// Whether this is AWS Lambda itself; `cargo lambda` sets neither of the two variables that tell.
pub fn on_lambda() -> bool {
    Reader::new(&environment).on_lambda()
}

/// `METRICS_NAMESPACE`, or its default when it is unset or malformed: the first figures are told before the configuration is read.
pub fn metrics_namespace() -> String {
    environment("METRICS_NAMESPACE")
        .and_then(|text| values::namespace(&text).ok())
        .unwrap_or_else(|| "Tutti".to_owned())
}

/// `RELEASE`, or `none` when it is unset or malformed: the first line is written before the configuration is read.
pub fn release() -> String {
    environment("RELEASE")
        .and_then(|text| values::release(&text).ok())
        .unwrap_or_else(|| "none".to_owned())
}

/// The version of the Lambda function that runs, `$LATEST` outside of Lambda.
pub fn function_version() -> String {
    environment("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_else(|| "$LATEST".to_owned())
}

/// Where SQS is when it is not AWS's: `AWS_ENDPOINT_URL_SQS`, as every SDK reads it.
pub fn sqs_endpoint() -> Option<String> {
    environment("AWS_ENDPOINT_URL_SQS").filter(|url| !url.is_empty())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the place that the ban points to"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The models that can work here: of the built-in ones not those of a planner that has no address.
fn offered(from: &mut Reader<'_>, models: Models, has_ollama: bool) -> Option<Models> {
    if has_ollama || !models.plan_by(Planner::Ollama) {
        return Some(models);
    }
    if from.is_set("MODELS") {
        from.fault("OLLAMA_URL is not set, but MODELS names the planner ollama");
    }
    models.without(Planner::Ollama)
}

fn keys(from: &mut Reader<'_>) -> Option<KeyRing> {
    let ring = from.optional("JWT_SECRETS", |text| {
        KeyRing::parse(text).map_err(|e| e.to_string())
    });
    let single = from.optional("JWT_SECRET", |text| {
        KeyRing::single(text).map_err(|e| e.to_string())
    });
    match (from.is_set("JWT_SECRETS"), from.is_set("JWT_SECRET")) {
        (false, false) => from.fault("JWT_SECRETS or JWT_SECRET must be set"),
        (true, true) => from.fault("JWT_SECRETS and JWT_SECRET are both set; keep one"),
        _ => {}
    }
    ring.or(single)
}

/// The first three variables or none.
fn issuer(from: &mut Reader<'_>) -> Option<Issuer> {
    const ALL: [&str; 3] = ["JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE"];
    let jwks_url = from.optional(ALL[0], values::plain_address);
    let name = from.optional(ALL[1], |text| Ok(text.to_owned()));
    let audience = from.optional(ALL[2], |text| Ok(text.to_owned()));
    let max_lifetime = from.needed("JWT_MAX_LIFETIME", |text| {
        values::seconds(text, 60..=315_360_000)
    });
    let role_claim = from.needed("JWT_ROLE_CLAIM", values::claim);
    let set = ALL.map(|name| from.is_set(name));
    for (name, _) in ALL.iter().zip(set).filter(|(_, set)| !set) {
        if set.contains(&true) {
            from.fault(&format!(
                "{name} is not set, but others of {} are",
                ALL.join(", ")
            ));
        }
    }
    Some(Issuer {
        jwks_url: jwks_url?,
        name: name?,
        audience: audience?,
        max_lifetime: max_lifetime?,
        role_claim: role_claim?,
    })
}

/// Both or none.
fn first_admin(from: &mut Reader<'_>) -> Option<(Email, PasswordHash)> {
    let email = from.optional("ADMIN_EMAIL", |text| {
        Email::parse(text).ok_or_else(|| "must be an e-mail address".to_owned())
    });
    let hash = from.optional("ADMIN_PASSWORD_HASH", PasswordHash::parse);
    if from.is_set("ADMIN_EMAIL") != from.is_set("ADMIN_PASSWORD_HASH") {
        from.fault("ADMIN_EMAIL and ADMIN_PASSWORD_HASH must both be set, or neither");
    }
    email.zip(hash)
}

fn rates(from: &mut Reader<'_>) -> Option<Rates> {
    let mut rate = |name| from.needed(name, |text| values::whole(text, 0..=1_000_000));
    let login = rate("LOGIN_RATE");
    let login_address = rate("LOGIN_ADDRESS_RATE");
    let login_name = rate("LOGIN_NAME_RATE");
    let refresh = rate("REFRESH_RATE");
    Some(Rates {
        login: login?,
        login_address: login_address?,
        login_name: login_name?,
        refresh: refresh?,
    })
}

#[cfg(test)]
mod tests;
