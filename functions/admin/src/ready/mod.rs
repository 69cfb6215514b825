//! Whether everything that is needed answers, and what is wrong where something does not.
//!
//! `dependencies` are asked by whoever asks for the page, `functions` only when an admin does.

mod dependencies;
mod functions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::clients::Clients;
use shared::probe::Probe;
use tokio::sync::Mutex;

pub(crate) use dependencies::Dependency;
pub(crate) use functions::{Function, Gateway};

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    #[schema(pattern = "^(ready|unavailable)$")]
    status: &'static str,
    /// For admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<BTreeMap<&'static str, Dependency>>,
    /// For admins: what is known of each function but the one that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    functions: Option<BTreeMap<&'static str, Function>>,
}

/// The last looks; of each kind one runs at a time.
#[derive(Clone, Default)]
pub(crate) struct Checked {
    dependencies: Look<Dependency>,
    functions: Look<Function>,
    probe: Probe,
}

/// What was seen last, and when each was last seen up.
struct Look<T>(Arc<Mutex<Seen<T>>>);

struct Seen<T> {
    last: Option<(Instant, BTreeMap<&'static str, T>)>,
    up: BTreeMap<&'static str, DateTime<Utc>>,
}

/// A line of the page.
trait Line: Clone {
    fn is_up(&self) -> bool;
    fn was_up(&mut self, at: Option<DateTime<Utc>>);
}

impl Ready {
    pub(crate) fn is_ready(&self) -> bool {
        self.status == "ready"
    }

    fn of(dependencies: BTreeMap<&'static str, Dependency>) -> Self {
        let down = dependencies.values().any(Dependency::is_missed);
        Self {
            status: if down { "unavailable" } else { "ready" },
            dependencies: Some(dependencies),
            functions: None,
        }
    }

    /// What anybody may know.
    pub(crate) fn in_public(self) -> Self {
        Self {
            dependencies: None,
            functions: None,
            ..self
        }
    }
}

impl Checked {
    /// What the functions depend on.
    pub(crate) async fn look(&self, clients: &Clients) -> Ready {
        let check = Box::pin(dependencies::check(clients));
        Ready::of(self.dependencies.at(check).await)
    }

    /// The functions as well.
    pub(crate) async fn look_closely(&self, clients: &Clients, gateway: &Gateway) -> Ready {
        let functions = Box::pin(functions::check(clients, gateway, &self.probe));
        let (ready, functions) = tokio::join!(self.look(clients), self.functions.at(functions));
        Ready {
            functions: Some(functions),
            ..ready
        }
    }
}

impl<T: Line> Look<T> {
    async fn at(
        &self,
        check: impl Future<Output = BTreeMap<&'static str, T>>,
    ) -> BTreeMap<&'static str, T> {
        let mut seen = self.0.lock().await;
        if let Some((_, lines)) = seen.last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return lines.clone();
        }
        let mut lines = check.await;
        for (name, line) in &mut lines {
            if line.is_up() {
                seen.up.insert(name, Utc::now());
            } else {
                line.was_up(seen.up.get(name).copied());
            }
        }
        seen.last = Some((Instant::now(), lines.clone()));
        lines
    }
}

impl<T> Clone for Look<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Look<T> {
    fn default() -> Self {
        let (last, up) = (None, BTreeMap::new());
        Self(Arc::new(Mutex::new(Seen { last, up })))
    }
}
