//! The markers `open/<id>.<generation>`: exactly the jobs that are accepted and not settled.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Listed, MAX_PAGE, Store, StoreError, json};
use crate::envelope::Open;

impl Store {
    fn open_path(&self, open: Open) -> Path {
        self.path(&["open", &open.to_string()])
    }

    /// Marks a generation of a job as unfinished; [`StoreError::Deleted`] if the job is dead.
    pub async fn put_open<T: Serialize>(&self, open: Open, marker: &T) -> Result<(), StoreError> {
        let path = self.open_path(open);
        self.put(&path, json(&path, marker)?).await?;
        self.stay_unless_deleted(open.id, &path).await
    }

    /// Reads the marker of an unfinished generation.
    pub async fn open_marker<T: DeserializeOwned>(
        &self,
        open: Open,
    ) -> Result<Option<T>, StoreError> {
        self.get_json(&self.open_path(open)).await
    }

    /// Removes the marker of a generation that is settled, or was never accepted. An absent one is fine.
    pub async fn remove_open(&self, open: Open) -> Result<(), StoreError> {
        self.remove(&self.open_path(open)).await
    }

    /// Lists the first `limit` (at most [`MAX_PAGE`]) markers after `after`, in order of their names,
    /// with the time of each.
    pub async fn open_page(
        &self,
        after: Option<Open>,
        limit: usize,
    ) -> Result<Listed<Vec<(Open, DateTime<Utc>)>>, StoreError> {
        self.marked("open", after, limit).await
    }

    /// Lists the first `limit` (at most [`MAX_PAGE`]) objects after `after` in a flat folder, in order
    /// of their names. An object with a name of another shape is passed over.
    pub(super) async fn marked<K: FromStr + ToString>(
        &self,
        folder: &str,
        after: Option<K>,
        limit: usize,
    ) -> Result<Listed<Vec<(K, DateTime<Utc>)>>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let prefix = self.path(&[folder]);
        let mut markers = match after {
            Some(after) => self
                .objects
                .list_with_offset(Some(&prefix), &self.path(&[folder, &after.to_string()])),
            None => self.objects()?.list(Some(&prefix)),
        };
        let (mut page, mut misnamed) = (BTreeMap::new(), 0);
        while let Some(marker) = markers.try_next().await? {
            let Some(name) = marker.location.filename() else {
                continue;
            };
            let Ok(key) = name.parse::<K>() else {
                tracing::warn!(object = %marker.location, "an object of another shape is passed over");
                misnamed += 1;
                continue;
            };
            if page.len() == limit && self.place.lists_in_order() {
                break;
            }
            page.insert(name.to_owned(), (key, marker.last_modified));
            if page.len() > limit {
                page.pop_last();
            }
        }
        Ok(Listed {
            entries: page.into_values().collect(),
            misnamed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use crate::job::JobId;
    use serde_json::{Value, json};

    fn open(generation: u32) -> Open {
        Open {
            id: JobId::mint(),
            generation,
        }
    }

    #[tokio::test]
    async fn a_marker_is_there_until_it_is_removed() {
        let Scratch { store, .. } = &Scratch::new();
        let marker = open(0);
        let read = async || store.open_marker::<Value>(marker).await.unwrap();
        assert_eq!(read().await, None);
        store
            .put_open(marker, &json!({"tenant": "a"}))
            .await
            .unwrap();
        store
            .put_open(marker, &json!({"tenant": "b"}))
            .await
            .unwrap();
        assert_eq!(read().await, Some(json!({"tenant": "b"})));
        store.remove_open(marker).await.unwrap();
        store.remove_open(marker).await.unwrap();
        assert_eq!(read().await, None);
    }

    #[tokio::test]
    async fn removing_a_generation_leaves_the_next_one() {
        let Scratch { store, .. } = &Scratch::new();
        let old = open(0);
        let new = Open {
            generation: 1,
            ..old
        };
        for marker in [old, new] {
            store.put_open(marker, &json!({})).await.unwrap();
        }
        store.remove_open(old).await.unwrap();
        let page = store.open_page(None, 10).await.unwrap().entries;
        assert_eq!(
            page.iter().map(|(open, _)| *open).collect::<Vec<_>>(),
            [new]
        );
    }

    #[tokio::test]
    async fn pages_go_through_every_marker_once_and_in_order() {
        let Scratch { store, dir } = &Scratch::new();
        assert_eq!(store.open_page(None, 10).await.unwrap(), Listed::default());
        let mut markers: Vec<Open> = (0..7).map(open).collect();
        for marker in markers.iter().rev() {
            store.put_open(*marker, &json!({})).await.unwrap();
        }
        std::fs::write(dir.join("open/not-a-job"), "x").unwrap();
        markers.sort();

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
            seen.extend(page.into_iter().map(|(open, _)| open));
        }
        assert_eq!(seen, markers);
    }
}
