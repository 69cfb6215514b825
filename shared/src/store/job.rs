//! The objects of one job.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use reqwest::Method;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use url::Url;

use super::{MAX_PAGE, Put, Store, StoreError, json, present};
use crate::job::{JobId, RenderKey};
use crate::plan::Planned;

/// What is left of a removed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    Nothing,
    /// Tracks that other jobs play.
    SharedTracks,
}

/// What the names of a job's objects say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The newest generation that has ended.
    pub ended: Option<u32>,
    pub planned: bool,
}

impl Store {
    fn job_path(&self, id: JobId, name: &str) -> Path {
        self.path(&["jobs", &id.to_string(), name])
    }

    /// Stores the accepted request, unless one is there. The caller looks for a tombstone where the id is not its own.
    pub async fn put_request_if_absent<T: Serialize>(
        &self,
        id: JobId,
        request: &T,
    ) -> Result<Put, StoreError> {
        let path = self.job_path(id, "request.json");
        self.put_if_absent(&path, json(&path, request)?).await
    }

    /// The accepted request.
    pub async fn request<T: DeserializeOwned>(&self, id: JobId) -> Result<Option<T>, StoreError> {
        self.get_json(&self.job_path(id, "request.json")).await
    }

    /// Stores the plan, unless one is there; answers the plan that is stored now.
    pub async fn put_plan_if_absent(
        &self,
        id: JobId,
        plan: &Planned,
    ) -> Result<Planned, StoreError> {
        let path = self.job_path(id, "plan.json");
        let put = self.put_if_absent(&path, json(&path, plan)?).await?;
        self.stay_unless_deleted(id, &path).await?;
        match put {
            Put::Stored => Ok(plan.clone()),
            Put::Existed => self
                .get_json(&path)
                .await?
                .ok_or_else(|| StoreError::Vanished {
                    path: path.to_string(),
                }),
        }
    }

    /// The song plan.
    pub async fn plan(&self, id: JobId) -> Result<Option<Planned>, StoreError> {
        self.get_json(&self.job_path(id, "plan.json")).await
    }

    /// Stores audio as a model sent it, not yet listened to; a repeat replaces it.
    pub async fn put_upload(
        &self,
        id: JobId,
        key: &RenderKey,
        audio: Bytes,
    ) -> Result<(), StoreError> {
        let path = self.upload_path(id, key);
        self.put(&path, audio).await?;
        self.stay_unless_deleted(id, &path).await
    }

    /// Bytes of what was uploaded under this render key.
    pub async fn upload_size(&self, id: JobId, key: &RenderKey) -> Result<Option<u64>, StoreError> {
        let found = self.objects()?.head(&self.upload_path(id, key)).await;
        Ok(present(found)?.map(|meta| meta.size))
    }

    /// What was uploaded under this render key; an error beyond [`super::MAX_OBJECT`].
    pub async fn upload(&self, id: JobId, key: &RenderKey) -> Result<Option<Bytes>, StoreError> {
        self.get(&self.upload_path(id, key)).await
    }

    /// A signed link under which a model may `PUT` its audio, good for `expires` (and no longer than the credentials that sign it);
    /// none for a directory. It does not bound the size: look before you read.
    pub async fn upload_url(
        &self,
        id: JobId,
        key: &RenderKey,
        expires: Duration,
    ) -> Result<Option<Url>, StoreError> {
        let path = self.upload_path(id, key);
        self.place.signed(Method::PUT, &path, expires).await
    }

    fn upload_path(&self, id: JobId, key: &RenderKey) -> Path {
        self.job_path(id, &format!("upload-{}", key.object_name()))
    }

    /// Notes where the audio of this render key can be fetched.
    pub async fn put_source<T: Serialize>(
        &self,
        id: JobId,
        key: &RenderKey,
        source: &T,
    ) -> Result<(), StoreError> {
        let path = self.source_path(id, key);
        self.put(&path, json(&path, source)?).await?;
        self.stay_unless_deleted(id, &path).await
    }

    /// Where the audio of this render key can be fetched.
    pub async fn source<T: DeserializeOwned>(
        &self,
        id: JobId,
        key: &RenderKey,
    ) -> Result<Option<T>, StoreError> {
        self.get_json(&self.source_path(id, key)).await
    }

    fn source_path(&self, id: JobId, key: &RenderKey) -> Path {
        self.job_path(id, &format!("upload-{}.json", key.object_name()))
    }

    /// The delivery is of no use: the audio and what is said of it go.
    pub async fn remove_upload(&self, id: JobId, key: &RenderKey) -> Result<(), StoreError> {
        self.remove(&self.source_path(id, key)).await?;
        self.remove(&self.upload_path(id, key)).await
    }

    /// Stores audio under its [`crate::track::object_name`]. The name holds the hash, so a repeat changes nothing.
    pub async fn put_track(&self, id: JobId, name: &str, audio: Bytes) -> Result<(), StoreError> {
        let (path, attributes) = (self.job_path(id, name), self.place.attributes(name));
        self.put_new(&path, audio, attributes).await?;
        self.stay_unless_deleted(id, &path).await
    }

    /// The audio did not become a track.
    pub async fn remove_track(&self, id: JobId, name: &str) -> Result<(), StoreError> {
        self.remove(&self.job_path(id, name)).await
    }

    fn share_path(&self, home: JobId, by: JobId) -> Path {
        self.path(&["jobs", &home.to_string(), "shared", &by.to_string()])
    }

    /// Notes that job `by` plays a track of job `home`, whose file is then kept until both are deleted.
    /// [`StoreError::Deleted`] if `home` is dead, because its file may be on the way out.
    pub async fn share_tracks(&self, home: JobId, by: JobId) -> Result<(), StoreError> {
        let path = self.share_path(home, by);
        self.put(&path, Bytes::new()).await?;
        self.stay_unless_deleted(home, &path).await
    }

    /// Job `by` plays no track of job `home` any more.
    pub async fn unshare_tracks(&self, home: JobId, by: JobId) -> Result<(), StoreError> {
        self.remove(&self.share_path(home, by)).await
    }

    /// Forgets which jobs play a track of job `home` where those are gone themselves. Looks at no more
    /// than [`MAX_PAGE`] of them.
    pub async fn drop_stale_shares(&self, home: JobId) -> Result<(), StoreError> {
        let shares = self.path(&["jobs", &home.to_string(), "shared"]);
        let found = self.objects()?.list(Some(&shares)).take(MAX_PAGE);
        let found: Vec<ObjectMeta> = found.try_collect().await?;
        for share in found {
            let by = share.location.filename().and_then(|name| name.parse().ok());
            let Some(by) = by else { continue };
            let request = self
                .objects()?
                .head(&self.job_path(by, "request.json"))
                .await;
            if present(request)?.is_none() {
                self.unshare_tracks(home, by).await?;
            }
        }
        Ok(())
    }

    /// The whole track.
    pub async fn track(&self, id: JobId, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.get(&self.job_path(id, name)).await
    }

    /// The bytes `range` of the track, cut at its end; an error if it begins beyond the end.
    pub async fn track_range(
        &self,
        id: JobId,
        name: &str,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, StoreError> {
        let path = self.job_path(id, name);
        present(self.objects()?.get_range(&path, range).await)
    }

    /// A link to the track that is signed for one method, good for `expires` (and no longer than the credentials that sign it); none for a directory.
    pub async fn track_url(
        &self,
        method: Method,
        id: JobId,
        name: &str,
        expires: Duration,
    ) -> Result<Option<Url>, StoreError> {
        let path = self.job_path(id, name);
        self.place.signed(method, &path, expires).await
    }

    fn manifest_path(&self, id: JobId, generation: u32) -> Path {
        self.job_path(id, &format!("manifest-{generation}.json"))
    }

    /// Stores how a generation of the job ended, unless that is on record.
    pub async fn put_manifest_if_absent<T: Serialize>(
        &self,
        id: JobId,
        generation: u32,
        manifest: &T,
    ) -> Result<Put, StoreError> {
        let path = self.manifest_path(id, generation);
        let put = self.put_if_absent(&path, json(&path, manifest)?).await?;
        self.stay_unless_deleted(id, &path).await?;
        Ok(put)
    }

    /// Reads how a generation of the job ended.
    pub async fn manifest<T: DeserializeOwned>(
        &self,
        id: JobId,
        generation: u32,
    ) -> Result<Option<T>, StoreError> {
        self.get_json(&self.manifest_path(id, generation)).await
    }

    /// Reads how the newest generation ended, if `generation` or a later one has. The numbers have no
    /// gap, so one look at an absent object is enough.
    pub async fn manifest_since<T: DeserializeOwned>(
        &self,
        id: JobId,
        generation: u32,
    ) -> Result<Option<T>, StoreError> {
        match self.manifest::<IgnoredAny>(id, generation).await? {
            Some(_) => self.newest_manifest(id).await,
            None => Ok(None),
        }
    }

    /// Reads how the newest generation ended that has ended.
    pub async fn newest_manifest<T: DeserializeOwned>(
        &self,
        id: JobId,
    ) -> Result<Option<T>, StoreError> {
        match self.standing(id).await?.ended {
            Some(newest) => self.manifest(id, newest).await,
            None => Ok(None),
        }
    }

    /// How far the job's objects say that it has come, in one look.
    pub async fn standing(&self, id: JobId) -> Result<Standing, StoreError> {
        let all = self.path(&["jobs", &id.to_string()]);
        let found = self.objects()?.list_with_delimiter(Some(&all)).await?;
        let names = found
            .objects
            .iter()
            .filter_map(|meta| meta.location.filename());
        let mut standing = Standing::default();
        for name in names {
            standing.planned |= name == "plan.json";
            let manifest = name.strip_prefix("manifest-");
            let generation = manifest.and_then(|rest| rest.strip_suffix(".json")?.parse().ok());
            standing.ended = standing.ended.max(generation);
        }
        Ok(standing)
    }

    /// Removes the job's objects: the request first, because without it nothing can be run again, then
    /// the rest of `jobs/<id>/`, its secret and `due/<id>/`. May be repeated after it broke off. A track that another
    /// job plays stays.
    pub async fn remove_job(&self, id: JobId) -> Result<Remains, StoreError> {
        self.remove(&self.job_path(id, "request.json")).await?;
        let all = self.path(&["jobs", &id.to_string()]);
        let found: Vec<Path> = self
            .objects
            .list(Some(&all))
            .map_ok(|meta| meta.location)
            .try_collect()
            .await?;
        let shares = self.path(&["jobs", &id.to_string(), "shared"]);
        let is_share = |path: &Path| path.prefix_matches(&shares);
        let is_shared = found.iter().any(is_share);
        let is_track = |path: &Path| path.filename().is_some_and(|n| n.starts_with("track-"));
        let stays =
            move |path: &Path| is_shared && (is_track(path) || path.prefix_matches(&shares));
        let gone: Vec<_> = found.into_iter().filter(|p| !stays(p)).map(Ok).collect();
        let mut removed = self
            .objects
            .delete_stream(futures_util::stream::iter(gone).boxed());
        while let Some(one) = removed.next().await {
            present(one)?;
        }
        self.remove_job_secret(id).await?;
        for name in self.due_names(id).await? {
            self.remove_due(id, &name).await?;
        }
        Ok(if is_shared {
            Remains::SharedTracks
        } else {
            Remains::Nothing
        })
    }
}

#[cfg(test)]
mod tests;
