//! The tombstones `deleted/<id>`: jobs that are dead, and for which nothing may be put any more.

use chrono::{DateTime, Utc};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Listed, Put, Store, StoreError, json, present};
use crate::envelope::Tombstone;
use crate::job::JobId;

impl Store {
    fn tombstone_path(&self, id: JobId) -> Path {
        self.path(&["deleted", &id.to_string()])
    }

    /// Declares a job dead; a repeat changes nothing.
    pub async fn put_tombstone(&self, id: JobId, stone: &Tombstone) -> Result<Put, StoreError> {
        let path = self.tombstone_path(id);
        self.put_if_absent(&path, json(&path, stone)?).await
    }

    /// Reads the tombstone of a dead job.
    pub async fn tombstone(&self, id: JobId) -> Result<Option<Tombstone>, StoreError> {
        self.get_json(&self.tombstone_path(id)).await
    }

    /// Tells whether the job is dead.
    pub async fn is_deleted(&self, id: JobId) -> Result<bool, StoreError> {
        let found = self.objects()?.head(&self.tombstone_path(id)).await;
        Ok(present(found)?.is_some())
    }

    /// Forgets a dead job, for which nothing can be put any more.
    pub async fn remove_tombstone(&self, id: JobId) -> Result<(), StoreError> {
        self.remove(&self.tombstone_path(id)).await
    }

    /// Lists the first `limit` (at most [`super::MAX_PAGE`]) dead jobs after `after`, with the time of
    /// their death.
    pub async fn tombstone_page(
        &self,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Listed<Vec<(JobId, DateTime<Utc>)>>, StoreError> {
        self.marked("deleted", after, limit).await
    }

    /// Takes back what was just put at `path` if the job is dead.
    ///
    /// A delete writes the tombstone before it lists what is to go. So either it sees this object, or
    /// we see the tombstone.
    pub(super) async fn stay_unless_deleted(
        &self,
        id: JobId,
        path: &Path,
    ) -> Result<(), StoreError> {
        if self.is_deleted(id).await? {
            self.remove(path).await?;
            return Err(StoreError::Deleted { id });
        }
        Ok(())
    }
}
