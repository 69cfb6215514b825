//! The pump: what SQS and its event source mapping do in the cloud. It reads the doorbell and turns each bell into one
//! invocation of the function that it wakes; a bell is deleted only when the function says so.

mod event;
mod faults;
mod sqs;
mod stream;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::error::{HarnessError, Result};
use crate::invoke::Invoker;
use crate::log::Log;
use crate::options::BellFaults;
use crate::wait::Backoff;
use faults::{Dice, Fate};

pub(crate) use sqs::{Sqs, client as sqs_client};
pub(crate) use stream::Stream;

/// Whom a bell wakes, and the stream that carries it: `{p}:<stream>`, and `{p}:<stream>_later` for delayed ones.
#[derive(Debug)]
pub(crate) struct Doorbell {
    pub(crate) function: &'static str,
    stream: &'static str,
    /// The readers of the stream.
    group: &'static str,
}

pub(crate) const WORKER: Doorbell = Doorbell {
    function: "worker",
    stream: "bell",
    group: "workers",
};

pub(crate) const NOTIFY: Doorbell = Doorbell {
    function: "notify",
    stream: "notice",
    group: "notifiers",
};

pub(crate) const DELIVER: Doorbell = Doorbell {
    function: "deliver",
    stream: "message",
    group: "senders",
};

/// One bell, delivered to this pump.
#[derive(Debug)]
struct Delivery {
    /// Unique; the same when it is delivered again.
    id: String,
    body: String,
    /// How often it was delivered, this time included.
    count: u64,
    receipt: Receipt,
}

/// What deletes the bell.
#[derive(Debug)]
enum Receipt {
    Stream(stream::Receipt),
    Sqs(sqs::Receipt),
}

impl Receipt {
    /// By which its receiver can name the message to the queue; a stream has no use for it.
    fn handle(&self) -> &str {
        match self {
            Self::Sqs(receipt) => receipt.handle(),
            Self::Stream(_) => "",
        }
    }

    async fn delete(self) -> Result<()> {
        match self {
            Self::Stream(receipt) => receipt.delete().await,
            Self::Sqs(receipt) => receipt.delete().await,
        }
    }
}

/// Where bells come from.
#[derive(Debug)]
pub(crate) enum Source {
    Stream(Box<Stream>),
    Sqs(Sqs),
}

impl Source {
    /// At most `room` bells, after at most about a second.
    async fn receive(&mut self, room: usize, in_flight: &InFlight) -> Result<Vec<Delivery>> {
        match self {
            Self::Stream(stream) => stream.receive(room, in_flight).await,
            Self::Sqs(sqs) => sqs.receive(room).await,
        }
    }
}

/// The bells that the function has at this moment.
#[derive(Debug, Clone, Default)]
struct InFlight(Arc<Mutex<HashSet<String>>>);

impl InFlight {
    fn change<T>(&self, change: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        change(
            &mut self
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    fn contains(&self, id: &str) -> bool {
        self.change(|ids| ids.contains(id))
    }
}

#[derive(Debug)]
struct Shared {
    function: &'static str,
    invoker: Invoker,
    log: Arc<Log>,
    dice: Dice,
    in_flight: InFlight,
    /// One permit for each invocation that the function's processes can take.
    room: Arc<Semaphore>,
    /// Invocations that no living worker will answer, for which `room` already has a new permit.
    orphans: AtomicUsize,
}

/// One running pump; a clone is another handle on it.
#[derive(Debug, Clone)]
pub(crate) struct Pump(Arc<Shared>);

impl Pump {
    /// Runs among `tasks`, for ever. `room`: invocations at a time.
    pub(crate) fn start(
        source: Source,
        function: &'static str,
        room: usize,
        faults: BellFaults,
        invoker: Invoker,
        log: Arc<Log>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let shared = Arc::new(Shared {
            function,
            invoker,
            log,
            dice: Dice::new(faults),
            in_flight: InFlight::default(),
            room: Arc::new(Semaphore::new(room)),
            orphans: AtomicUsize::new(0),
        });
        tasks.spawn(run(source, shared.clone()));
        Self(shared)
    }

    /// A worker died and another takes its place. The emulator never answers the invocation that the dead one may have had,
    /// so the new one gets a permit of its own; without this, `workers` deaths would stop the pump.
    pub(crate) fn worker_lost(&self) {
        // No more can be orphans than are in flight.
        let in_flight = self.0.in_flight.change(|ids| ids.len());
        let more = |orphans: usize| (orphans < in_flight).then_some(orphans + 1);
        let orphans = &self.0.orphans;
        let counted = orphans.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        if counted.is_ok() {
            self.0.room.add_permits(1);
        }
    }

    /// The one process that served all invocations died: none of them is ever answered.
    pub(crate) fn all_lost(&self) {
        let in_flight = self.0.in_flight.change(|ids| ids.len());
        let before = self.0.orphans.fetch_max(in_flight, Ordering::Relaxed);
        self.0.room.add_permits(in_flight.saturating_sub(before));
    }
}

async fn run(mut source: Source, shared: Arc<Shared>) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    // Aborted with this task.
    let mut deliveries = JoinSet::new();
    loop {
        while deliveries.try_join_next().is_some() {}
        // Waits until there is room for one, then asks for as many bells as there is room for.
        let Ok(first) = shared.room.clone().acquire_owned().await else {
            return;
        };
        let mut permits = vec![first];
        while let Ok(more) = shared.room.clone().try_acquire_owned() {
            permits.push(more);
        }
        match source.receive(permits.len(), &shared.in_flight).await {
            Ok(bells) => {
                backoff.reset();
                for (bell, permit) in bells.into_iter().zip(permits) {
                    shared.in_flight.change(|ids| ids.insert(bell.id.clone()));
                    deliveries.spawn(deliver(bell, permit, shared.clone()));
                }
            }
            Err(error) => {
                drop(permits);
                let fields = json!({"function": shared.function, "error": error.to_string()});
                shared
                    .log
                    .line("WARN", "the doorbell cannot be read", fields);
                tokio::time::sleep(backoff.take()).await;
            }
        }
    }
}

async fn deliver(bell: Delivery, permit: OwnedSemaphorePermit, shared: Arc<Shared>) {
    let id = bell.id.clone();
    let fate = shared.dice.throw();
    if fate != Fate::Delivered {
        let fields = json!({"bell": id, "body": bell.body, "fate": fate.as_str()});
        shared.log.line("INFO", "a bell meets its fate", fields);
    }
    let event = event::of(&bell.id, bell.receipt.handle(), &bell.body, bell.count);
    let invoke = || shared.invoker.invoke(shared.function, &event);
    let answer = match fate {
        Fate::Delivered => invoke().await,
        Fate::Dropped => Ok(json!(null)),
        Fate::Duplicated => tokio::join!(invoke(), invoke()).0,
    };
    let outcome = match &answer {
        Ok(answer) if event::settles(answer, &id) => bell.receipt.delete().await,
        Ok(_) => Err(HarnessError::Job(
            "the function wants the bell again".to_owned(),
        )),
        Err(error) => Err(HarnessError::Job(error.to_string())),
    };
    if let Err(error) = outcome {
        let fields = json!({"bell": id, "body": bell.body, "deliveries": bell.count, "error": error.to_string()});
        shared
            .log
            .line("WARN", "a bell stays for another delivery", fields);
    }
    shared.in_flight.change(|ids| ids.remove(&id));
    let timed_out = matches!(&answer, Err(HarnessError::Http(error)) if error.is_timeout());
    let less = |orphans: usize| orphans.checked_sub(1);
    if timed_out
        && shared
            .orphans
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    {
        permit.forget();
    }
}

#[cfg(test)]
mod tests;
