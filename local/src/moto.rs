//! SQS and S3 of one's own, by moto.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinHandle;

use crate::error::{HarnessError, Result};
use crate::log::Log;
use crate::options::Bells;
use crate::place::{Scratch, free_port, tool, variable};
use crate::process::{Death, Household, Kept, Program};
use crate::pump::sqs_client;
use crate::wait::until;

const BELLS: &str = "bells";
const NOTICES: &str = "notices";
const MESSAGES: &str = "messages";

/// A moto server on a free port with three queues and one bucket; it ends with its owner.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    endpoint: String,
    queue_url: String,
    notify_queue_url: String,
    deliver_queue_url: String,
    kept: Kept,
    /// Makes again what a server that died has forgotten.
    furnisher: JoinHandle<()>,
    _scratch: Scratch,
}

impl Moto {
    /// The bucket's name.
    pub const BUCKET: &str = "artifacts";

    /// Starts it; `MOTO_SERVER` names the program when it is neither in the private environment nor in `PATH`.
    pub async fn start() -> Result<Self> {
        let path = match variable("MOTO_SERVER") {
            Some(path) => path.into(),
            None => tool("moto_server")?,
        };
        let port = free_port()?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let scratch = Scratch::new()?;
        let log = Arc::new(Log::create(&scratch.path().join("moto.log"))?);
        let house = Household::new(log.clone())?;
        let mut program =
            Program::new("moto_server", path).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        program.comeback = Duration::from_secs(1);
        let deaths = house.deaths.subscribe();
        let kept = Kept::start(program, &house)?;
        let ready = until(Duration::from_secs(60), async || {
            make_bucket(&endpoint).await
        })
        .await;
        ready.ok_or_else(|| HarnessError::Silent {
            name: "moto_server".to_owned(),
            seconds: 60,
            log: log.path().to_owned(),
            tail: log.tail(5),
        })?;
        let queue_url = make_queue(&endpoint, BELLS).await?;
        let notify_queue_url = make_queue(&endpoint, NOTICES).await?;
        let deliver_queue_url = make_queue(&endpoint, MESSAGES).await?;
        Ok(Self {
            port,
            furnisher: tokio::spawn(furnish(endpoint.clone(), deaths)),
            endpoint,
            queue_url,
            notify_queue_url,
            deliver_queue_url,
            kept,
            _scratch: scratch,
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For `AWS_ENDPOINT_URL_SQS` and `AWS_ENDPOINT_URL_S3`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// For `QUEUE_URL`.
    pub fn queue_url(&self) -> &str {
        &self.queue_url
    }

    /// For `NOTIFY_QUEUE_URL`.
    pub fn notify_queue_url(&self) -> &str {
        &self.notify_queue_url
    }

    /// For `DELIVER_QUEUE_URL`.
    pub fn deliver_queue_url(&self) -> &str {
        &self.deliver_queue_url
    }

    /// Its queues as bells; one that nobody deleted is given out again after 30 s.
    pub fn bells(&self) -> Bells {
        Bells::Sqs {
            endpoint: self.endpoint.clone(),
            queue_url: self.queue_url.clone(),
            notify_queue_url: self.notify_queue_url.clone(),
            deliver_queue_url: self.deliver_queue_url.clone(),
            visibility: Some(30),
        }
    }

    /// Kills it; it is started again after `span`, counted from now, with empty queues and without any object. Returns at once.
    pub fn hold_down(&self, span: Duration) {
        self.kept.hold_down(span);
    }

    /// Returns when it is gone; dropping it ends it too.
    pub async fn stop(self) {
        self.furnisher.abort();
        self.kept.stop().await;
    }
}

/// A cloud's queues and buckets outlive its servers: whenever this one died, they are made again. Ends with the server's keeper.
async fn furnish(endpoint: String, mut deaths: broadcast::Receiver<Death>) {
    while !matches!(deaths.recv().await, Err(RecvError::Closed)) {
        loop {
            let made = async {
                make_bucket(&endpoint).await?;
                make_queue(&endpoint, BELLS).await.ok()?;
                make_queue(&endpoint, NOTICES).await.ok()?;
                make_queue(&endpoint, MESSAGES).await.ok()
            };
            if made.await.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn make_queue(endpoint: &str, name: &str) -> Result<String> {
    let queue = sqs_client(endpoint).create_queue().queue_name(name).send();
    let queue = queue
        .await
        .map_err(|error| HarnessError::Moto(format!("no queue {name}: {error}")))?;
    Ok(queue.queue_url.unwrap_or_default())
}

async fn make_bucket(endpoint: &str) -> Option<()> {
    let url = format!("{endpoint}/{}", Moto::BUCKET);
    let answer = reqwest::Client::new().put(url).send().await.ok()?;
    answer.status().is_success().then_some(())
}
