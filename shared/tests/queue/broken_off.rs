//! What a submission or a delete leaves when the store, or what Redis knows, goes away in the middle of it.

use shared::change;
use shared::envelope::Tombstone;

use crate::names::{empty_redis, first, song};
use crate::site::Site;

#[tokio::test]
async fn a_delete_that_is_sent_again_ends_the_one_that_broke_off() {
    let site = Site::start().await;
    let known = site.submit_as("alice", None, song("rain")).await.unwrap();
    let id = known.job.id;
    site.cancel(id).await;
    let folder = format!("jobs/{id}");
    change::end_delete(&site.clients, id).await.unwrap();
    assert_ne!(site.objects(&folder), Vec::<String>::new(), "not dead");
    let stone = Tombstone::of(&known.request, None);
    let store = &site.clients.store;
    store.put_tombstone(id, &stone).await.unwrap();
    change::end_delete(&site.clients, id).await.unwrap();
    assert_eq!(site.objects(&folder), Vec::<String>::new());
}

#[tokio::test]
async fn a_request_whose_submission_broke_off_before_its_marker_is_no_job() {
    let site = Site::start().await;
    let id = site.submit_as("alice", None, song("rain")).await.unwrap();
    let id = id.job.id;
    site.clients.store.remove_open(first(id)).await.unwrap();
    empty_redis(&site).await;
    assert!(site.found(id).await.is_none());
    assert_eq!(site.clients.queue.read(id).await.unwrap(), None);
}

#[tokio::test]
async fn a_repeat_that_comes_behind_an_emptied_redis_gives_no_number_again() {
    let site = Site::start().await;
    let submit = async || site.submit_as("alice", Some("k"), song("rain")).await;
    let first = submit().await.unwrap().job;
    site.begin_audio(first.id).await;
    let seen = site.found(first.id).await.unwrap().job.seq;
    empty_redis(&site).await;
    let again = submit().await.unwrap().job;
    assert_eq!(again.id, first.id);
    assert!(again.seq > seen, "{} after {seen}", again.seq);
    let page = site.clients.queue.events(first.id, seen).await.unwrap();
    let events = page.unwrap().events;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].seq, again.seq);
}
