//! Messages from the end of a job to a receiver, over a real Redis and a real store.

use redis::Cmd;
use serde_json::{Value, json};
use shared::endpoint::{Endings, EndpointUrl, Hook, Target};
use shared::envelope::DueName;
use shared::job::TenantId;
use shared::{change, delivery, lookup, settle, webhook};
use uuid::Uuid;

use crate::site::Site;

#[tokio::test]
async fn the_end_of_a_job_arrives_once_signed_and_with_its_names() {
    let site = Site::start().await;
    let id = site.submit(site.own()).await;
    assert_eq!(site.deliver().await, 0, "it has not ended");
    site.cancel(id).await;
    assert!(site.is_due(id).await);
    assert_eq!(site.deliver().await, 1);
    assert_eq!(site.deliver().await, 0);
    let [(headers, body)] = &site.heard()[..] else {
        panic!("{:?}", site.heard())
    };
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("webhook-id"), format!("msg_{id}_0_job"));
    assert!(header("webhook-signature").starts_with("v1,"));
    assert_eq!(header("x-request-id"), "rq-1");
    assert!(header("traceparent").starts_with("00-"));
    assert!(header("user-agent").starts_with("tutti/"));
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(body["type"], "job.cancelled");
    assert_eq!(
        (&body["data"]["jobId"], &body["data"]["status"]),
        (&json!(id), &json!("cancelled"))
    );
    assert_eq!(body["data"]["narrative"], Value::Null);
    assert!(!site.is_due(id).await);
    let page = json!(site.page(id).await);
    let item = &page["items"][0];
    assert_eq!(
        (&item["state"], &item["attempts"][0]["status"]),
        (&json!("delivered"), &json!(200))
    );
    assert!(!page.to_string().contains("hunter2"), "{page}");
}

#[tokio::test]
async fn what_redis_forgot_before_it_was_delivered_is_delivered_all_the_same() {
    let site = Site::start().await;
    let id = site.ended(site.own()).await;
    site.raw(&redis::cmd("FLUSHALL")).await;
    assert_eq!(site.deliver().await, 0);
    assert!(site.page(id).await.gap);
    delivery::restore(&site.clients, id).await.unwrap();
    assert_eq!(site.deliver().await, 1);
    assert!(!site.is_due(id).await);
    // Put back once more, as by a sweep that was slow: nothing is owed.
    delivery::restore(&site.clients, id).await.unwrap();
    assert_eq!((site.deliver().await, site.heard().len()), (0, 1));
}

#[tokio::test]
async fn an_end_that_was_recorded_and_not_settled_is_told_when_redis_is_emptied() {
    let site = Site::start().await;
    let id = site.ended(site.own()).await;
    // As if whoever settled had stopped after the manifest.
    let request = site.clients.store.request(id).await.unwrap().unwrap();
    let marker = shared::envelope::OpenMarker::starting(0, chrono::Utc::now(), &request);
    let open = shared::envelope::Open { id, generation: 0 };
    site.clients.store.put_open(open, &marker).await.unwrap();
    let noted = DueName::of_end(0);
    site.clients.store.remove_due(id, &noted).await.unwrap();
    site.raw(&redis::cmd("FLUSHALL")).await;
    lookup::ensure(&site.clients, id).await.unwrap();
    assert_eq!(site.deliver().await, 1);
}

#[tokio::test]
async fn an_endpoint_that_answers_410_is_told_of_nothing_more() {
    let site = Site::start().await;
    let endpoint = site.register().await;
    site.answer(410);
    site.ended(json!(null)).await;
    site.deliver().await;
    let disabled = site.hooks().await.find(endpoint).unwrap().disabled.clone();
    let disabled = disabled.unwrap();
    assert_eq!(disabled.reason, "it answered 410 Gone");
    // The other job ended before that, and its messages are on their way after it.
    site.change(|hooks| hooks.items[0].disabled = None).await;
    let other = site.ended(site.own()).await;
    site.change(|hooks| hooks.items[0].disabled = Some(disabled.clone()))
        .await;
    assert_eq!(site.deliver().await, 2);
    let page = json!(site.page(other).await);
    let states = ["disabled", "given_up"].map(|state| {
        let items = page["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["state"] == state).unwrap();
        item["attempts"][0]["reason"].clone()
    });
    assert_eq!(
        states,
        [json!("the endpoint is disabled"), json!("410 Gone")]
    );
    assert_eq!(site.heard().len(), 2);
    let third = site.ended(json!(null)).await;
    assert!(!site.is_due(third).await);
}

#[tokio::test]
async fn an_endpoint_that_failed_for_five_days_is_disabled_and_one_that_failed_for_four_is_not() {
    let site = Site::start().await;
    let endpoint = site.register().await;
    site.answer(500);
    let failing = site.clients.queue.keys().failing();
    for (days, disabled) in [(4, false), (5, true)] {
        let since = chrono::Utc::now() - chrono::TimeDelta::days(days);
        let name = webhook::failing_name(&TenantId::new("alice"), endpoint);
        site.raw(&Cmd::hset(&failing, name, since.timestamp_millis()))
            .await;
        site.ended(json!(null)).await;
        site.deliver().await;
        let found = site.hooks().await.find(endpoint).unwrap().disabled.clone();
        assert_eq!(found.is_some(), disabled, "{days} days");
    }
}

#[tokio::test]
async fn an_endpoint_that_was_moved_or_removed_is_called_where_it_is_now() {
    let site = Site::start().await;
    let endpoint = site.register().await;
    let id = site.ended(json!(null)).await;
    let moved = site.url.replace("/hook?", "/hook?moved=1&");
    let url = EndpointUrl::parse(&json!(moved), true).unwrap();
    site.answer(503);
    site.change(|hooks| hooks.items[0].url = url.clone()).await;
    site.deliver().await;
    let page = json!(site.page(id).await);
    assert_eq!(
        page["items"][0]["attempts"][0]["reason"],
        "503 Service Unavailable"
    );
    site.change(|hooks| hooks.items.clear()).await;
    site.make_due(id, Target::Webhook(Hook::Tenant(endpoint)))
        .await;
    site.deliver().await;
    let page = json!(site.page(id).await);
    assert_eq!(page["items"][0]["state"], "disabled");
    assert_eq!(
        page["items"][0]["attempts"][1]["reason"],
        "the endpoint was removed"
    );
    assert_eq!(site.heard().len(), 1);
}

#[tokio::test]
async fn a_job_that_was_started_again_has_a_message_of_its_own_when_it_ends_again() {
    let site = Site::start().await;
    let id = site.ended(site.own()).await;
    let known = lookup::find(&site.clients, id).await.unwrap().unwrap();
    change::retry(&site.clients, &known, "user").await.unwrap();
    site.answer(500);
    site.deliver().await;
    site.cancel(id).await;
    site.answer(200);
    assert_eq!(site.deliver().await, 1);
    let ids: Vec<_> = site
        .heard()
        .iter()
        .map(|(headers, _)| headers["webhook-id"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, [format!("msg_{id}_0_job"), format!("msg_{id}_1_job")]);
    assert!(!site.is_due(id).await);
}

#[tokio::test]
async fn a_message_that_nobody_can_send_any_more_is_given_up() {
    let site = Site::start().await;
    let id = site.ended(site.own()).await;
    site.clients.store.remove_job(id).await.unwrap();
    assert_eq!(site.deliver().await, 1);
    let page = json!(site.page(id).await);
    assert_eq!(page["items"][0]["state"], "given_up");
    assert_eq!(site.heard().len(), 0);
    // And the marker of one that is not even told of goes.
    let other = site.ended(site.own()).await;
    let (store, noted) = (&site.clients.store, DueName::of_end(0));
    let due = store.due(other, &noted).await.unwrap().unwrap();
    store.remove_job(other).await.unwrap();
    store.put_due(other, &noted, &due).await.unwrap();
    delivery::restore(&site.clients, other).await.unwrap();
    assert!(!site.is_due(other).await);
}

#[tokio::test]
async fn all_endpoints_of_a_tenant_and_the_jobs_own_are_told_and_no_filter_is_passed_over() {
    let site = Site::start().await;
    site.register().await;
    site.change(|hooks| {
        let only_failed = Endings::parse(&json!(["job.failed"])).unwrap();
        for n in 0..9 {
            let mut more = hooks.items[0].clone();
            more.id = Uuid::now_v7();
            if n == 0 {
                more.events = only_failed.clone();
            }
            hooks.items.push(more);
        }
    })
    .await;
    let id = site.ended(site.own()).await;
    assert_eq!(site.deliver().await, 10);
    assert_eq!(site.heard().len(), 10);
    assert!(!site.is_due(id).await);
}

#[tokio::test]
async fn a_message_is_sent_again_by_hand_under_its_own_id() {
    let site = Site::start().await;
    let id = site.ended(site.own()).await;
    site.deliver().await;
    let known = lookup::find(&site.clients, id).await.unwrap().unwrap();
    let message = format!("msg_{id}_0_job");
    let again = delivery::redeliver(&site.clients, &known, Some(&message)).await;
    again.unwrap();
    assert!(site.is_due(id).await);
    assert_eq!(site.deliver().await, 1);
    for wanted in [Some(message.as_str()), None] {
        let refused = delivery::redeliver(&site.clients, &known, wanted).await;
        assert_eq!(refused.unwrap_err().code(), "rate_limited");
    }
    assert!(!site.is_due(id).await, "a refusal stores nothing");
    assert_eq!(site.deliver().await, 0);
    let heard = site.heard();
    assert_eq!(heard.len(), 2);
    assert!(
        heard
            .iter()
            .all(|(headers, _)| headers["webhook-id"] == message)
    );
    let unknown = format!("msg_{id}_1_job");
    let refused = delivery::redeliver(&site.clients, &known, Some(&unknown)).await;
    assert_eq!(refused.unwrap_err().code(), "unknown_delivery");
    settle::settle(&site.clients, id).await.unwrap();
    assert!(
        !site.is_due(id).await,
        "settled once more, and all has arrived"
    );
}

#[tokio::test]
async fn no_object_but_those_apart_holds_a_secret() {
    let site = Site::start().await;
    site.register().await;
    let id = site.ended(site.own()).await;
    assert_eq!(site.deliver().await, 2);
    let holders = site.objects_with("whsec_");
    assert_eq!(holders.len(), 2, "{holders:?}");
    assert!(
        holders.iter().all(|path| path.starts_with("secrets/")),
        "{holders:?}"
    );
    site.clients.store.remove_job(id).await.unwrap();
    assert_eq!(site.objects_with("whsec_").len(), 1, "that of the tenant");
}

#[tokio::test]
async fn a_secret_that_was_replaced_at_once_is_gone_from_the_store() {
    let site = Site::start().await;
    site.register().await;
    let before = site.objects_with("whsec_");
    site.register().await;
    let after = site.objects_with("whsec_");
    assert!(after.len() == 1 && after != before, "{before:?} {after:?}");
}

#[tokio::test]
async fn an_outage_of_the_store_costs_a_message_no_try() {
    let site = Site::start().await;
    let id = site.ended(site.own()).await;
    let target = Target::Webhook(Hook::Job);
    site.hide("jobs");
    for _ in 0..9 {
        site.make_due(id, target).await;
        assert_eq!(site.deliver().await, 1);
    }
    assert!(site.page(id).await.items[0].attempts.is_empty());
    site.show("jobs");
    site.answer(500);
    site.make_due(id, target).await;
    site.deliver().await;
    let page = json!(site.page(id).await);
    let item = &page["items"][0];
    assert_eq!(
        (&item["state"], &item["attempts"][0]["status"]),
        (&json!("pending"), &json!(500))
    );
}

#[tokio::test]
async fn the_api_is_told_of_an_end_and_told_again_after_redis_was_emptied() {
    let site = Site::with_services(&["API_URL"]).await;
    site.answer(503);
    let id = site.ended(json!(null)).await;
    assert_eq!(site.deliver().await, 1);
    site.raw(&redis::cmd("FLUSHALL")).await;
    site.answer(200);
    delivery::restore(&site.clients, id).await.unwrap();
    assert_eq!(site.deliver().await, 1);
    let heard = site.heard();
    let told = json!({"jobId": id, "type": "failed", "payload": {"userId": "alice", "error": "cancelled"}});
    assert_eq!(
        heard.iter().map(|(_, body)| body).collect::<Vec<_>>(),
        [&told, &told]
    );
    assert!(
        heard[0].0["authorization"]
            .to_str()
            .unwrap()
            .starts_with("Bearer ")
    );
    assert!(!site.is_due(id).await);
    assert!(
        site.page(id).await.items.is_empty(),
        "the owner sees webhooks alone"
    );
}

#[tokio::test]
async fn a_cancel_calls_nobody_and_a_sender_tells_the_model() {
    let site = Site::with_services(&["API_URL", "MUSCGEN_URL"]).await;
    let id = site.submit(json!(null)).await;
    let render = site.begin_audio(id).await;
    site.cancel(id).await;
    assert!(site.heard().is_empty());
    assert_eq!(site.deliver().await, 2);
    let heard = site.heard();
    let cancel = json!(format!("/muscgen_url/generate/{render}"));
    assert!(heard.iter().any(|(_, body)| *body == cancel), "{heard:?}");
    assert!(!site.is_due(id).await);
}

#[tokio::test]
async fn a_cancel_that_the_model_did_not_hear_is_given_up_when_the_render_is_over() {
    let site = Site::with_services(&["MUSCGEN_URL"]).await;
    let id = site.submit(json!(null)).await;
    site.begin_audio(id).await;
    site.cancel(id).await;
    let due = site.clients.store.due(id, &DueName::of_end(0)).await;
    let due = due.unwrap().unwrap();
    let [cancel] = &due.targets[..] else {
        panic!("{due:?}")
    };
    let life = cancel.until - chrono::Utc::now();
    let most = chrono::TimeDelta::from_std(site.clients.config.render_deadline).unwrap();
    assert!(
        life <= most && life > most - chrono::TimeDelta::minutes(1),
        "{life}"
    );
}
