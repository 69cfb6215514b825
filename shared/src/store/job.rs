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
        let found = self.objects.list(Some(&shares)).take(MAX_PAGE);
        let found: Vec<ObjectMeta> = found.try_collect().await?;
        for share in found {
            let by = share.location.filename().and_then(|name| name.parse().ok());
            let Some(by) = by else { continue };
            let request = self.objects.head(&self.job_path(by, "request.json")).await;
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
        present(self.objects.get_range(&path, range).await)
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
        let all = self.path(&["jobs", &id.to_string()]);
        let found = self.objects.list_with_delimiter(Some(&all)).await?;
        let generation = |meta: &ObjectMeta| {
            let name = meta.location.filename()?.strip_prefix("manifest-")?;
            name.strip_suffix(".json")?.parse::<u32>().ok()
        };
        match found.objects.iter().filter_map(generation).max() {
            Some(newest) => self.manifest(id, newest).await,
            None => Ok(None),
        }
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
mod tests {
    use super::super::testing::Scratch;
    use super::super::{MAX_OBJECT, StoreError};
    use super::*;
    use crate::endpoint::SigningSecret;
    use crate::envelope::{Open, Tombstone};
    use crate::job::TenantId;
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
        let link = store
            .track_url(Method::GET, id, NAME, Duration::from_secs(60))
            .await;
        assert_eq!(link.unwrap(), None);
    }

    fn stone() -> Tombstone {
        Tombstone {
            tenant: TenantId::new("t"),
            claim: None,
            track_of: None,
        }
    }

    fn files(dir: &std::path::Path, id: JobId) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(dir.join(format!("jobs/{id}")))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_removed_job_leaves_no_object_and_its_neighbour_all() {
        let Scratch { store, dir } = &Scratch::new();
        let (gone, kept) = (JobId::mint(), JobId::mint());
        for id in [gone, kept] {
            store.put_request_if_absent(id, &json!({})).await.unwrap();
            let end = json!({"n": 1});
            store.put_manifest_if_absent(id, 0, &end).await.unwrap();
            let audio = Bytes::from_static(b"x");
            store.put_track(id, NAME, audio).await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(store.remove_job(gone).await.unwrap(), Remains::Nothing);
        }
        assert_eq!(files(dir, gone), [""; 0]);
        assert_eq!(store.newest_manifest::<Value>(gone).await.unwrap(), None);
        let manifest = store.newest_manifest(kept).await.unwrap();
        assert_eq!(manifest, Some(json!({"n": 1})));
    }

    #[tokio::test]
    async fn a_track_that_another_job_plays_outlives_its_own_job() {
        let Scratch { store, dir } = &Scratch::new();
        let (home, other) = (JobId::mint(), JobId::mint());
        store.put_request_if_absent(home, &json!({})).await.unwrap();
        let audio = Bytes::from_static(b"x");
        store.put_track(home, NAME, audio).await.unwrap();
        store.share_tracks(home, other).await.unwrap();
        store.put_tombstone(home, &stone()).await.unwrap();
        let remains = store.remove_job(home).await.unwrap();
        assert_eq!(remains, Remains::SharedTracks);
        assert_eq!(files(dir, home), [NAME]);
        let late = store.share_tracks(home, JobId::mint()).await;
        assert!(matches!(late, Err(StoreError::Deleted { id }) if id == home));
        store
            .put_request_if_absent(other, &json!({}))
            .await
            .unwrap();
        store.drop_stale_shares(home).await.unwrap();
        let remains = store.remove_job(home).await.unwrap();
        assert_eq!(remains, Remains::SharedTracks);
        store.remove_job(other).await.unwrap();
        store.drop_stale_shares(home).await.unwrap();
        assert_eq!(store.remove_job(home).await.unwrap(), Remains::Nothing);
        assert_eq!(files(dir, home), [""; 0]);
    }

    #[tokio::test]
    async fn nothing_that_is_put_for_a_dead_job_stays() {
        let Scratch { store, dir } = &Scratch::new();
        let id = JobId::mint();
        let key = render(id);
        store.put_tombstone(id, &stone()).await.unwrap();
        store.put_tombstone(id, &stone()).await.unwrap();
        assert!(store.is_deleted(id).await.unwrap());
        let plan = Planned::parse("jen1", json!({"title": "take"})).unwrap();
        let open = Open { id, generation: 1 };
        let audio = || Bytes::from_static(b"x");
        let taken_back = [
            store.put_plan_if_absent(id, &plan).await.map(drop),
            store.put_upload(id, &key, audio()).await,
            store.put_source(id, &key, &json!({})).await,
            store.put_track(id, NAME, audio()).await,
            store
                .put_manifest_if_absent(id, 0, &json!({}))
                .await
                .map(drop),
            store.put_open(open, &json!({})).await,
            store
                .put_job_secret(id, &SigningSecret::make().unwrap())
                .await,
        ];
        for put in taken_back {
            assert!(matches!(put, Err(StoreError::Deleted { .. })), "{put:?}");
        }
        assert_eq!(files(dir, id), [""; 0]);
        assert_eq!(store.job_secret(id).await.unwrap(), None);
        assert_eq!(store.open_page(None, 10).await.unwrap().entries, []);
    }

    #[tokio::test]
    async fn the_first_end_of_a_generation_stays_and_the_newest_is_found() {
        let Scratch { store, .. } = &Scratch::new();
        let id = JobId::mint();
        let newest = async || store.newest_manifest::<Value>(id).await.unwrap();
        assert_eq!(newest().await, None);
        let put = async |generation: u32, n: u32| {
            let end = json!({"n": n});
            store.put_manifest_if_absent(id, generation, &end).await
        };
        assert_eq!(put(0, 1).await.unwrap(), Put::Stored);
        assert_eq!(put(0, 2).await.unwrap(), Put::Existed);
        assert_eq!(newest().await, Some(json!({"n": 1})));
        for generation in [9, 10] {
            put(generation, generation).await.unwrap();
        }
        assert_eq!(newest().await, Some(json!({"n": 10})));
        assert_eq!(store.manifest(id, 0).await.unwrap(), Some(json!({"n": 1})));
    }

    #[tokio::test]
    async fn a_damaged_object_is_an_error_and_not_an_absence() {
        let Scratch { store, dir } = &Scratch::new();
        let id = JobId::mint();
        store
            .put_manifest_if_absent(id, 0, &json!({}))
            .await
            .unwrap();
        let file = dir.join(format!("jobs/{id}/manifest-0.json"));
        std::fs::write(file, "{\"n\":").unwrap();
        let damaged = store.newest_manifest::<Value>(id).await.unwrap_err();
        assert!(damaged.to_string().contains("manifest-0.json"), "{damaged}");
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
