//! What the service remembers: renders at work, and the latest finished ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use super::order::{Ending, Order};
use super::request::Request;
use super::{Service, work};
use crate::stand_ins::chance::Fate;

const MOST_FINISHED: usize = 64;
const MOST_BYTES: usize = 512 << 20;
/// How much longer than its pretended time a render may take before a waiting caller is sent away.
const SLACK: Duration = Duration::from_secs(120);

/// One render.
pub(crate) struct Render {
    pub(crate) id: String,
    pub(crate) key: Option<String>,
    pub(crate) request: Request,
    pub(crate) order: Order,
    /// The latest request of this key: its token and addresses are the ones that still count.
    target: Mutex<Request>,
    outcome: watch::Sender<Option<Outcome>>,
    /// Goes up when the ending was told, or could not be.
    told: watch::Sender<bool>,
    task: Mutex<Option<AbortHandle>>,
}

/// How the work on a render ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Finished(Bytes),
    Failed(String),
    Cancelled,
}

/// All renders that are remembered, oldest first.
pub(crate) struct Renders {
    list: Mutex<VecDeque<Arc<Render>>>,
    gpus: Arc<Semaphore>,
}

impl Renders {
    pub(crate) fn new(gpus: usize) -> Self {
        Self {
            list: Mutex::default(),
            gpus: Arc::new(Semaphore::new(gpus)),
        }
    }

    /// The render for a request: the one at work or finished under its key, else a new one; `None` if no GPU is free.
    pub(crate) fn start(
        &self,
        key: Option<String>,
        request: Request,
        reports: bool,
        fate: Fate,
        service: &Arc<Service>,
    ) -> Option<Arc<Render>> {
        let mut list = lock(&self.list);
        let known = list.iter().rev().find(|r| r.stands_for(key.as_deref()));
        if let Some(render) = known.cloned() {
            *lock(&render.target) = request;
            if reports && !render.is_at_work() {
                let telling = work::tell_again(service.clone(), render.clone());
                render.hold(tokio::spawn(telling).abort_handle());
            }
            return Some(render);
        }
        let gpu = self.gpus.clone().try_acquire_owned().ok()?;
        let render = Arc::new(Render {
            id: format!("r-{}", uuid::Uuid::now_v7().simple()),
            key,
            target: Mutex::new(request.clone()),
            request,
            order: Order::take(&service.controls.faults, reports, fate),
            outcome: watch::Sender::new(None),
            told: watch::Sender::new(false),
            task: Mutex::default(),
        });
        let working = work::run(service.clone(), render.clone(), gpu, reports);
        render.hold(tokio::spawn(working).abort_handle());
        list.push_back(render.clone());
        forget_oldest(&mut list);
        Some(render)
    }

    /// Stops a render, by its id or key, and forgets it.
    pub(crate) fn cancel(&self, id_or_key: &str) -> Option<Arc<Render>> {
        let mut list = lock(&self.list);
        let place = list
            .iter()
            .rposition(|r| r.id == id_or_key || r.key.as_deref() == Some(id_or_key))?;
        let render = list.remove(place)?;
        if let Some(task) = lock(&render.task).as_ref() {
            task.abort();
        }
        render.outcome.send_if_modified(|outcome| {
            let running = outcome.is_none();
            outcome.get_or_insert(Outcome::Cancelled);
            running
        });
        render.told.send_replace(true);
        Some(render)
    }

    /// The render of this id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Render>> {
        let list = lock(&self.list);
        list.iter().find(|r| r.id == id).cloned()
    }
}

impl Render {
    /// The latest request's addresses.
    pub(crate) fn target(&self) -> Request {
        lock(&self.target).clone()
    }

    pub(crate) fn request_id(&self) -> String {
        lock(&self.target).request_id.clone()
    }

    pub(crate) fn audio(&self) -> Option<Bytes> {
        match self.outcome.borrow().as_ref() {
            Some(Outcome::Finished(audio)) => Some(audio.clone()),
            _ => None,
        }
    }

    pub(crate) fn end(&self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }

    pub(crate) fn mark_told(&self) {
        self.told.send_replace(true);
    }

    /// Waits for the work to end.
    pub(crate) async fn outcome(&self) -> Outcome {
        let mut ended = self.outcome.subscribe();
        let longest = self.order.faults.render_seconds.duration() + SLACK;
        match tokio::time::timeout(longest, ended.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or(Outcome::Cancelled),
            _ => Outcome::Failed("the render does not end".to_owned()),
        }
    }

    /// Waits until the ending was told, or given up; a render that never tells is not waited for.
    pub(crate) async fn told(&self) {
        let mut told = self.told.subscribe();
        let faults = &self.order.faults;
        let longest = faults.render_seconds.duration()
            + faults.common.report_delay_seconds.duration()
            + SLACK;
        // Nothing depends on the answer: the 202 is given either way.
        let _ = tokio::time::timeout(longest, told.wait_for(|told| *told)).await;
    }

    /// Whether a request with this key is this render again.
    fn stands_for(&self, key: Option<&str>) -> bool {
        let failed = matches!(&*self.outcome.borrow(), Some(Outcome::Failed(_)));
        let lost = self.order.ending == Ending::NeverReported;
        let spent = self.order.is_faulty() && !self.is_at_work();
        key.is_some() && self.key.as_deref() == key && !failed && !lost && !spent
    }

    fn is_at_work(&self) -> bool {
        lock(&self.task)
            .as_ref()
            .is_some_and(|task| !task.is_finished())
    }

    fn hold(&self, task: AbortHandle) {
        *lock(&self.task) = Some(task);
    }

    fn bytes(&self) -> usize {
        match &*self.outcome.borrow() {
            Some(Outcome::Finished(audio)) => audio.len(),
            _ => 0,
        }
    }
}

/// Keeps what is at work, and of the rest the latest.
fn forget_oldest(list: &mut VecDeque<Arc<Render>>) {
    let idle = |r: &Arc<Render>| !r.is_at_work();
    loop {
        let count = list.iter().filter(|r| idle(r)).count();
        let bytes: usize = list.iter().map(|r| r.bytes()).sum();
        if count <= MOST_FINISHED && bytes <= MOST_BYTES {
            break;
        }
        match list.iter().position(idle) {
            Some(oldest) => list.remove(oldest),
            None => break,
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
