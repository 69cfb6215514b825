//! The objects of one job.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{Put, Store, StoreError, json, present};
use crate::job::{JobId, RenderKey};
use crate::plan::Planned;

impl Store {
    fn job_path(&self, id: JobId, name: &str) -> Path {
        self.path(&["jobs", &id.to_string(), name])
    }

    /// Stores the accepted request, unless one is there.
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
        match self.put_if_absent(&path, json(&path, plan)?).await? {
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
        self.put(&self.upload_path(id, key), audio).await
    }

    /// Bytes of what was uploaded under this render key.
    pub async fn upload_size(&self, id: JobId, key: &RenderKey) -> Result<Option<u64>, StoreError> {
        let found = self.objects.head(&self.upload_path(id, key)).await;
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
        self.put(&path, json(&path, source)?).await
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
        let attributes = self.place.attributes(name);
        self.put_new(&self.job_path(id, name), audio, attributes)
            .await?;
        Ok(())
    }

    /// The audio did not become a track.
    pub async fn remove_track(&self, id: JobId, name: &str) -> Result<(), StoreError> {
        self.remove(&self.job_path(id, name)).await
    }

    /// Copies another job's track to this one, inside the store; false if it is gone.
    pub async fn copy_track(&self, from: JobId, to: JobId, name: &str) -> Result<bool, StoreError> {
        let (from, to) = (self.job_path(from, name), self.job_path(to, name));
        Ok(present(self.objects.copy(&from, &to).await)?.is_some())
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
        present(self.objects.get_range(&path, range).await)
    }

    /// A signed link to the track, good for `expires` (and no longer than the credentials that sign it); none for a directory.
    pub async fn track_url(
        &self,
        id: JobId,
        name: &str,
        expires: Duration,
    ) -> Result<Option<Url>, StoreError> {
        let path = self.job_path(id, name);
        self.place.signed(Method::GET, &path, expires).await
    }

    /// Stores the finished job; a later settling replaces it.
    pub async fn put_manifest<T: Serialize>(
        &self,
        id: JobId,
        manifest: &T,
    ) -> Result<(), StoreError> {
        let path = self.job_path(id, "manifest.json");
        self.put(&path, json(&path, manifest)?).await
    }

    /// The finished job.
    pub async fn manifest<T: DeserializeOwned>(&self, id: JobId) -> Result<Option<T>, StoreError> {
        self.get_json(&self.job_path(id, "manifest.json")).await
    }

    /// Removes `jobs/<id>/`, its secret, `due/<id>` and then `open/<id>`. May be repeated after it
    /// broke off.
    pub async fn remove_job(&self, id: JobId) -> Result<(), StoreError> {
        let all = self.path(&["jobs", &id.to_string()]);
        let paths: Vec<_> = self
            .objects
            .list(Some(&all))
            .map_ok(|meta| Ok(meta.location))
            .try_collect()
            .await?;
        let mut removed = self
            .objects
            .delete_stream(futures_util::stream::iter(paths).boxed());
        while let Some(one) = removed.next().await {
            present(one)?;
        }
        self.remove_job_secret(id).await?;
        self.remove_due(id).await?;
        self.remove_open(id).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::super::{MAX_OBJECT, StoreError};
    use super::*;
    use crate::stage::Stage;
    use serde_json::{Value, json};

    const NAME: &str = "track-00ff.wav";

    fn render(id: JobId) -> RenderKey {
        RenderKey::new(id, Stage::Audio, 7, 1)
    }

    #[tokio::test]
    async fn the_first_request_under_a_name_stays() {
        let Scratch { store, dir } = &Scratch::new();
        let id = JobId::mint();
        assert_eq!(store.request::<Value>(id).await.unwrap(), None);
        let (first, second) = (json!({"narrative": "a"}), json!({"narrative": "b"}));
        assert_eq!(
            store.put_request_if_absent(id, &first).await.unwrap(),
            Put::Stored
        );
        assert_eq!(
            store.put_request_if_absent(id, &second).await.unwrap(),
            Put::Existed
        );
        assert_eq!(store.request::<Value>(id).await.unwrap(), Some(first));
        let names: Vec<_> = std::fs::read_dir(dir.join(format!("jobs/{id}")))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["request.json"], "no temporary file is left");
    }

    #[tokio::test]
    async fn of_many_writers_at_once_one_stores_the_plan_and_all_see_it() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        let writers = (0..8).map(|n| async move {
            let plan = Planned::parse("jen1", json!({"title": format!("take {n}")})).unwrap();
            store.put_plan_if_absent(id, &plan).await.unwrap()
        });
        let plans = futures_util::future::join_all(writers).await;
        let stored = store.plan(id).await.unwrap().unwrap();
        assert!(plans.iter().all(|plan| *plan == stored), "{plans:?}");
    }

    #[tokio::test]
    async fn an_upload_is_measured_before_it_is_read() {
        let Scratch { store, dir } = &Scratch::new();
        let id = JobId::mint();
        let key = render(id);
        assert_eq!(store.upload_size(id, &key).await.unwrap(), None);
        assert_eq!(store.upload(id, &key).await.unwrap(), None);
        store
            .put_upload(id, &key, Bytes::from_static(b"RIFF"))
            .await
            .unwrap();
        assert_eq!(store.upload_size(id, &key).await.unwrap(), Some(4));
        assert_eq!(store.upload(id, &key).await.unwrap().unwrap(), "RIFF");

        let file = dir.join(format!("jobs/{id}/upload-{}", key.object_name()));
        let huge = std::fs::File::create(file).unwrap();
        huge.set_len(MAX_OBJECT + 1).unwrap();
        assert!(matches!(
            store.upload(id, &key).await,
            Err(StoreError::TooLarge { size, .. }) if size == MAX_OBJECT + 1
        ));
    }

    #[tokio::test]
    async fn an_upload_and_its_source_lie_apart() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        let key = render(id);
        let source = json!({"audioUrl": "https://models.example/1.wav"});
        store.put_source(id, &key, &source).await.unwrap();
        assert_eq!(store.source(id, &key).await.unwrap(), Some(source));
        assert_eq!(store.upload(id, &key).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_track_is_read_whole_or_in_part_and_never_replaced() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        assert_eq!(store.track(id, NAME).await.unwrap(), None);
        assert_eq!(store.track_range(id, NAME, 0..2).await.unwrap(), None);
        for audio in ["0123456789", "other"] {
            store
                .put_track(id, NAME, Bytes::from_static(audio.as_bytes()))
                .await
                .unwrap();
        }
        assert_eq!(store.track(id, NAME).await.unwrap().unwrap(), "0123456789");
        let part = |range| store.track_range(id, NAME, range);
        assert_eq!(part(2..5).await.unwrap().unwrap(), "234");
        assert_eq!(part(8..99).await.unwrap().unwrap(), "89");
        assert!(part(10..12).await.is_err());
        let link = store.track_url(id, NAME, Duration::from_secs(60)).await;
        assert_eq!(link.unwrap(), None);
    }

    #[tokio::test]
    async fn a_removed_job_leaves_no_object_and_its_neighbour_all() {
        let Scratch { store, dir } = &Scratch::new();
        let (gone, kept) = (JobId::mint(), JobId::mint());
        for id in [gone, kept] {
            store.put_request_if_absent(id, &json!({})).await.unwrap();
            store.put_manifest(id, &json!({"n": 1})).await.unwrap();
            store.put_open(id, &json!({})).await.unwrap();
            store
                .put_track(id, NAME, Bytes::from_static(b"x"))
                .await
                .unwrap();
        }
        store.remove_job(gone).await.unwrap();
        store.remove_job(gone).await.unwrap();
        let left = std::fs::read_dir(dir.join(format!("jobs/{gone}"))).unwrap();
        assert_eq!(left.count(), 0);
        assert_eq!(store.manifest::<Value>(gone).await.unwrap(), None);
        assert_eq!(
            store.manifest::<Value>(kept).await.unwrap(),
            Some(json!({"n": 1}))
        );
        let open = store.open_page(None, 10).await.unwrap();
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].0, kept);
    }

    #[tokio::test]
    async fn a_damaged_object_is_an_error_and_not_an_absence() {
        let Scratch { store, dir } = &Scratch::new();
        let id = JobId::mint();
        store.put_manifest(id, &json!({})).await.unwrap();
        std::fs::write(dir.join(format!("jobs/{id}/manifest.json")), "{\"n\":").unwrap();
        let damaged = store.manifest::<Value>(id).await.unwrap_err();
        assert!(damaged.to_string().contains("manifest.json"), "{damaged}");
    }

    #[tokio::test]
    async fn a_strange_render_key_stays_inside_its_job() {
        let Scratch { store, dir } = &Scratch::new();
        let id = JobId::mint();
        let key = RenderKey::from_token(format!("{id}:../../../escaped"));
        store
            .put_upload(id, &key, Bytes::from_static(b"x"))
            .await
            .unwrap();
        let inside = std::fs::read_dir(dir.join(format!("jobs/{id}"))).unwrap();
        assert_eq!(inside.count(), 1);
        assert_eq!(store.upload_size(id, &key).await.unwrap(), Some(1));
    }
}
