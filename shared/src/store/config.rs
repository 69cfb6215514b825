//! What operators set, `config/<name>/<revision>.json`, and what they did, `audit/<when>-<id>.json`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{MAX_PAGE, Put, Store, StoreError, json};

/// Old revisions kept of each setting: a writer that is that far behind is refused by nobody, so it must be very far.
const KEPT: u64 = 20;
/// Of two writers one is first; the other looks again.
const TRIES: usize = 8;
/// The newest audit entry sorts first: its name counts down from here, in ms since 1970 (the year 2286).
const LAST_MS: i64 = 9_999_999_999_999;

/// A setting before and after a change, and its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed<T> {
    pub before: T,
    pub after: T,
    pub revision: u64,
}

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

    /// The newest revision of every setting: name (`queue`, `tenants/<tenant>`) → number.
    pub async fn settings(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.revisions(&[]).await
    }

    async fn revisions(&self, name: &[&str]) -> Result<BTreeMap<String, u64>, StoreError> {
        let root = self.path(&["config"]);
        let parts: Vec<&str> = ["config"].into_iter().chain(name.iter().copied()).collect();
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        let mut objects = self.objects.list(Some(&self.path(&parts)));
        while let Some(object) = objects.try_next().await? {
            let Some(parts) = object.location.prefix_match(&root) else {
                continue;
            };
            let mut parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            let revision = parts
                .pop()
                .and_then(|file| file.strip_suffix(".json")?.parse().ok());
            if let Some(revision) = revision {
                let newest = found.entry(parts.join("/")).or_insert(revision);
                *newest = revision.max(*newest);
            }
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

    /// Writes the next revision, unless the change changes nothing. `announce` is awaited before: where it fails, nothing is changed.
    pub async fn change_setting<T, E>(
        &self,
        name: &[&str],
        change: impl Fn(&mut T),
        announce: impl AsyncFn(&T, &T) -> Result<(), E>,
    ) -> Result<Changed<T>, E>
    where
        T: Default + Clone + PartialEq + Serialize + DeserializeOwned,
        E: From<StoreError>,
    {
        for _ in 0..TRIES {
            let newest = self.revisions(name).await?.get(&name.join("/")).copied();
            let before: T = match newest {
                Some(revision) => self.setting(name, revision).await?.unwrap_or_default(),
                None => T::default(),
            };
            let mut after = before.clone();
            change(&mut after);
            let revision = newest.unwrap_or(0);
            if after == before {
                return Ok(Changed {
                    before,
                    after,
                    revision,
                });
            }
            announce(&before, &after).await?;
            let revision = revision + 1;
            let path = self.setting_path(name, revision);
            if self.put_if_absent(&path, json(&path, &after)?).await? == Put::Stored {
                if let Some(old) = revision.checked_sub(KEPT) {
                    self.remove(&self.setting_path(name, old)).await?;
                }
                return Ok(Changed {
                    before,
                    after,
                    revision,
                });
            }
        }
        Err(StoreError::Contended(name.join("/")).into())
    }

    /// Keeps one entry of what operators did.
    pub async fn put_audit<T: Serialize>(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        entry: &T,
    ) -> Result<(), StoreError> {
        let name = format!("{:013}-{id}", LAST_MS - at.timestamp_millis());
        let path = self.path(&["audit", &format!("{name}.json")]);
        self.put(&path, json(&path, entry)?).await
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
                self.objects.list_with_offset(Some(&prefix), &after)
            }
            None => self.objects.list(Some(&prefix)),
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

    async fn set(store: &Store, name: &[&str], value: u64) -> Changed<u64> {
        let quiet = async |_: &u64, _: &u64| Ok::<(), StoreError>(());
        store
            .change_setting(name, |v| *v = value, quiet)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn each_change_is_the_next_revision_and_no_change_is_none() {
        let Scratch { store, .. } = &Scratch::new();
        assert_eq!(store.settings().await.unwrap(), BTreeMap::new());
        let name = &["tenants", "a"];
        assert_eq!(set(store, name, 0).await.revision, 0);
        assert_eq!(set(store, name, 7).await.revision, 1);
        let again = set(store, name, 7).await;
        assert_eq!((again.before, again.after, again.revision), (7, 7, 1));
        assert_eq!(set(store, name, 9).await.before, 7);
        set(store, &["queue"], 3).await;
        let newest = [("queue".to_owned(), 1), ("tenants/a".to_owned(), 2)];
        assert_eq!(store.settings().await.unwrap(), BTreeMap::from(newest));
        assert_eq!(store.setting(name, 2).await.unwrap(), Some(9));
    }

    #[tokio::test]
    async fn of_writers_at_the_same_time_none_is_lost() {
        let Scratch { store, .. } = &Scratch::new();
        let quiet = async |_: &u64, _: &u64| Ok::<(), StoreError>(());
        let add = || store.change_setting(&["queue"], |v: &mut u64| *v += 1, quiet);
        let (a, b, c) = tokio::join!(add(), add(), add());
        let mut all = [a, b, c].map(|changed| changed.unwrap().revision);
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
        assert_eq!(store.setting(&["queue"], 3).await.unwrap(), Some(3_u64));
    }

    #[tokio::test]
    async fn what_could_not_be_announced_is_not_changed() {
        let Scratch { store, .. } = &Scratch::new();
        let refuse = async |_: &u64, _: &u64| Err(StoreError::Contended("x".to_owned()));
        let changed = store.change_setting(&["queue"], |v: &mut u64| *v = 1, refuse);
        assert!(changed.await.is_err());
        assert_eq!(store.settings().await.unwrap(), BTreeMap::new());
    }

    #[tokio::test]
    async fn old_revisions_do_not_pile_up() {
        let Scratch { store, dir } = &Scratch::new();
        for value in 1..=30 {
            set(store, &["queue"], value).await;
        }
        let files = std::fs::read_dir(dir.join("config/queue")).unwrap().count();
        assert_eq!(files, 20);
        assert_eq!(store.settings().await.unwrap()["queue"], 30);
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
