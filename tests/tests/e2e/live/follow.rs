use super::*;
use crate::app::{ALICE, Model, ten_seconds};

#[tokio::test]
async fn a_socket_hears_the_whole_log_as_it_is_read_over_http() {
    let app = App::start().await;
    let id = app.submit(ten_seconds()).await;
    let mut listener = app.listen(ALICE).await;
    listener.subscribe(&id, 0).await;
    let heard = listener.until_ended(&id).await;
    assert_whole(&heard);
    assert_eq!(heard.last().unwrap()["event"], "job:completed");
    let mut log = app.events(&id).await;
    for event in &mut log {
        event["jobId"] = id.as_str().into();
    }
    assert_eq!(heard, log);
    listener.hears_nothing_more().await;

    // Who comes late hears it from where it stood.
    let after = heard.len() as u64 - 2;
    let mut late = app.listen(ALICE).await;
    assert_eq!(late.subscribe(&id, after).await["seq"], heard.len());
    let rest = late.until_ended(&id).await;
    assert_eq!(rest, heard[after as usize..]);
    late.hears_nothing_more().await;
    app.stop().await;
}

#[tokio::test]
async fn who_unsubscribes_hears_no_more() {
    let app = App::start().await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 3}))
        .await;
    let id = app.submit(ten_seconds()).await;
    let mut listener = app.listen(ALICE).await;
    listener.subscribe(&id, 0).await;
    assert_eq!(listener.next(SOON).await["jobId"], id);
    let message = json!({"action": "job:unsubscribe", "jobId": id});
    listener.say(&message).await;
    while listener.next(SOON).await["event"] != "unsubscribed" {}
    // Pushes that were on their way may still come, one after the answer.
    let mut late = 0;
    app.until_completed(&id).await;
    listener.say(&json!({"action": "ping"})).await;
    while listener.next(SOON).await["event"] != "pong" {
        late += 1;
    }
    assert!(late <= 1, "{late} events came after the answer");
    app.stop().await;
}

#[tokio::test]
async fn the_feed_of_a_user_has_every_job_of_theirs_and_no_other() {
    let app = App::start().await;
    let mut alice = app.listen(ALICE).await;
    let mut bob = app.listen("bob").await;
    for listener in [&mut alice, &mut bob] {
        listener
            .say(&json!({"action": "jobs:subscribe:user"}))
            .await;
        assert_eq!(
            listener.next(SOON).await,
            json!({"event": "subscribed:user"})
        );
    }
    for _ in 0..2 {
        let id = app.submit(ten_seconds()).await;
        assert_whole(&alice.until_ended(&id).await);
    }
    bob.hears_nothing_more().await;
    app.stop().await;
}

#[tokio::test]
async fn a_connection_that_redis_has_forgotten_is_closed_and_the_next_one_resumes() {
    let app = App::start().await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 4}))
        .await;
    let id = app.submit(ten_seconds()).await;
    let mut listener = app.listen(ALICE).await;
    listener.subscribe(&id, 0).await;
    let first = listener.next(SOON).await["seq"].as_u64().unwrap();
    let () = app.redis(&["FLUSHALL"]).await;
    listener.say(&json!({"action": "ping"})).await;
    loop {
        match listener.try_next(SOON).await {
            Ok(event) => assert_eq!(event["jobId"], id),
            Err(Some(Heard::Closed(1000))) => break,
            other => panic!("not closed but {other:?}"),
        }
    }
    let mut again = app.listen(ALICE).await;
    again.subscribe(&id, first).await;
    let rest = again.until_ended(&id).await;
    // After a loss of Redis numbers may jump and never fall.
    assert!(seqs(&rest).is_sorted_by(|one, next| one < next), "{rest:?}");
    assert!(seqs(&rest)[0] > first);
    assert_eq!(rest.last().unwrap()["event"], "job:completed");
    app.stop().await;
}
