//! What operators set, `config/<name>/<revision>.json`, what they are about to do,
//! `intents/<id>.json`, and what they did, `audit/<when>-<id>.json`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Listed, MAX_PAGE, Put, Store, StoreError, json};

/// Old revisions kept of each setting: a writer that is that far behind is refused by nobody, so it must be very far.
const KEPT: u64 = 20;
/// The newest audit entry sorts first: its name counts down from here, in ms since 1970 (the year 2286).
const LAST_MS: i64 = 9_999_999_999_999;

impl Store {
    fn setting_path(&self, name: &[&str], revision: u64) -> Path {
        let file = format!("{revision:010}.json");
        let parts: Vec<&str> = ["config"]
            .into_iter()
            .chain(name.iter().copied())
            .chain([file.as_str()])
            .collect();
        self.path(&parts)
    }

    /// The newest revision of every setting in a folder: name (`queue`, `tenants/<tenant>`) → number.
    pub async fn settings(
        &self,
        folder: &str,
    ) -> Result<Listed<BTreeMap<String, u64>>, StoreError> {
        self.revisions(&[folder]).await
    }

    async fn revisions(&self, name: &[&str]) -> Result<Listed<BTreeMap<String, u64>>, StoreError> {
        let root = self.path(&["config"]);
        let parts: Vec<&str> = ["config"].into_iter().chain(name.iter().copied()).collect();
        let mut found = Listed::<BTreeMap<String, u64>>::default();
        let mut objects = self.objects()?.list(Some(&self.path(&parts)));
        while let Some(object) = objects.try_next().await? {
            let Some(parts) = object.location.prefix_match(&root) else {
                continue;
            };
            let mut parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            let revision = parts
                .pop()
                .and_then(|file| file.strip_suffix(".json")?.parse().ok());
            let Some(revision) = revision else {
                found.misnamed += 1;
                continue;
            };
            let newest = found.entries.entry(parts.join("/")).or_insert(revision);
            *newest = revision.max(*newest);
        }
        Ok(found)
    }

    /// One revision of a setting.
    pub async fn setting<T: DeserializeOwned>(
        &self,
        name: &[&str],
        revision: u64,
    ) -> Result<Option<T>, StoreError> {
        self.get_json(&self.setting_path(name, revision)).await
    }

    /// A setting as it is now, with the number of its last revision; one that was never set is the default, number 0.
    pub async fn newest_setting<T>(&self, name: &[&str]) -> Result<(T, u64), StoreError>
    where
        T: Default + DeserializeOwned,
    {
        match self.revisions(name).await?.entries.get(&name.join("/")) {
            Some(revision) => {
                let found = self.setting(name, *revision).await?;
                Ok((found.unwrap_or_default(), *revision))
            }
            None => Ok((T::default(), 0)),
        }
    }

    /// Writes a revision, unless somebody else was quicker.
    pub async fn put_setting<T: Serialize>(
        &self,
        name: &[&str],
        revision: u64,
        setting: &T,
    ) -> Result<Put, StoreError> {
        let path = self.setting_path(name, revision);
        let put = self.put_if_absent(&path, json(&path, setting)?).await?;
        if let (Put::Stored, Some(old)) = (put, revision.checked_sub(KEPT)) {
            self.remove(&self.setting_path(name, old)).await?;
        }
        Ok(put)
    }

    fn intent_path(&self, id: Uuid) -> Path {
        self.path(&["intents", &format!("{id}.json")])
    }

    /// Notes what an operator is about to do.
    pub async fn put_intent<T: Serialize>(&self, id: Uuid, entry: &T) -> Result<(), StoreError> {
        let path = self.intent_path(id);
        self.put(&path, json(&path, entry)?).await
    }

    /// It was done and is on record, or it was not done. An absent intent is fine.
    pub async fn remove_intent(&self, id: Uuid) -> Result<(), StoreError> {
        self.remove(&self.intent_path(id)).await
    }

    /// At most `limit` intents; on S3 the oldest. One that vanishes or cannot be read is passed
    /// over.
    pub async fn intents<T: DeserializeOwned>(&self, limit: usize) -> Result<Vec<T>, StoreError> {
        let prefix = self.path(&["intents"]);
        let objects = self.objects()?.list(Some(&prefix)).take(limit);
        let objects: Vec<_> = objects.try_collect().await?;
        let mut intents = Vec::new();
        for object in objects {
            match self.get_json(&object.location).await {
                Ok(found) => intents.extend(found),
                Err(StoreError::Unreadable { path, source }) => {
                    tracing::error!(path, error = %source, "an intent cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(intents)
    }

    /// Keeps one entry of what operators did. An entry is never replaced.
    pub async fn put_audit<T: Serialize>(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        entry: &T,
    ) -> Result<Put, StoreError> {
        let name = format!("{:013}-{id}", LAST_MS - at.timestamp_millis());
        let path = self.path(&["audit", &format!("{name}.json")]);
        self.put_if_absent(&path, json(&path, entry)?).await
    }

    /// At most `limit` (at most [`MAX_PAGE`]) entries after the one named `after`, the newest first, each with its name.
    pub async fn audit_page<T: DeserializeOwned>(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let prefix = self.path(&["audit"]);
        let mut objects = match after {
            Some(after) => {
                let after = self.path(&["audit", &format!("{after}.json")]);
                self.objects()?.list_with_offset(Some(&prefix), &after)
            }
            None => self.objects()?.list(Some(&prefix)),
        };
        let mut names = BTreeMap::new();
        while let Some(object) = objects.try_next().await? {
            let Some(name) = object
                .location
                .filename()
                .and_then(|n| n.strip_suffix(".json"))
            else {
                continue;
            };
            if names.len() == limit && self.place.lists_in_order() {
                break;
            }
            names.insert(name.to_owned(), object.location.clone());
            if names.len() > limit {
                names.pop_last();
            }
        }
        let mut page = Vec::new();
        for (name, path) in names {
            if let Some(entry) = self.get_json(&path).await? {
                page.push((name, entry));
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::super::testing::Scratch;
    use super::*;

    async fn newest(store: &Store, name: &[&str]) -> (u64, u64) {
        store.newest_setting(name).await.unwrap()
    }

    #[tokio::test]
    async fn the_newest_revision_of_each_setting_is_in_force() {
        let Scratch { store, .. } = &Scratch::new();
        assert_eq!(store.settings("queue").await.unwrap(), Listed::default());
        let name = &["tenants", "a"];
        assert_eq!(newest(store, name).await, (0, 0));
        for (revision, value) in [(1, 7_u64), (2, 9)] {
            let put = store.put_setting(name, revision, &value).await.unwrap();
            assert_eq!(put, Put::Stored);
        }
        assert_eq!(newest(store, name).await, (9, 2));
        store.put_setting(&["queue"], 1, &3).await.unwrap();
        for (folder, newest) in [("queue", ("queue", 1)), ("tenants", ("tenants/a", 2))] {
            let listed = store.settings(folder).await.unwrap();
            let newest = BTreeMap::from([(newest.0.to_owned(), newest.1)]);
            assert_eq!((listed.entries, listed.misnamed), (newest, 0));
        }
    }

    #[tokio::test]
    async fn an_object_of_another_name_is_passed_over_and_counted() {
        let Scratch { store, dir } = &Scratch::new();
        store.put_setting(&["queue"], 1, &3).await.unwrap();
        store.put_setting(&["tenants", "a"], 2, &9).await.unwrap();
        for stray in ["queue/notes.txt", "tenants/a/old.json", "tenants/README"] {
            std::fs::write(dir.join("config").join(stray), "x").unwrap();
        }
        let listed = store.settings("queue").await.unwrap();
        assert_eq!((listed.entries["queue"], listed.misnamed), (1, 1));
        let listed = store.settings("tenants").await.unwrap();
        assert_eq!((listed.entries["tenants/a"], listed.misnamed), (2, 2));
    }

    #[tokio::test]
    async fn of_two_writers_of_one_revision_the_second_is_told() {
        let Scratch { store, .. } = &Scratch::new();
        let (one, two) = tokio::join!(
            store.put_setting(&["queue"], 1, &1),
            store.put_setting(&["queue"], 1, &2)
        );
        let mut puts = [one.unwrap(), two.unwrap()];
        puts.sort_by_key(|put| *put == Put::Existed);
        assert_eq!(puts, [Put::Stored, Put::Existed]);
    }

    #[tokio::test]
    async fn old_revisions_do_not_pile_up() {
        let Scratch { store, dir } = &Scratch::new();
        for revision in 1..=30 {
            let put = store.put_setting(&["queue"], revision, &revision).await;
            put.unwrap();
        }
        let files = std::fs::read_dir(dir.join("config/queue")).unwrap().count();
        assert_eq!(files, 20);
        assert_eq!(store.settings("queue").await.unwrap().entries["queue"], 30);
    }

    #[tokio::test]
    async fn the_audit_log_is_read_from_its_end() {
        let Scratch { store, .. } = &Scratch::new();
        let start = Utc::now();
        for n in 0..5 {
            let at = start + TimeDelta::milliseconds(n);
            store
                .put_audit(Uuid::now_v7(), at, &json!(n))
                .await
                .unwrap();
        }
        let page: Vec<(String, Value)> = store.audit_page(None, 3).await.unwrap();
        let seen: Vec<_> = page.iter().map(|(_, n)| n.clone()).collect();
        assert_eq!(seen, [json!(4), json!(3), json!(2)]);
        let rest: Vec<(String, Value)> = store.audit_page(Some(&page[2].0), 3).await.unwrap();
        let seen: Vec<_> = rest.into_iter().map(|(_, n)| n).collect();
        assert_eq!(seen, [json!(1), json!(0)]);
    }
}
