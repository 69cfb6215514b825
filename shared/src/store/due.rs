//! The markers `due/<id>`: jobs with messages to webhooks that are not over.

use chrono::{DateTime, Utc};
use object_store::path::Path;

use super::{Listed, Store, StoreError, json};
use crate::envelope::Due;
use crate::job::JobId;

impl Store {
    fn due_path(&self, id: JobId) -> Path {
        self.path(&["due", &id.to_string()])
    }

    /// Notes what is owed; a later end of the job replaces an earlier one.
    pub async fn put_due(&self, id: JobId, due: &Due) -> Result<(), StoreError> {
        let path = self.due_path(id);
        self.put(&path, json(&path, due)?).await
    }

    /// What is owed.
    pub async fn due(&self, id: JobId) -> Result<Option<Due>, StoreError> {
        self.get_json(&self.due_path(id)).await
    }

    /// Nothing is owed any more. An absent marker is fine.
    pub async fn remove_due(&self, id: JobId) -> Result<(), StoreError> {
        self.remove(&self.due_path(id)).await
    }

    /// The first `limit` (at most [`super::MAX_PAGE`]) such jobs after `after`, by id, with the time of their marker.
    pub async fn due_page(
        &self,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Listed<Vec<(JobId, DateTime<Utc>)>>, StoreError> {
        self.marked("due", after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use crate::endpoint::{Ending, Target};
    use crate::envelope::DueTarget;

    fn due(generation: u32) -> Due {
        Due {
            generation,
            event: Ending::Failed,
            targets: vec![DueTarget {
                target: Target::Job,
                url: "https://example.com/".to_owned(),
            }],
        }
    }

    #[tokio::test]
    async fn what_is_owed_is_kept_until_it_is_removed_or_a_later_end_replaces_it() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        assert_eq!(store.due(id).await.unwrap(), None);
        store.put_due(id, &due(0)).await.unwrap();
        store.put_due(id, &due(1)).await.unwrap();
        assert_eq!(store.due(id).await.unwrap(), Some(due(1)));
        let page = store.due_page(None, 10).await.unwrap().entries;
        assert_eq!(page.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
        store.remove_due(id).await.unwrap();
        store.remove_due(id).await.unwrap();
        assert_eq!(store.due(id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_deleted_job_owes_nothing() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        store.put_due(id, &due(0)).await.unwrap();
        store.remove_job(id).await.unwrap();
        assert_eq!(store.due(id).await.unwrap(), None);
    }
}
