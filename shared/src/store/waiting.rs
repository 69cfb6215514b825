//! The objects `waiting/<line>/<id>.<generation>`: messages about the end of a job for which Redis has no room.

use futures_util::TryStreamExt;
use object_store::path::Path;

use super::{Store, StoreError, json};
use crate::endpoint::Line;
use crate::envelope::Due;
use crate::job::{JobId, sha256_hex};

/// The folder of one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitingLine(String);

impl WaitingLine {
    /// A line has characters that a path has not, so its folder has the hash of it.
    fn of(line: &Line) -> Self {
        Self(sha256_hex(line.to_string().as_bytes()))
    }
}

/// Whose messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitingName {
    pub id: JobId,
    pub generation: u32,
}

impl Store {
    fn waiting_path(&self, line: &WaitingLine, name: &WaitingName) -> Path {
        let WaitingName { id, generation } = name;
        self.path(&["waiting", &line.0, &format!("{id}.{generation}")])
    }

    /// Notes messages that wait for room in this line; [`StoreError::Deleted`] if the job is dead.
    pub async fn put_waiting(&self, id: JobId, line: &Line, due: &Due) -> Result<(), StoreError> {
        let name = WaitingName {
            id,
            generation: due.generation,
        };
        let path = self.waiting_path(&WaitingLine::of(line), &name);
        self.put(&path, json(&path, due)?).await?;
        self.stay_unless_deleted(id, &path).await
    }

    /// The messages that wait under this name.
    pub async fn waiting(
        &self,
        line: &WaitingLine,
        name: &WaitingName,
    ) -> Result<Option<Due>, StoreError> {
        self.get_json(&self.waiting_path(line, name)).await
    }

    /// They wait no more. An absent object is fine.
    pub async fn remove_waiting(
        &self,
        line: &WaitingLine,
        name: &WaitingName,
    ) -> Result<(), StoreError> {
        self.remove(&self.waiting_path(line, name)).await
    }

    /// The lines for which something waits.
    pub async fn waiting_lines(&self) -> Result<Vec<WaitingLine>, StoreError> {
        let all = self.path(&["waiting"]);
        let found = self.objects()?.list_with_delimiter(Some(&all)).await?;
        let names = found.common_prefixes.iter().filter_map(Path::filename);
        Ok(names.map(|name| WaitingLine(name.to_owned())).collect())
    }

    /// The first `limit` names of a line, the earliest job first. An object of another name is not among them.
    pub async fn waiting_page(
        &self,
        line: &WaitingLine,
        limit: usize,
    ) -> Result<Vec<WaitingName>, StoreError> {
        let folder = self.path(&["waiting", &line.0]);
        let mut objects = self.objects()?.list(Some(&folder));
        let mut page = Vec::new();
        while let Some(object) = objects.try_next().await? {
            let name = object.location.filename().and_then(|name| {
                let (id, generation) = name.split_once('.')?;
                let (id, generation) = (id.parse().ok()?, generation.parse().ok()?);
                Some(WaitingName { id, generation })
            });
            page.extend(name);
            if page.len() >= limit && self.place.lists_in_order() {
                break;
            }
        }
        page.sort();
        page.truncate(limit);
        Ok(page)
    }
}
