//! Parts of a stack that run alone, each in a container of its own. Where the others are stands in the variables of the README's
//! table, and in the SDK's `AWS_ENDPOINT_URL_SQS`; the log is standard error.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::broadcast;

use crate::beside::{Beside, Places};
use crate::environment::{Addresses, configuration};
use crate::error::{HarnessError, Result};
use crate::log::Log;
use crate::options::{Bells, OllamaChoice, StackOptions};
use crate::place::{private, variable};
use crate::process::{Household, Kept};
use crate::stack::{service_token, start_functions};
use crate::token::signing_secret;
use crate::up;

/// The functions and the emulator before them; they end when it is dropped.
#[derive(Debug)]
pub struct Functions {
    kept: Vec<Kept>,
    _house: Household,
}

impl Functions {
    /// Serves them at `listen`, with the secret and the admin of this clone. With `watch` the emulator builds and reloads them;
    /// else they are the programs beside this one.
    pub async fn start(listen: SocketAddr, watch: bool) -> Result<Self> {
        let house = Household::new(Arc::new(Log::stderr()?))?;
        let admin = up::admin()?;
        let mut options = up::with_caller(StackOptions {
            bells: bells()?,
            watch,
            ..StackOptions::default()
        })?;
        if let Some(admin) = admin {
            options.env.extend(admin.env().await?);
        }
        let folder = private().join("up");
        let artifacts = folder.join("artifacts");
        std::fs::create_dir_all(&artifacts)
            .map_err(HarnessError::io(format!("make {}", artifacts.display())))?;
        let secret = options.secret.clone().map_or_else(signing_secret, Ok)?;
        let ollama = match &options.ollama {
            OllamaChoice::Url(url) => Some(url.as_str()),
            OllamaChoice::Nobody | OllamaChoice::StandIn => None,
        };
        let env = configuration(
            &options,
            &Addresses {
                api: &needed("PUBLIC_URL")?,
                sockets: &needed("SOCKETS_URL")?,
                redis: &needed("REDIS_URL")?,
                jen1: &needed("JEN1_URL")?,
                muscgen: &needed("MUSCGEN_URL")?,
                ollama,
                secret: &secret,
                orchestrator_token: &service_token(&secret)?,
                artifacts: &artifacts,
            },
        );
        let kept = start_functions(listen, &options, &env, &folder, &house);
        let kept = house.unless_one_ends(kept).await?;
        Ok(Self {
            kept,
            _house: house,
        })
    }

    /// Returns when they have ended.
    pub async fn stop(self) {
        join_all(self.kept.into_iter().map(Kept::stop)).await;
    }
}

/// The pumps, the timer of the sweep and the gateway of the sockets at `listen`, for the functions at `api`.
pub async fn beside(api: &str, listen: SocketAddr) -> Result<Beside> {
    let bells = bells()?;
    let redis = match bells {
        Bells::Stream => needed("REDIS_URL")?,
        Bells::Sqs { .. } => String::new(),
    };
    let mut options = StackOptions {
        bells,
        ..StackOptions::default()
    };
    if let Some(partition) = variable("PARTITION") {
        options.partition = partition;
    }
    let places = Places {
        api: api.trim_end_matches('/'),
        redis: &redis,
        listen,
    };
    // They die in another container.
    let (deaths, _) = broadcast::channel(1);
    Beside::start(&options, &places, &deaths, Arc::new(Log::stderr()?)).await
}

/// As the functions decide it: a queue if there is one.
fn bells() -> Result<Bells> {
    let Some(queue_url) = variable("QUEUE_URL") else {
        return Ok(Bells::Stream);
    };
    Ok(Bells::Sqs {
        endpoint: needed("AWS_ENDPOINT_URL_SQS")?,
        queue_url,
        notify_queue_url: needed("NOTIFY_QUEUE_URL")?,
        deliver_queue_url: needed("DELIVER_QUEUE_URL")?,
        visibility: None,
    })
}

fn needed(name: &'static str) -> Result<String> {
    variable(name).ok_or(HarnessError::Unset(name))
}
