//! The markers `open/<id>`: exactly the jobs that are accepted and not settled.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Listed, MAX_PAGE, Store, StoreError, json};
use crate::job::JobId;

impl Store {
    fn open_path(&self, id: JobId) -> Path {
        self.path(&["open", &id.to_string()])
    }

    /// Marks a job as unfinished.
    pub async fn put_open<T: Serialize>(&self, id: JobId, marker: &T) -> Result<(), StoreError> {
        let path = self.open_path(id);
        self.put(&path, json(&path, marker)?).await
    }

    /// The marker of an unfinished job.
    pub async fn open_marker<T: DeserializeOwned>(
        &self,
        id: JobId,
    ) -> Result<Option<T>, StoreError> {
        self.get_json(&self.open_path(id)).await
    }

    /// The job is settled, or was never accepted. An absent marker is fine.
    pub async fn remove_open(&self, id: JobId) -> Result<(), StoreError> {
        self.remove(&self.open_path(id)).await
    }

    /// The first `limit` (at most [`MAX_PAGE`]) unfinished jobs after `after`, by id, with the time of their marker.
    pub async fn open_page(
        &self,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Listed<Vec<(JobId, DateTime<Utc>)>>, StoreError> {
        self.marked("open", after, limit).await
    }

    /// The first `limit` (at most [`MAX_PAGE`]) jobs after `after` that have a marker in this folder.
    pub(super) async fn marked(
        &self,
        folder: &str,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Listed<Vec<(JobId, DateTime<Utc>)>>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let prefix = self.path(&[folder]);
        let mut markers = match after {
            Some(after) => self
                .objects
                .list_with_offset(Some(&prefix), &self.path(&[folder, &after.to_string()])),
            None => self.objects.list(Some(&prefix)),
        };
        let (mut page, mut misnamed) = (BTreeMap::new(), 0);
        while let Some(marker) = markers.try_next().await? {
            let Some(id) = marker.location.filename().and_then(|n| n.parse().ok()) else {
                misnamed += 1;
                continue;
            };
            if page.len() == limit && self.place.lists_in_order() {
                break;
            }
            page.insert(id, marker.last_modified);
            if page.len() > limit {
                page.pop_last();
            }
        }
        Ok(Listed {
            entries: page.into_iter().collect(),
            misnamed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_marker_is_there_until_it_is_removed() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        assert_eq!(store.open_marker::<Value>(id).await.unwrap(), None);
        store.put_open(id, &json!({"tenant": "a"})).await.unwrap();
        store.put_open(id, &json!({"tenant": "b"})).await.unwrap();
        assert_eq!(
            store.open_marker::<Value>(id).await.unwrap(),
            Some(json!({"tenant": "b"}))
        );
        store.remove_open(id).await.unwrap();
        store.remove_open(id).await.unwrap();
        assert_eq!(store.open_marker::<Value>(id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn pages_go_through_every_marker_once_and_in_order() {
        let Scratch { store, dir } = &Scratch::new();
        assert_eq!(store.open_page(None, 10).await.unwrap(), Listed::default());
        let mut ids: Vec<JobId> = (0..7).map(|_| JobId::mint()).collect();
        for id in ids.iter().rev() {
            store.put_open(*id, &json!({})).await.unwrap();
        }
        std::fs::write(dir.join("open/not-a-job"), "x").unwrap();
        ids.sort();

        let whole = store.open_page(None, 10).await.unwrap();
        assert_eq!((whole.entries.len(), whole.misnamed), (7, 1));
        let mut seen = Vec::new();
        loop {
            let page = store.open_page(seen.last().copied(), 3).await.unwrap();
            let page = page.entries;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 3);
            seen.extend(page.into_iter().map(|(id, _)| id));
        }
        assert_eq!(seen, ids);
    }
}
