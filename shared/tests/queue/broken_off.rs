//! What a submission or a delete leaves in the store when the store goes away in the middle of it.

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
