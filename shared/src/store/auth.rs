//! Who may sign in, and what was taken back. Every object is written once: a change is a new revision, of two writers one is first.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{MAX_PAGE, Put, Store, StoreError, json};

/// Old revisions kept of a user, and old tokens of a family: a writer that is that far behind has stopped long ago.
const KEPT: u64 = 5;
/// The object of a family beside its numbers.
const REVOKED: &str = "revoked";

/// What a family of refresh tokens has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FamilyState {
    /// Number of the newest token; none: there is no such family.
    pub newest: Option<u64>,
    pub revoked: bool,
}

impl Store {
    fn user_path(&self, id: Uuid, revision: u64) -> Path {
        self.path(&["auth", "users", &id.to_string(), &numbered(revision)])
    }

    fn family_path(&self, family: Uuid, name: &str) -> Path {
        let file = format!("{name}.json");
        self.path(&["auth", "families", &family.to_string(), &file])
    }

    /// `auth/<folder>/<name>.json`.
    fn auth_path(&self, folder: &str, name: &str) -> Path {
        self.path(&["auth", folder, &format!("{name}.json")])
    }

    /// A user as he is now, with the number of that revision. One that does not exist costs as many requests as one that does.
    pub async fn user<T: DeserializeOwned>(
        &self,
        id: Uuid,
    ) -> Result<Option<(T, u64)>, StoreError> {
        let newest = self.newest(&["auth", "users", &id.to_string()]).await?;
        let found = self.get_json(&self.user_path(id, newest)).await?;
        Ok(found.map(|user| (user, newest)))
    }

    /// Writes a revision of a user, unless somebody else was quicker.
    pub async fn put_user<T: Serialize>(
        &self,
        id: Uuid,
        revision: u64,
        user: &T,
    ) -> Result<Put, StoreError> {
        let path = self.user_path(id, revision);
        let put = self.put_if_absent(&path, json(&path, user)?).await?;
        if let (Put::Stored, Some(old)) = (put, revision.checked_sub(KEPT)) {
            self.remove(&self.user_path(id, old)).await?;
        }
        Ok(put)
    }

    /// The first `limit` users after `after`, by id.
    pub async fn user_page(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        let page = self.folders("users", after, limit).await?;
        Ok(page.into_iter().map(|(id, _)| id).collect())
    }

    /// The number of the newest revision in a folder; 1 where there is none.
    pub(super) async fn newest(&self, folder: &[&str]) -> Result<u64, StoreError> {
        let folder = self.path(folder);
        let mut objects = self.objects()?.list(Some(&folder));
        let mut newest = 1;
        while let Some(object) = objects.try_next().await? {
            newest = newest.max(number(&object.location).unwrap_or(0));
        }
        Ok(newest)
    }

    /// Whether the first admin was made.
    pub async fn first_admin_made(&self) -> Result<bool, StoreError> {
        let path = self.path(&["auth", "first-admin.json"]);
        Ok(self.get(&path).await?.is_some())
    }

    /// The first admin was made, and is never made again.
    pub async fn put_first_admin<T: Serialize>(&self, who: &T) -> Result<Put, StoreError> {
        let path = self.path(&["auth", "first-admin.json"]);
        self.put_if_absent(&path, json(&path, who)?).await
    }

    /// How far a family has come, in one request.
    pub async fn family(&self, family: Uuid) -> Result<FamilyState, StoreError> {
        let folder = self.path(&["auth", "families", &family.to_string()]);
        let mut objects = self.objects()?.list(Some(&folder));
        let mut state = FamilyState::default();
        while let Some(object) = objects.try_next().await? {
            state.newest = state.newest.max(number(&object.location));
            state.revoked |= stem(&object.location) == Some(REVOKED);
        }
        Ok(state)
    }

    /// What is kept of the `n`-th token of a family.
    pub async fn family_token<T: DeserializeOwned>(
        &self,
        family: Uuid,
        n: u64,
    ) -> Result<Option<T>, StoreError> {
        self.get_json(&self.family_path(family, &padded(n))).await
    }

    /// The `n`-th token of a family, unless somebody was given it before.
    pub async fn put_family_token<T: Serialize>(
        &self,
        family: Uuid,
        n: u64,
        token: &T,
    ) -> Result<Put, StoreError> {
        let path = self.family_path(family, &padded(n));
        let put = self.put_if_absent(&path, json(&path, token)?).await?;
        if let (Put::Stored, Some(old)) = (put, n.checked_sub(KEPT)) {
            self.remove(&self.family_path(family, &padded(old))).await?;
        }
        Ok(put)
    }

    /// No token of the family is good any more.
    pub async fn revoke_family<T: Serialize>(
        &self,
        family: Uuid,
        why: &T,
    ) -> Result<Put, StoreError> {
        let path = self.family_path(family, REVOKED);
        self.put_if_absent(&path, json(&path, why)?).await
    }

    /// The first `limit` families after `after`, by id, with the time of their newest object.
    pub async fn family_page(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<(Uuid, DateTime<Utc>)>, StoreError> {
        self.folders("families", after, limit).await
    }

    /// Removes what is kept of a family.
    pub async fn remove_family(&self, family: Uuid) -> Result<(), StoreError> {
        let folder = self.path(&["auth", "families", &family.to_string()]);
        let objects: Vec<_> = self.objects()?.list(Some(&folder)).try_collect().await?;
        for object in objects {
            self.remove(&object.location).await?;
        }
        Ok(())
    }

    /// Keeps what a service token says, never the token.
    pub async fn put_service_token<T: Serialize>(
        &self,
        jti: Uuid,
        token: &T,
    ) -> Result<Put, StoreError> {
        let path = self.auth_path("service-tokens", &jti.to_string());
        self.put_if_absent(&path, json(&path, token)?).await
    }

    /// What a service token says.
    pub async fn service_token<T: DeserializeOwned>(
        &self,
        jti: Uuid,
    ) -> Result<Option<T>, StoreError> {
        self.get_json(&self.auth_path("service-tokens", &jti.to_string()))
            .await
    }

    /// The first `limit` service tokens after `after`, by id.
    pub async fn service_token_page(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        self.files("service-tokens", after, limit).await
    }

    /// Forgets a service token that has expired.
    pub async fn remove_service_token(&self, jti: Uuid) -> Result<(), StoreError> {
        self.remove(&self.auth_path("service-tokens", &jti.to_string()))
            .await
    }

    /// Takes a token back; again changes nothing. `jti` becomes part of a path as it is.
    pub async fn put_revoked<T: Serialize>(
        &self,
        jti: Uuid,
        revoked: &T,
    ) -> Result<Put, StoreError> {
        let path = self.auth_path("revoked", &jti.to_string());
        self.put_if_absent(&path, json(&path, revoked)?).await
    }

    /// That a token was taken back.
    pub async fn revoked<T: DeserializeOwned>(&self, jti: Uuid) -> Result<Option<T>, StoreError> {
        self.get_json(&self.auth_path("revoked", &jti.to_string()))
            .await
    }

    /// The first `limit` tokens that were taken back after `after`, by id.
    pub async fn revoked_page(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        self.files("revoked", after, limit).await
    }

    /// Forgets a revocation of a token that has expired.
    pub async fn remove_revoked(&self, jti: Uuid) -> Result<(), StoreError> {
        self.remove(&self.auth_path("revoked", &jti.to_string()))
            .await
    }

    /// Ids of the files `auth/<folder>/<id>.json` after `after`, in order.
    async fn files(
        &self,
        folder: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let prefix = self.path(&["auth", folder]);
        let mut objects = match after {
            Some(after) => {
                let after = self.auth_path(folder, &after.to_string());
                self.objects()?.list_with_offset(Some(&prefix), &after)
            }
            None => self.objects()?.list(Some(&prefix)),
        };
        let mut page = BTreeSet::new();
        while let Some(object) = objects.try_next().await? {
            let Some(id) = stem(&object.location).and_then(|name| name.parse().ok()) else {
                continue;
            };
            if page.len() == limit && self.place.lists_in_order() {
                break;
            }
            page.insert(id);
            if page.len() > limit {
                page.pop_last();
            }
        }
        Ok(page.into_iter().collect())
    }

    /// Ids of the folders `auth/<folder>/<id>/` after `after`, in order, with the time of the newest object in each.
    async fn folders(
        &self,
        folder: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<(Uuid, DateTime<Utc>)>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let prefix = self.path(&["auth", folder]);
        let mut objects = match after {
            // Behind every object of the last folder.
            Some(after) => {
                let after = self.path(&["auth", folder, &after.to_string(), "zzz"]);
                self.objects()?.list_with_offset(Some(&prefix), &after)
            }
            None => self.objects()?.list(Some(&prefix)),
        };
        let mut page: BTreeMap<Uuid, DateTime<Utc>> = BTreeMap::new();
        while let Some(object) = objects.try_next().await? {
            let mut parts = object.location.prefix_match(&prefix).into_iter().flatten();
            let Some(id) = parts.next().and_then(|part| part.as_ref().parse().ok()) else {
                continue;
            };
            let is_new = !page.contains_key(&id);
            if is_new && page.len() == limit && self.place.lists_in_order() {
                break;
            }
            let newest = page.entry(id).or_insert(object.last_modified);
            *newest = object.last_modified.max(*newest);
            if page.len() > limit {
                page.pop_last();
            }
        }
        Ok(page.into_iter().collect())
    }
}

fn padded(number: u64) -> String {
    format!("{number:010}")
}

pub(super) fn numbered(revision: u64) -> String {
    format!("{}.json", padded(revision))
}

fn stem(path: &Path) -> Option<&str> {
    path.filename()?.strip_suffix(".json")
}

fn number(path: &Path) -> Option<u64> {
    stem(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;

    #[tokio::test]
    async fn a_user_is_what_the_newest_revision_says_and_old_ones_do_not_pile_up() {
        let Scratch { store, dir } = &Scratch::new();
        let id = Uuid::now_v7();
        assert_eq!(store.user::<u64>(id).await.unwrap(), None);
        for revision in 1..=12_u64 {
            let put = store.put_user(id, revision, &revision).await;
            assert_eq!(put.unwrap(), Put::Stored);
        }
        assert_eq!(store.put_user(id, 12, &0).await.unwrap(), Put::Existed);
        assert_eq!(store.user::<u64>(id).await.unwrap(), Some((12, 12)));
        let folder = dir.join(format!("auth/users/{id}"));
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 5);
    }

    #[tokio::test]
    async fn pages_of_folders_and_of_files_go_through_each_once_and_in_order() {
        let Scratch { store, .. } = &Scratch::new();
        let mut ids: Vec<Uuid> = (0..7).map(|_| Uuid::new_v4()).collect();
        for id in &ids {
            store.put_user(*id, 1, &1).await.unwrap();
            store.put_user(*id, 2, &2).await.unwrap();
            store.put_revoked(*id, &1).await.unwrap();
        }
        ids.sort();
        let (mut users, mut revoked) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let page = store.user_page(users.last().copied(), 3).await.unwrap();
            users.extend(page);
            let page = store.revoked_page(revoked.last().copied(), 3).await;
            revoked.extend(page.unwrap());
        }
        assert_eq!((users, revoked), (ids.clone(), ids));
    }

    #[tokio::test]
    async fn a_family_knows_its_newest_token_and_that_it_was_revoked() {
        let Scratch { store, .. } = &Scratch::new();
        let family = Uuid::now_v7();
        let state = async || store.family(family).await.unwrap();
        assert_eq!(state().await, FamilyState::default());
        for n in 1..=8_u64 {
            store.put_family_token(family, n, &n).await.unwrap();
        }
        let mut expected = FamilyState {
            newest: Some(8),
            revoked: false,
        };
        assert_eq!(state().await, expected);
        // What is long gone cannot be told from what never was: that is why the newest one counts.
        assert_eq!(store.family_token::<u64>(family, 3).await.unwrap(), None);
        store.revoke_family(family, &"logout").await.unwrap();
        expected.revoked = true;
        assert_eq!(state().await, expected);
        store.remove_family(family).await.unwrap();
        assert_eq!(state().await, FamilyState::default());
    }
}
