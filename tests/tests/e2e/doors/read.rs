//! Reading a job, waiting for it to move, its log, and how an address answers other methods.

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{held_by_the_model, quiet, refused, report, with_token};
use crate::app::{ALICE, App, PATIENCE, ten_seconds};

/// Long enough to see that an answer stays away.
const NOT_YET: Duration = Duration::from_millis(700);
/// An answer that waits for nothing.
const AT_ONCE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn reading_waits_for_a_change_and_for_nothing_else() {
    let mut options = quiet();
    options.env = vec![("WAITERS_MAX".to_owned(), "1".to_owned())];
    let app = App::with(options).await;
    let (held, token) = held_by_the_model(&app).await;
    a_long_poll_returns_at_the_change_and_not_before(&app, &held, &token).await;
    a_long_poll_of_which_nothing_comes_ends_with_its_time(&app, &held).await;
    one_waiter_too_many_is_answered_at_once(&app, &held, &token).await;
    an_unchanged_job_is_304_and_a_changed_one_is_not(&app, &held, &token).await;
    the_log_is_read_after_a_number_and_says_what_was_trimmed(&app, &held).await;

    let done = app.submit(ten_seconds()).await;
    app.until_completed(&done).await;
    an_ended_job_is_never_waited_for(&app, &done).await;
    a_link_to_the_track_does_not_change_the_etag(&app, &done).await;
    other_methods_and_addresses_are_refused_as_problems(&app, &done).await;
    a_request_id_is_kept_if_it_is_sane(&app).await;
    app.stop().await;
}

async fn body(answer: Response) -> Value {
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// Progress that is an event: the log takes it twice a second.
async fn tell_progress(app: &App, id: &str, token: &str, current: u32) {
    let progress = json!({"current": current, "total": 1000, "message": "playing"});
    let body = json!({"jobId": id, "type": "progress", "progress": progress});
    let before = app.job(id).await["seq"].clone();
    let logged = local::until(PATIENCE, async || {
        assert_eq!(report(app, token, body.clone()).await.status(), 200);
        (app.job(id).await["seq"] != before).then_some(())
    });
    logged.await.expect("progress becomes an event");
}

/// An event that no limit holds back: an operator moves the job to another level.
async fn tell_of_a_move(app: &App, id: &str, turn: u64) {
    let level = ["high", "normal"][usize::from(turn % 2 == 1)];
    let path = format!("/admin/jobs/{id}/priority");
    let token = app.stack.token("admin", "ops").unwrap();
    let request = with_token(app, Method::POST, &path, Some(&token));
    let moved = request.json(&json!({"priority": level})).send().await;
    assert_eq!(moved.unwrap().status(), 200);
}

/// A request under way, counted in as a waiter.
async fn waiting(app: &App, path: &str) -> tokio::task::JoinHandle<Response> {
    let request = app.request(Method::GET, path, ALICE).send();
    let request = tokio::spawn(async { request.await.unwrap() });
    local::until(PATIENCE, async || (waiters(app).await == 1).then_some(()))
        .await
        .expect("the request waits");
    request
}

async fn waiters(app: &App) -> u32 {
    app.redis(&["ZCARD", "{tutti}:waiters"]).await
}

async fn a_long_poll_returns_at_the_change_and_not_before(app: &App, id: &str, token: &str) {
    let seq = app.job(id).await["seq"].as_u64().unwrap();
    for (turn, path) in [
        format!("/jobs/{id}?wait=20&after={seq}"),
        format!("/jobs/{id}?wait=20"),
    ]
    .iter()
    .enumerate()
    {
        let seq = seq + turn as u64;
        let mut request = waiting(app, path).await;
        let early = tokio::time::timeout(NOT_YET, &mut request).await;
        assert!(early.is_err(), "nothing has changed: {early:?}");
        let from = Instant::now();
        tell_progress(app, id, token, 10 + turn as u32).await;
        let job = body(request.await.unwrap()).await;
        assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
        assert_eq!(job["seq"], seq + 1);
        assert_eq!(job["progress"]["current"], 10 + turn);
    }
    // A caller who is behind learns what it missed at once.
    let from = Instant::now();
    let job = body(
        app.get(&format!("/jobs/{id}?wait=20&after={seq}"), ALICE)
            .await,
    )
    .await;
    assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
    assert_eq!(job["seq"], seq + 2);
}

async fn a_long_poll_of_which_nothing_comes_ends_with_its_time(app: &App, id: &str) {
    let (job, from) = (app.job(id).await, Instant::now());
    let answer = app.get(&format!("/jobs/{id}?wait=1"), ALICE).await;
    assert!(
        (Duration::from_millis(950)..AT_ONCE).contains(&from.elapsed()),
        "{:?}",
        from.elapsed()
    );
    assert_eq!(answer.headers()["retry-after"], "2");
    assert_eq!(body(answer).await, job);
    assert_eq!(waiters(app).await, 0);
}

async fn one_waiter_too_many_is_answered_at_once(app: &App, id: &str, token: &str) {
    let seq = app.job(id).await["seq"].as_u64().unwrap();
    let path = format!("/jobs/{id}?wait=20&after={seq}");
    let first = waiting(app, &path).await;
    let from = Instant::now();
    let second = body(app.get(&path, ALICE).await).await;
    assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
    assert_eq!(second["seq"], seq);
    assert!(!first.is_finished());
    tell_progress(app, id, token, 20).await;
    assert_eq!(body(first.await.unwrap()).await["seq"], seq + 1);
    assert_eq!(waiters(app).await, 0, "who leaves is counted out");
}

async fn conditional(app: &App, id: &str, known: &str) -> Response {
    let request = app
        .request(Method::GET, &format!("/jobs/{id}"), ALICE)
        .header("if-none-match", known);
    request.send().await.unwrap()
}

async fn an_unchanged_job_is_304_and_a_changed_one_is_not(app: &App, id: &str, token: &str) {
    let answer = app.get(&format!("/jobs/{id}"), ALICE).await;
    assert_eq!(answer.headers()["cache-control"], "private, no-cache");
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let strong = etag.trim_start_matches("W/");
    for known in [&etag, strong, &format!("\"other\", {etag}"), "*"] {
        let same = conditional(app, id, known).await;
        assert_eq!(same.status(), 304, "{known}");
        assert_eq!(same.headers()["etag"], etag.as_str());
        assert_eq!(same.text().await.unwrap(), "");
    }
    assert_eq!(conditional(app, id, "\"other\"").await.status(), 200);
    tell_progress(app, id, token, 30).await;
    let changed = conditional(app, id, &etag).await;
    assert_ne!(changed.headers()["etag"], etag.as_str());
    assert_eq!(body(changed).await["progress"]["current"], 30);
}

async fn a_link_to_the_track_does_not_change_the_etag(app: &App, id: &str) {
    let read = async || {
        let answer = app.get(&format!("/jobs/{id}"), ALICE).await;
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        let job = body(answer).await;
        (job["track"]["url"].as_str().unwrap().to_owned(), etag)
    };
    let first = read().await;
    // Links are signed for a whole second.
    let second = local::until(PATIENCE, async || {
        Some(read().await).filter(|now| now.0 != first.0)
    });
    assert_eq!(second.await.expect("another link").1, first.1);
    assert_eq!(conditional(app, id, &first.1).await.status(), 304);
}

async fn events(app: &App, id: &str, after: u64) -> Value {
    body(
        app.get(&format!("/jobs/{id}/events?after={after}"), ALICE)
            .await,
    )
    .await
}

fn numbers(page: &Value) -> Vec<u64> {
    let events = page["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect()
}

async fn the_log_is_read_after_a_number_and_says_what_was_trimmed(app: &App, id: &str) {
    let seq = app.job(id).await["seq"].as_u64().unwrap();
    let all = events(app, id, 0).await;
    assert_eq!(numbers(&all), (1..=seq).collect::<Vec<_>>());
    assert_eq!((&all["gap"], &all["seq"]), (&json!(false), &json!(seq)));
    assert_eq!(all["events"][0]["reason"], "enqueued");
    let tail = events(app, id, seq - 2).await;
    assert_eq!(
        tail["events"].as_array().unwrap()[..],
        all["events"].as_array().unwrap()[seq as usize - 2..]
    );
    for after in [seq, seq + 1000] {
        assert_eq!(
            events(app, id, after).await,
            json!({"events": [], "gap": false, "seq": seq})
        );
    }
    let kept = shared::event::KEPT as u64;
    for turn in 0..kept {
        tell_of_a_move(app, id, turn).await;
    }
    let page = events(app, id, 0).await;
    assert_eq!(numbers(&page), (seq + 1..=seq + kept).collect::<Vec<_>>());
    assert_eq!(
        (&page["gap"], &page["seq"]),
        (&json!(true), &json!(seq + kept))
    );
    let page = events(app, id, seq).await;
    assert_eq!(
        (&page["gap"], numbers(&page).len() as u64),
        (&json!(false), kept)
    );
}

async fn an_ended_job_is_never_waited_for(app: &App, id: &str) {
    let from = Instant::now();
    let answer = app
        .get(&format!("/jobs/{id}?wait=20&after=100000"), ALICE)
        .await;
    assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
    assert!(!answer.headers().contains_key("retry-after"));
    assert_eq!(body(answer).await["status"], "completed");
}

async fn other_methods_and_addresses_are_refused_as_problems(app: &App, id: &str) {
    let send = async |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        app.request(method, path, ALICE).send().await.unwrap()
    };
    for (method, path, allowed) in [
        ("PATCH", "/jobs".to_owned(), &["GET", "POST"][..]),
        ("DELETE", "/jobs".to_owned(), &["GET", "POST"]),
        ("PUT", "/compose".to_owned(), &["GET", "POST"]),
        ("GET", "/jobs/report".to_owned(), &["POST"]),
        ("PUT", format!("/jobs/{id}"), &["GET", "DELETE"]),
        ("GET", format!("/jobs/{id}/cancel"), &["POST"]),
        ("POST", format!("/jobs/{id}/audio"), &["GET", "PUT"]),
        ("POST", "/health".to_owned(), &["GET"]),
        ("DELETE", "/metrics".to_owned(), &["GET"]),
    ] {
        let answer = send(method, &path).await;
        let allow = answer
            .headers()
            .get("allow")
            .map(|v| v.to_str().unwrap().to_owned());
        refused(answer, 405, "method_not_allowed").await;
        let allow = allow.unwrap_or_default();
        let named: Vec<_> = allow.split(',').map(str::trim).collect();
        assert!(
            allowed.iter().all(|method| named.contains(method)),
            "{method} {path}: {allow}"
        );
    }
    for path in [
        "/",
        "/nothing",
        "/jobs/",
        &format!("/jobs/{id}/nothing"),
        &format!("/jobs/{id}/audio/x"),
        "/auth/nothing",
    ] {
        refused(send("GET", path).await, 404, "not_found").await;
        refused(send("POST", path).await, 404, "not_found").await;
    }
    for path in ["/health", "/jobs", &format!("/jobs/{id}")] {
        let (head, get) = (send("HEAD", path).await, send("GET", path).await);
        assert_eq!(
            (head.status(), get.status()),
            (get.status(), 200.try_into().unwrap()),
            "{path}"
        );
        assert_eq!(head.headers().get("etag"), get.headers().get("etag"));
        assert_eq!(head.bytes().await.unwrap().len(), 0);
    }
    let options = send("OPTIONS", "/jobs").await;
    assert!(options.headers().contains_key("allow"), "{options:?}");
}

async fn a_request_id_is_kept_if_it_is_sane(app: &App) {
    for (sent, kept) in [
        ("r-17:a.b_c", true),
        ("a b", false),
        ("<x>", false),
        (&*"x".repeat(65), false),
    ] {
        let request = app
            .request(Method::GET, "/nothing", ALICE)
            .header("x-request-id", sent);
        let problem = refused(request.send().await.unwrap(), 404, "not_found").await;
        assert_eq!(problem["requestId"] == sent, kept, "{sent}");
    }
}
