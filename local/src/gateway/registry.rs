//! The sockets that are open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::event::Handshake;

/// More are refused.
pub(super) const CONNECTIONS_MAX: usize = 10_000;

/// What is to be sent to a client.
#[derive(Debug)]
pub(super) enum Outgoing {
    Message(Bytes),
    /// The last one: close the socket.
    Close,
}

/// One open socket, as others see it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) handshake: Handshake,
    pub(super) outbox: mpsc::Sender<Outgoing>,
    /// Milliseconds since 1970.
    active: AtomicI64,
}

impl Entry {
    pub(super) fn new(handshake: Handshake, outbox: mpsc::Sender<Outgoing>) -> Self {
        let active = AtomicI64::new(handshake.at.timestamp_millis());
        Self {
            handshake,
            outbox,
            active,
        }
    }

    /// Something was sent or heard just now.
    pub(super) fn touch(&self) {
        let now = Utc::now().timestamp_millis();
        self.active.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn last_active(&self) -> DateTime<Utc> {
        let active = self.active.load(Ordering::Relaxed);
        DateTime::from_timestamp_millis(active).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<HashMap<String, Arc<Entry>>>);

impl Registry {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_full(&self) -> bool {
        self.open().len() >= CONNECTIONS_MAX
    }

    pub(super) fn insert(&self, entry: &Arc<Entry>) {
        let id = entry.handshake.connection_id.clone();
        self.open().insert(id, entry.clone());
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Entry>> {
        self.open().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) -> Option<Arc<Entry>> {
        self.open().remove(id)
    }
}
