//! What the cloud has beside the functions: SQS with its event source mappings (the pumps), the scheduler (the timer of the sweep)
//! and the WebSocket API (the gateway).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::error::{HarnessError, Result};
use crate::gateway::Gateway;
use crate::invoke::Invoker;
use crate::log::Log;
use crate::options::{BellFaults, Bells, StackOptions};
use crate::process::Death;
use crate::pump::{DELIVER, Doorbell, NOTIFY, Pump, Source, Sqs, Stream, WORKER};
use crate::sweep;
use crate::wait::until;

/// Notices that are looked after at a time.
const NOTICES: usize = 32;
/// Senders at a time.
const SENDERS: usize = 32;

/// How long nobody may listen where the functions should be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the others are, and where it is found.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    /// Base address of the functions.
    pub(crate) api: &'a str,
    /// For bells by a stream.
    pub(crate) redis: &'a str,
    /// Of the sockets.
    pub(crate) listen: SocketAddr,
}

/// All of it; it ends when it is dropped.
#[derive(Debug)]
pub struct Beside {
    gateway: Gateway,
    tasks: JoinSet<()>,
    api: String,
}

impl Beside {
    /// Starts it. The functions must run: the first sweep comes at once. `deaths`: of functions, where somebody knows of them.
    pub(crate) async fn start(
        options: &StackOptions,
        places: &Places<'_>,
        deaths: &broadcast::Sender<Death>,
        log: Arc<Log>,
    ) -> Result<Self> {
        let mut tasks = JoinSet::new();
        let invoker = Invoker::new(places.api, options.invocation)?;
        let gateway = Gateway::start(
            places.listen,
            places.api,
            options.sockets,
            log.clone(),
            &mut tasks,
        )
        .await?;
        let bells = Pump::start(
            source(options, places, &WORKER)?,
            WORKER.function,
            options.workers,
            options.bell_faults,
            invoker.clone(),
            log.clone(),
            &mut tasks,
        );
        let mut side_by_side = |doorbell: &Doorbell, most| {
            let pump = Pump::start(
                source(options, places, doorbell)?,
                doorbell.function,
                most,
                BellFaults::default(),
                invoker.clone(),
                log.clone(),
                &mut tasks,
            );
            Ok::<_, HarnessError>((doorbell.function, pump))
        };
        let others = [
            side_by_side(&NOTIFY, NOTICES)?,
            side_by_side(&DELIVER, SENDERS)?,
        ];
        tasks.spawn(mind(deaths.subscribe(), bells, others));
        let every = options.sweep_every;
        tasks.spawn(sweep::run(invoker, every, deaths.subscribe(), log));
        Ok(Self {
            gateway,
            tasks,
            api: places.api.to_owned(),
        })
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Returns when it cannot go on, with the reason: the functions are gone, or one of its parts ended, which none does by itself.
    pub async fn broken(&mut self) -> HarnessError {
        let why = tokio::select! {
            () = gone(&self.api, PATIENCE) => format!("nobody listens at {}", self.api),
            ended = self.tasks.join_next() => {
                let error = ended.and_then(std::result::Result::err);
                let error = error.map_or_else(String::new, |error| error.to_string());
                format!("a pump, the timer or the gateway ended: {error}")
            }
        };
        HarnessError::Job(why)
    }

    /// Returns when all of it has ended.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

fn source(options: &StackOptions, places: &Places<'_>, doorbell: &Doorbell) -> Result<Source> {
    Ok(match &options.bells {
        Bells::Stream => {
            let stream = Stream::new(places.redis, &options.partition, doorbell)?;
            Source::Stream(Box::new(stream))
        }
        Bells::Sqs {
            endpoint,
            queue_url,
            notify_queue_url,
            deliver_queue_url,
            visibility,
        } => {
            let queue_url = match doorbell.function {
                name if name == NOTIFY.function => notify_queue_url,
                name if name == DELIVER.function => deliver_queue_url,
                _ => queue_url,
            };
            Source::Sqs(Sqs::new(endpoint, queue_url, *visibility))
        }
    })
}

/// Returns when nobody has listened at `api` for so long.
async fn gone(api: &str, patience: Duration) {
    let url = Url::parse(api).ok();
    let place = url.as_ref().and_then(|url| {
        let port = url.port_or_known_default()?;
        Some((url.host_str()?, port))
    });
    let listens = async || TcpStream::connect(place?).await.ok();
    while until(patience, listens).await.is_some() {
        tokio::time::sleep(patience / 6).await;
    }
}

/// The pumps hear of each process that dies.
async fn mind(
    mut deaths: broadcast::Receiver<Death>,
    bells: Pump,
    others: [(&'static str, Pump); 2],
) {
    loop {
        match deaths.recv().await {
            Ok(death) if death.name == WORKER.function => bells.worker_lost(),
            Ok(death) => {
                let pump = others.iter().find(|(name, _)| death.name == *name);
                pump.inspect(|(_, pump)| pump.all_lost());
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            // Nobody knows of any.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::free_port;

    #[tokio::test]
    async fn it_is_whole_until_a_part_ends() {
        let nobody = format!("http://127.0.0.1:{}", free_port().unwrap());
        let queue = |name: &str| format!("{nobody}/000000000000/{name}");
        let options = StackOptions {
            bells: Bells::Sqs {
                endpoint: nobody.clone(),
                queue_url: queue("bells"),
                notify_queue_url: queue("notices"),
                deliver_queue_url: queue("messages"),
                visibility: None,
            },
            ..StackOptions::default()
        };
        let places = Places {
            api: &nobody,
            redis: "",
            listen: ([127, 0, 0, 1], free_port().unwrap()).into(),
        };
        let log = Arc::new(Log::stderr().unwrap());
        let (deaths, _) = broadcast::channel(1);
        let started = Beside::start(&options, &places, &deaths, log).await;
        drop(deaths);
        let mut beside = started.unwrap();
        assert_eq!(beside.tasks.len(), 6);
        // Nobody answers, and all go on.
        let short = Duration::from_millis(200);
        let whole = tokio::time::timeout(short, beside.broken()).await;
        assert!(whole.is_err());
        beside.tasks.abort_all();
        let error = beside.broken().await.to_string();
        assert!(error.contains("ended"), "{error}");
    }

    #[tokio::test]
    async fn the_functions_are_gone_when_nobody_listens_any_more() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        let short = Duration::from_millis(300);
        let watched = tokio::time::timeout(3 * short, gone(&api, short));
        assert!(watched.await.is_err());
        drop(listener);
        let watched = tokio::time::timeout(Duration::from_secs(10), gone(&api, short));
        assert!(watched.await.is_ok());
    }
}
