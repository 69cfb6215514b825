//! The objects of a job, in a folder.

use super::*;
use crate::endpoint::SigningSecret;
use crate::envelope::{Open, Tombstone};
use crate::job::TenantId;
use crate::stage::Stage;
use crate::store::testing::Scratch;
use crate::store::{MAX_OBJECT, StoreError};
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
