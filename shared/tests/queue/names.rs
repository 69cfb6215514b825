//! A name never means two things: ids, keys, tombstones, markers and tracks, over a real Redis and a real folder.

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::audit::Effect;
use shared::burial::{self, Burial};
use shared::envelope::{Claim, ClaimName, Manifest, Open, OpenMarker, Tombstone};
use shared::job::{JobId, JobStatus, TenantId, UserId, sha256_hex};
use shared::lookup::{self, Ensured};
use shared::queue::{Acquired, Settings, Spent};
use shared::stage::Stage;
use shared::store::{Put, Remains, StoreError};
use shared::{change, settle};

use crate::rig::track;
use crate::site::Site;

pub(crate) fn song(narrative: &str) -> Value {
    json!({"narrative": narrative, "seed": 7})
}

pub(crate) fn first(id: JobId) -> Open {
    Open { id, generation: 0 }
}

pub(crate) async fn empty_redis(site: &Site) {
    site.raw(&redis::cmd("FLUSHALL")).await;
}

#[tokio::test]
async fn a_key_that_is_used_again_after_a_delete_names_another_job() {
    let site = Site::start().await;
    let mut ids = Vec::new();
    for (user, narrative) in [
        ("alice", "a drum march"),
        ("bob", "a lullaby"),
        ("carol", "rain"),
    ] {
        let submit = || site.submit_as(user, Some("k"), song(narrative));
        let known = submit().await.unwrap();
        let id = known.job.id;
        assert_eq!(known.request.submission.narrative.as_str(), narrative);
        assert!(!ids.contains(&id), "{ids:?}");
        assert_eq!(submit().await.unwrap().job.id, id, "a repeat");
        let other = site.submit_as("mallory", Some("k"), song(narrative)).await;
        assert_eq!(other.unwrap_err().code(), "idempotency_key_reused");
        site.cancel(id).await;
        site.delete(id).await;
        assert!(site.found(id).await.is_none());
        ids.push(id);
    }
    for id in ids {
        assert_eq!(site.objects(&format!("jobs/{id}")), [""; 0]);
    }
    assert_eq!(site.objects("open"), [""; 0]);
}

#[tokio::test]
async fn a_submission_that_broke_off_is_completed_under_its_id_by_its_repeat() {
    let site = Site::start().await;
    let (tenant, body) = (TenantId::new("alice"), song("rain"));
    let (name, id) = (ClaimName::first("k"), JobId::mint());
    let claim = Claim::Job {
        id,
        user: UserId::new("alice"),
        digest: sha256_hex(body.to_string().as_bytes()),
    };
    let store = &site.clients.store;
    let put = store.put_claim_if_absent(&tenant, &name, &claim).await;
    assert_eq!(put.unwrap(), Put::Stored);
    let known = site.submit_as("alice", Some("k"), body.clone()).await;
    assert_eq!(known.unwrap().job.id, id);
    // The same again between the envelope and Redis.
    empty_redis(&site).await;
    store.remove_open(first(id)).await.unwrap();
    let known = site.submit_as("alice", Some("k"), body).await.unwrap();
    assert_eq!((known.job.id, known.job.status), (id, JobStatus::Queued));
    assert_eq!(site.objects("open"), [first(id).to_string()]);
}

/// Hedged requests of a tenant at its limits: what is answered with 202 is there, what is refused is
/// nowhere, and the limit holds.
#[tokio::test]
async fn of_hedged_requests_at_the_limit_no_accepted_job_is_lost_and_none_is_too_many() {
    let site = Site::with(&[("SUBMIT_RATE", "8"), ("MAX_QUEUED", "5")]).await;
    let mut accepted = std::collections::BTreeSet::new();
    for round in 0..12 {
        let key = format!("k{round}");
        let twins = (0..4).map(|_| site.submit_as("alice", Some(&key), song("rain")));
        let answers = join_all(twins).await;
        let mut ids: Vec<_> = answers.iter().flatten().map(|known| known.job.id).collect();
        ids.dedup();
        assert!(ids.len() <= 1, "one key names one job: {ids:?}");
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let code = refused.code();
            assert!(["line_full", "rate_limited"].contains(&code), "{code}");
        }
        accepted.extend(ids);
    }
    assert_eq!(accepted.len(), 5, "as many as may wait");
    let markers: Vec<_> = accepted.iter().map(|id| first(*id).to_string()).collect();
    assert_eq!(site.objects("open"), markers);
    empty_redis(&site).await;
    for id in &accepted {
        let ensured = lookup::ensure(&site.clients, *id).await.unwrap();
        assert_eq!(ensured, Ensured::Live);
    }
}

#[tokio::test]
async fn a_repeat_that_is_refused_kills_no_job_that_was_accepted_before() {
    let site = Site::with(&[("MAX_QUEUED", "1")]).await;
    let submit = |key| site.submit_as("alice", Some(key), song("rain"));
    let id = submit("k").await.unwrap().job.id;
    empty_redis(&site).await;
    let other = submit("other").await.unwrap().job.id;
    // Young, unknown to Redis, and the line is full: for all that can be seen it was never accepted.
    assert_eq!(submit("k").await.unwrap_err().code(), "line_full");
    for id in [id, other] {
        let ensured = lookup::ensure(&site.clients, id).await.unwrap();
        assert_eq!(ensured, Ensured::Live);
        assert!(site.found(id).await.is_some());
    }
}

#[tokio::test]
async fn what_a_refused_request_left_is_not_brought_back_but_removed() {
    let site = Site::start().await;
    let known = site.submit_as("alice", None, song("rain")).await.unwrap();
    let id = known.job.id;
    // As if the process had died between the refusal and the removal.
    empty_redis(&site).await;
    site.clients.queue.refuse(id).await.unwrap();
    let ensured = lookup::ensure(&site.clients, id).await.unwrap();
    assert_eq!(ensured, Ensured::Gone);
    assert_eq!(site.objects(&format!("jobs/{id}")), [""; 0]);
    assert_eq!(site.objects("open"), [""; 0]);
}

#[tokio::test]
async fn a_delete_that_broke_off_behind_its_tombstone_lets_nothing_run_again() {
    let site = Site::start().await;
    let known = site
        .submit_as("alice", Some("k"), song("rain"))
        .await
        .unwrap();
    let id = known.job.id;
    site.cancel(id).await;
    let store = &site.clients.store;
    let stone = Tombstone::of(&known.request, None);
    store.put_tombstone(id, &stone).await.unwrap();
    empty_redis(&site).await;
    assert!(site.found(id).await.is_none());
    assert_eq!(site.clients.queue.read(id).await.unwrap(), None);
    // Half of the objects are gone, the manifest is the last.
    let manifest: Manifest = store.newest_manifest(id).await.unwrap().unwrap();
    store.remove_job(id).await.unwrap();
    let late = store.put_manifest_if_absent(id, 0, &manifest).await;
    assert!(matches!(late, Err(StoreError::Deleted { .. })), "{late:?}");
    assert!(site.found(id).await.is_none());
    let again = site.submit_as("alice", Some("k"), song("rain")).await;
    assert_ne!(again.unwrap().job.id, id);
}

#[tokio::test]
async fn a_retry_outlives_an_older_settling_and_the_loss_of_redis() {
    let site = Site::start().await;
    let known = site.submit_as("alice", None, song("rain")).await.unwrap();
    let id = known.job.id;
    site.cancel(id).await;
    let ended = site.found(id).await.unwrap();
    change::retry(&site.clients, &ended, "user").await.unwrap();
    // The slow end of an older settling: it removes the marker of its own generation alone.
    site.clients.store.remove_open(first(id)).await.unwrap();
    empty_redis(&site).await;
    let job = site.found(id).await.unwrap().job;
    assert_eq!((job.generation, job.status), (1, JobStatus::Queued));
    // Ended again, both ends are on record, and a marker that comes late is cleared away.
    site.cancel(id).await;
    let names = site.objects(&format!("jobs/{id}"));
    assert_eq!(
        names,
        ["manifest-0.json", "manifest-1.json", "request.json"]
    );
    let late = Open { id, generation: 1 };
    let marker = OpenMarker::starting(1, chrono::Utc::now(), &known.request);
    site.clients.store.put_open(late, &marker).await.unwrap();
    empty_redis(&site).await;
    let found = site.found(id).await.unwrap().job;
    assert_eq!((found.generation, found.status), (1, JobStatus::Cancelled));
    assert_eq!(site.objects("open"), [""; 0]);
}

#[tokio::test]
async fn a_retry_beyond_the_limits_is_refused_and_leaves_nothing() {
    let site = Site::with(&[("MAX_QUEUED", "1")]).await;
    let known = site.submit_as("alice", None, song("rain")).await.unwrap();
    let id = known.job.id;
    site.cancel(id).await;
    let ended = site.found(id).await.unwrap();
    let other = site.submit_as("alice", None, song("sun")).await.unwrap();
    let markers = [first(other.job.id).to_string()];
    for _ in 0..2 {
        let refused = change::retry(&site.clients, &ended, "user").await;
        assert_eq!(refused.unwrap_err().code(), "line_full");
        assert_eq!(site.objects("open"), markers);
        // The same for a job that only the store remembers.
        empty_redis(&site).await;
        let ensured = lookup::ensure(&site.clients, other.job.id).await;
        assert_eq!(ensured.unwrap(), Ensured::Live);
    }
    site.cancel(other.job.id).await;
    change::retry(&site.clients, &ended, "user").await.unwrap();
    let open = Open { id, generation: 1 };
    assert_eq!(site.objects("open"), [open.to_string()]);
}

#[tokio::test]
async fn of_a_delete_and_a_retry_at_the_same_time_one_happens() {
    let site = Site::start().await;
    for _ in 0..20 {
        let known = site.submit_as("alice", None, song("rain")).await.unwrap();
        let id = known.job.id;
        site.cancel(id).await;
        let ended = site.found(id).await.unwrap();
        let (deleted, retried) = tokio::join!(
            change::delete(&site.clients, &ended),
            change::retry(&site.clients, &ended, "user")
        );
        empty_redis(&site).await;
        let status = site.found(id).await.map(|known| known.job.status);
        match deleted {
            Ok(_) => assert_eq!(status, None, "{retried:?}"),
            Err(_) => {
                retried.unwrap();
                assert_eq!(status, Some(JobStatus::Queued));
            }
        }
    }
}

#[tokio::test]
async fn a_freed_key_that_is_used_again_keeps_its_new_claim() {
    let site = Site::start().await;
    let submit = || site.submit_as("alice", Some("k"), song("rain"));
    let id = submit().await.unwrap().job.id;
    site.cancel(id).await;
    site.delete(id).await;
    let bury = async |at| burial::go_on(&site.clients, id, at).await.unwrap();
    let begun = Utc::now();
    assert_eq!(bury(begun).await, Burial::GoesOn);
    let next = submit().await.unwrap().job.id;
    assert_ne!(next, id);
    for minutes in [1, 59, 61] {
        bury(begun + TimeDelta::minutes(minutes)).await;
        assert_eq!(submit().await.unwrap().job.id, next, "a repeat");
    }
    assert_eq!(site.objects("deleted"), [""; 0]);
    assert_eq!(site.objects("keys/alice").len(), 1, "no seal is left");
}

#[tokio::test]
async fn a_seal_that_a_broken_off_round_left_counts_from_the_removal_of_the_claim() {
    let site = Site::start().await;
    let submit = || site.submit_as("alice", Some("k"), song("rain"));
    let id = submit().await.unwrap().job.id;
    site.cancel(id).await;
    site.delete(id).await;
    let (store, tenant, begun) = (&site.clients.store, TenantId::new("alice"), Utc::now());
    let (name, at) = (ClaimName::first("k"), begun - TimeDelta::hours(2));
    let (next, seal) = (name.following(id), Claim::Sealed { at });
    store
        .put_claim_if_absent(&tenant, &next, &seal)
        .await
        .unwrap();
    let bury = async |minutes| {
        let at = begun + TimeDelta::minutes(minutes);
        burial::go_on(&site.clients, id, at).await.unwrap()
    };
    for minutes in [0, 59] {
        assert_eq!(bury(minutes).await, Burial::GoesOn);
        let kept = Claim::Sealed { at: begun };
        assert_eq!(store.claim(&tenant, &next).await.unwrap(), Some(kept));
        assert_eq!(store.claim(&tenant, &name).await.unwrap(), None);
    }
    assert_eq!(bury(61).await, Burial::Over);
    assert_eq!(site.objects("keys/alice"), [""; 0]);
    assert_eq!(site.objects("deleted"), [""; 0]);
}

#[tokio::test]
async fn a_marker_stays_if_redis_was_emptied_before_the_end_was_on_record() {
    let site = Site::start().await;
    let known = site.submit_as("alice", None, song("rain")).await.unwrap();
    let id = known.job.id;
    // The sweep found the job ended, and then Redis was emptied.
    drop(site.clients.queue.cancel(id, "test").await.unwrap());
    let ended = site.clients.queue.glance(id).await.unwrap().unwrap();
    empty_redis(&site).await;
    lookup::align(&site.clients, first(id), ended)
        .await
        .unwrap();
    assert_eq!(site.objects("open"), [first(id).to_string()]);
}

#[tokio::test]
async fn a_marker_of_an_older_generation_goes_though_redis_has_forgotten_the_job() {
    let site = Site::start().await;
    let known = site.submit_as("alice", None, song("rain")).await.unwrap();
    let id = known.job.id;
    site.cancel(id).await;
    let ended = site.found(id).await.unwrap();
    change::retry(&site.clients, &ended, "user").await.unwrap();
    site.cancel(id).await;
    // An older settling broke off, and Redis forgets the job before the sweep comes to the marker.
    let marker = OpenMarker::starting(0, Utc::now(), &known.request);
    let store = &site.clients.store;
    store.put_open(first(id), &marker).await.unwrap();
    empty_redis(&site).await;
    lookup::ensure_open(&site.clients, first(id)).await.unwrap();
    assert_eq!(site.objects("open"), [""; 0]);
}

#[tokio::test]
async fn of_two_deletes_at_the_same_time_one_changes_something() {
    let site = Site::start().await;
    let known = site.submit_as("alice", None, song("rain")).await.unwrap();
    site.cancel(known.job.id).await;
    let ended = site.found(known.job.id).await.unwrap();
    let delete = async || change::delete(&site.clients, &ended).await.unwrap();
    let (one, other) = tokio::join!(delete(), delete());
    let changed = [one, other].map(|effect| effect == Effect::Changed(()));
    assert!(changed[0] != changed[1], "{changed:?}");
}

/// Runs the next job to its end, with audio of these bytes.
async fn completed(site: &Site, id: JobId) {
    let (queue, store) = (&site.clients.queue, &site.clients.store);
    let loaded = Settings {
        loaded: true,
        ..Settings::default()
    };
    drop(queue.configure(&loaded).await.unwrap());
    let Acquired::Job(_, holder, _) = queue.acquire().await.unwrap().outcome else {
        panic!("no job")
    };
    assert_eq!(holder.id, id);
    let plan = shared::plan::Planned::parse("jen1", json!({"title": "Rain"})).unwrap();
    store.put_plan_if_absent(id, &plan).await.unwrap();
    let track = track();
    let audio = bytes::Bytes::from_static(b"RIFF");
    store
        .put_track(id, &track.object_name(), audio)
        .await
        .unwrap();
    drop(
        queue
            .advance(&holder, Stage::Finish, Spent::default())
            .await
            .unwrap(),
    );
    let request = site.found(id).await.unwrap().request;
    let digests = [request.submission.track_digest().unwrap()];
    let done = queue
        .complete(&holder, &track, Spent::default(), &digests)
        .await;
    settle::pay(&site.clients, done.unwrap().debt, None).await;
}

#[tokio::test]
async fn a_cached_track_is_referred_to_and_outlives_the_job_that_it_was_made_for() {
    let site = Site::start().await;
    let submit = || site.submit_as("alice", None, song("rain"));
    let home = submit().await.unwrap().job.id;
    completed(&site, home).await;
    let cached = submit().await.unwrap();
    let id = cached.job.id;
    assert!(cached.job.cached);
    let (name, store) = (track().object_name(), &site.clients.store);
    assert!(
        !site.objects(&format!("jobs/{id}")).contains(&name),
        "no copy"
    );
    site.delete(home).await;
    assert!(site.found(home).await.is_none());
    let found = site.found(id).await.unwrap().track.unwrap();
    assert_eq!(found.home(id), home);
    let audio = store.track(found.home(id), &name).await.unwrap();
    assert_eq!(audio.unwrap(), "RIFF");
    let third = submit().await.unwrap();
    assert!(!third.job.cached, "the file is on its way out");
    site.delete(id).await;
    assert_eq!(store.remove_job(home).await.unwrap(), Remains::Nothing);
    assert_eq!(site.objects(&format!("jobs/{home}")), [""; 0]);
}
