//! The objects `due/<id>/<name>`: messages about the end of a job that are not over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::path::Path;

use super::{Listed, MAX_PAGE, Store, StoreError, json};
use crate::envelope::{Due, DueName};
use crate::job::JobId;

/// An object that notes what is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub name: DueName,
    /// When it was last written.
    pub modified: DateTime<Utc>,
}

impl Store {
    fn due_path(&self, id: JobId, name: &DueName) -> Path {
        self.path(&["due", &id.to_string(), name.as_str()])
    }

    /// Notes what is owed; [`StoreError::Deleted`] if the job is dead.
    pub async fn put_due(&self, id: JobId, name: &DueName, due: &Due) -> Result<(), StoreError> {
        let path = self.due_path(id, name);
        self.put(&path, json(&path, due)?).await?;
        self.stay_unless_deleted(id, &path).await
    }

    /// What was noted under this name.
    pub async fn due(&self, id: JobId, name: &DueName) -> Result<Option<Due>, StoreError> {
        self.get_json(&self.due_path(id, name)).await
    }

    /// The names under which something is noted of a job, the earliest first.
    pub async fn due_names(&self, id: JobId) -> Result<Vec<DueName>, StoreError> {
        let folder = self.path(&["due", &id.to_string()]);
        let mut objects = self.objects()?.list(Some(&folder));
        let mut names = Vec::new();
        while let Some(object) = objects.try_next().await? {
            names.extend(object.location.filename().map(DueName::stored));
        }
        names.sort();
        Ok(names)
    }

    /// Nothing is owed under this name any more. An absent object is fine.
    pub async fn remove_due(&self, id: JobId, name: &DueName) -> Result<(), StoreError> {
        self.remove(&self.due_path(id, name)).await
    }

    /// The first `limit` (at most [`MAX_PAGE`]) jobs after `after` that owe something, with all notes of each.
    pub async fn due_page(
        &self,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Listed<BTreeMap<JobId, Vec<Note>>>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let folder = self.path(&["due"]);
        let mut objects = match after {
            // Behind all of the job's: `0` is the character after the slash.
            Some(after) => {
                let last = self.path(&["due", &format!("{after}0")]);
                self.objects()?.list_with_offset(Some(&folder), &last)
            }
            None => self.objects()?.list(Some(&folder)),
        };
        let (mut page, mut misnamed) = (BTreeMap::<JobId, Vec<Note>>::new(), 0);
        while let Some(object) = objects.try_next().await? {
            let mut parts = object.location.parts().rev();
            let job = parts.nth(1).and_then(|part| part.as_ref().parse().ok());
            let (Some(id), Some(name)) = (job, object.location.filename()) else {
                misnamed += 1;
                continue;
            };
            if page.len() == limit && !page.contains_key(&id) && self.place.lists_in_order() {
                break;
            }
            page.entry(id).or_default().push(Note {
                name: DueName::stored(name),
                modified: object.last_modified,
            });
            if page.len() > limit {
                page.pop_last();
            }
        }
        Ok(Listed {
            entries: page,
            misnamed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use crate::endpoint::{Ending, Hook, Line, Target};
    use crate::envelope::DueTarget;

    fn due(generation: u32) -> Due {
        Due {
            generation,
            event: Ending::Failed,
            targets: vec![DueTarget {
                target: Target::Webhook(Hook::Job),
                url: "https://example.com/".to_owned(),
                line: Line::of_service("example.com"),
                until: DateTime::from_timestamp_millis(Utc::now().timestamp_millis()).unwrap(),
            }],
        }
    }

    #[tokio::test]
    async fn what_is_sent_again_is_noted_beside_what_the_end_owes() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        let (end, again) = (DueName::of_end(0), DueName::again(0));
        assert_eq!(store.due_names(id).await.unwrap(), []);
        let noted = due(0);
        store.put_due(id, &end, &noted).await.unwrap();
        store.put_due(id, &again, &due(0)).await.unwrap();
        assert_eq!(store.due(id, &end).await.unwrap(), Some(noted));
        // Whoever had the last message of the end removes what the end noted, and no more.
        store.remove_due(id, &end).await.unwrap();
        store.remove_due(id, &end).await.unwrap();
        assert_eq!(store.due_names(id).await.unwrap(), [again]);
    }

    #[tokio::test]
    async fn pages_go_through_every_job_that_owes_something_once_and_in_order() {
        let Scratch { store, .. } = &Scratch::new();
        let mut ids: Vec<JobId> = (0..7).map(|_| JobId::mint()).collect();
        for id in ids.iter().rev() {
            for name in [DueName::of_end(0), DueName::again(0), DueName::of_end(1)] {
                store.put_due(*id, &name, &due(0)).await.unwrap();
            }
        }
        ids.sort();
        let mut seen: Vec<JobId> = Vec::new();
        loop {
            let page = store.due_page(seen.last().copied(), 3).await.unwrap();
            let page = page.entries;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 3);
            assert!(page.values().all(|notes| notes.len() == 3));
            seen.extend(page.into_keys());
        }
        assert_eq!(seen, ids);
    }

    #[tokio::test]
    async fn a_deleted_job_owes_nothing() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        for name in [DueName::of_end(0), DueName::again(0)] {
            store.put_due(id, &name, &due(0)).await.unwrap();
        }
        store.remove_job(id).await.unwrap();
        assert_eq!(store.due_names(id).await.unwrap(), []);
    }
}
