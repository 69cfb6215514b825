//! The names of users, `auth/names/<hash>/<revision>.json`: the newest revision says whose a name is.

use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::numbered;
use super::{Put, Store, StoreError, json};

impl Store {
    fn name_path(&self, name: &str, revision: u64) -> Path {
        self.path(&["auth", "names", name, &numbered(revision)])
    }

    /// Whom a name means now, with the number of that revision; `name` is the hash of its lower-case form. A name of nobody costs as many
    /// requests as one of somebody.
    pub async fn user_name<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<(T, u64)>, StoreError> {
        let newest = self.newest(&["auth", "names", name]).await?;
        let found = self.get_json(&self.name_path(name, newest)).await?;
        Ok(found.map(|whose| (whose, newest)))
    }

    /// Gives a name to a user as this revision, unless somebody else was quicker.
    pub async fn put_user_name<T: Serialize>(
        &self,
        name: &str,
        revision: u64,
        whose: &T,
    ) -> Result<Put, StoreError> {
        let path = self.name_path(name, revision);
        self.put_if_absent(&path, json(&path, whose)?).await
    }
}
