//! Notes of owed messages that stay behind, and are cleared by what Redis knows.

use chrono::{TimeDelta, Utc};
use shared::delivery;
use shared::envelope::{Due, DueName};
use shared::job::JobId;
use shared::queue::DeliveryState;

use crate::delivery::{JOB, due, outcome};
use crate::site::Site;

/// What the sweep does for one page of jobs.
async fn clear(site: &Site) {
    let clients = &site.clients;
    let page = clients.store.due_page(None, 10).await.unwrap().entries;
    let ids: Vec<JobId> = page.keys().copied().collect();
    let known = clients.queue.noted(&ids).await.unwrap();
    for ((id, notes), known) in page.into_iter().zip(known) {
        delivery::clear(clients, id, notes, known).await.unwrap();
    }
}

async fn owe(site: &Site, id: JobId, due: &Due, name: &DueName) {
    site.clients.store.put_due(id, name, due).await.unwrap();
    site.clients.queue.owe(id, due, name).await.unwrap();
}

/// Takes the message that is due and notes what became of it, as a sender who cannot reach the store.
async fn come_to(site: &Site, state: DeliveryState) {
    let queue = &site.clients.queue;
    let turn = queue.dispatch(1).await.unwrap();
    queue
        .delivered(&turn.messages[0], &outcome(state))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_note_that_the_store_kept_is_cleared_and_its_message_sent_once() {
    let site = Site::start().await;
    let id = site.ended(site.own()).await;
    site.hide("due");
    assert_eq!(site.deliver().await, 1);
    site.show("due");
    assert!(site.is_due(id).await);
    site.let_notes_age(id);
    clear(&site).await;
    assert!(!site.is_due(id).await);
    site.raw(&redis::cmd("FLUSHALL")).await;
    delivery::restore(&site.clients, id).await.unwrap();
    assert_eq!((site.deliver().await, site.heard().len()), (0, 1));
}

#[tokio::test]
async fn a_note_stays_while_its_message_is_pending_or_on_its_way() {
    let (site, id) = (Site::start().await, JobId::mint());
    owe(&site, id, &due(0, &[JOB]), &DueName::of_end(0)).await;
    site.let_notes_age(id);
    clear(&site).await;
    assert!(site.is_due(id).await, "pending");
    site.clients.queue.dispatch(1).await.unwrap();
    clear(&site).await;
    assert!(site.is_due(id).await, "on its way");
}

#[tokio::test]
async fn the_note_of_a_message_that_was_given_up_is_cleared() {
    let (site, id) = (Site::start().await, JobId::mint());
    owe(&site, id, &due(0, &[JOB]), &DueName::of_end(0)).await;
    come_to(&site, DeliveryState::GivenUp).await;
    site.let_notes_age(id);
    clear(&site).await;
    assert!(!site.is_due(id).await);
}

#[tokio::test]
async fn a_young_note_stays_because_redis_may_not_have_heard_of_it() {
    let (site, id) = (Site::start().await, JobId::mint());
    let (end, again) = (due(0, &[JOB]), DueName::again(0));
    owe(&site, id, &end, &DueName::of_end(0)).await;
    come_to(&site, DeliveryState::Delivered).await;
    let store = &site.clients.store;
    store.remove_due(id, &DueName::of_end(0)).await.unwrap();
    // A redelivery is noted first.
    store.put_due(id, &again, &end).await.unwrap();
    clear(&site).await;
    assert!(site.is_due(id).await, "on its way into Redis");
    let redelivered = site.clients.queue.redeliver(id, &end, &again);
    redelivered.await.unwrap();
    site.let_notes_age(id);
    clear(&site).await;
    assert!(site.is_due(id).await, "owed");
    come_to(&site, DeliveryState::Delivered).await;
    clear(&site).await;
    assert!(!site.is_due(id).await);
}

#[tokio::test]
async fn a_note_that_redis_has_forgotten_stays_until_its_time_is_over() {
    let (site, id) = (Site::start().await, JobId::mint());
    let mut end = due(0, &[JOB]);
    let name = DueName::of_end(0);
    for (until, stays) in [(1, true), (-1, false)] {
        end.targets[0].until = Utc::now() + TimeDelta::seconds(60 * until);
        site.clients.store.put_due(id, &name, &end).await.unwrap();
        site.let_notes_age(id);
        clear(&site).await;
        assert_eq!(site.is_due(id).await, stays, "{until}");
    }
}

#[tokio::test]
async fn the_note_of_an_earlier_end_is_cleared_and_that_of_a_later_one_stays() {
    let (site, id) = (Site::start().await, JobId::mint());
    let ends = [0, 1, 2].map(DueName::of_end);
    owe(&site, id, &due(0, &[JOB]), &ends[0]).await;
    owe(&site, id, &due(1, &[JOB]), &ends[1]).await;
    let store = &site.clients.store;
    store.put_due(id, &ends[2], &due(2, &[JOB])).await.unwrap();
    site.let_notes_age(id);
    clear(&site).await;
    let [_, told, untold] = ends;
    assert_eq!(store.due_names(id).await.unwrap(), [told, untold]);
}
