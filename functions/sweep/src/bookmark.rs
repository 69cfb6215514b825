//! Where the next round goes on in folders that no round goes through as a whole.

use std::sync::{Mutex, PoisonError};

use shared::job::JobId;

/// How far the rounds of this process have come; a new process begins anew.
#[derive(Debug, Default)]
pub(crate) struct Bookmarks {
    pub(crate) tombstones: Bookmark,
    pub(crate) notes: Bookmark,
}

/// The last job that was looked at; none where the next round begins with the first.
#[derive(Debug, Default)]
pub(crate) struct Bookmark(Mutex<Option<JobId>>);

impl Bookmark {
    pub(crate) fn get(&self) -> Option<JobId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, last: Option<JobId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}
