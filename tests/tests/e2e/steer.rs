//! An operator at the wheel: what is set takes effect on the next job that is given out, survives a loss of Redis, and is on record.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, PATIENCE, at, ten_seconds};

/// An admin's request: status and JSON of the answer.
async fn ask(app: &App, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let token = app.stack.token("admin", "ops").unwrap();
    let url = format!("{}{path}", app.stack.api());
    let mut request = app.http.request(method, url).bearer_auth(token);
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, value)
}

async fn done(app: &App, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = ask(app, method.clone(), path, body).await;
    assert!(status.is_success(), "{method} {path}: {status} {answer:#}");
    answer
}

async fn look(app: &App, path: &str) -> Value {
    done(app, Method::GET, path, Value::Null).await
}

async fn set(app: &App, path: &str, body: Value) -> Value {
    done(app, Method::PUT, path, body).await
}

async fn act(app: &App, path: &str, body: Value) -> Value {
    done(app, Method::POST, path, body).await
}

#[tokio::test]
async fn what_an_operator_sets_takes_effect_on_the_next_job_and_is_on_record() {
    let app = App::start().await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
    only_an_admin_may_look_and_steer(&app).await;
    a_paused_queue_starts_nothing_and_says_so(&app).await;
    a_job_of_high_priority_overtakes(&app).await;
    slots_bound_what_runs(&app).await;
    a_paused_tenant_waits_and_others_do_not(&app).await;
    the_dead_get_another_chance(&app).await;
    wrong_input_is_refused_and_changes_nothing(&app).await;
    what_was_set_survives_an_emptied_redis(&app).await;
    all_of_it_is_on_record(&app).await;
    what_an_admin_does_to_anothers_job_is_on_record_once(&app).await;
    app.stop().await;
}

async fn only_an_admin_may_look_and_steer(app: &App) {
    let id = app.submit(ten_seconds()).await;
    for (method, path) in [
        (Method::GET, "/admin/overview".to_owned()),
        (Method::GET, "/admin/jobs".to_owned()),
        (Method::GET, "/admin/audit".to_owned()),
        (Method::POST, "/admin/queue/pause".to_owned()),
        (Method::POST, format!("/admin/jobs/{id}/cancel")),
    ] {
        let answer = app.request(method, &path, ALICE).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        let nobody = app.http.get(format!("{}{path}", app.stack.api()));
        let status = nobody.send().await.unwrap().status();
        assert!(
            [StatusCode::UNAUTHORIZED, StatusCode::METHOD_NOT_ALLOWED].contains(&status),
            "{path}: {status}"
        );
    }
    app.until_completed(&id).await;
    assert_eq!(look(app, "/admin/audit").await["items"], json!([]));
}

async fn a_paused_queue_starts_nothing_and_says_so(app: &App) {
    let paused = act(app, "/admin/queue/pause", Value::Null).await;
    assert_eq!(paused, json!({"paused": true, "slots": 4}));
    act(app, "/admin/queue/pause", Value::Null).await;
    let id = app.submit(ten_seconds()).await;
    let job = app.job(&id).await;
    assert_eq!(job["waiting"]["code"], "queue_paused", "{job:#}");
    assert_eq!(job["position"], 1);
    assert!(job.get("eta").is_none(), "nobody knows: {job:#}");
    app.stack.sweep().await.unwrap();
    assert_eq!(app.job(&id).await["status"], "queued");
    let seen = look(app, "/admin/overview").await;
    assert_eq!(
        (&seen["paused"], &seen["queued"]["normal"]["jobs"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(seen["oldest"]["jobId"], id);
    assert_eq!(seen["tenants"]["longest"][0]["tenant"], ALICE);
    act(app, "/admin/queue/resume", Value::Null).await;
    app.until_completed(&id).await;
}

async fn a_job_of_high_priority_overtakes(app: &App) {
    let body = json!({"narrative": "x", "priority": "high"});
    let refused = app.post("/jobs", ALICE, &body);
    assert_eq!(refused.await.status(), StatusCode::FORBIDDEN);
    act(app, "/admin/queue/pause", Value::Null).await;
    set(app, "/admin/queue/slots", json!({"slots": 1.0})).await;
    let first = app.submit(ten_seconds()).await;
    let low = app
        .submit(json!({"narrative": "later", "duration": 10, "priority": "low"}))
        .await;
    let last = app.submit(ten_seconds()).await;
    let places = async || {
        let mut places = Vec::new();
        for id in [&first, &last, &low] {
            places.push(app.job(id).await["position"].as_u64().unwrap());
        }
        places
    };
    assert_eq!(places().await, [1, 2, 3]);
    for _ in 0..2 {
        let path = format!("/admin/jobs/{low}/priority");
        let job = act(app, &path, json!({"priority": "high"})).await;
        assert_eq!(job["priority"], "high");
    }
    assert_eq!(places().await, [2, 3, 1]);
    act(app, "/admin/queue/resume", Value::Null).await;
    let mut started = Vec::new();
    for id in [&first, &last, &low] {
        let job = app.until_completed(id).await;
        started.push(job["startedAt"].as_str().unwrap().parse().unwrap());
    }
    let started: Vec<chrono::DateTime<chrono::Utc>> = started;
    assert!(
        started[2] < started[0] && started[0] < started[1],
        "{started:?}"
    );
    let path = format!("/admin/jobs/{low}/priority");
    let (status, problem) = ask(app, Method::POST, &path, json!({"priority": "low"})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("already_ended"))
    );
}

async fn slots_bound_what_runs(app: &App) {
    app.faults(Model::Muscgen, json!({"renderSeconds": 3}))
        .await;
    let first = app.submit(ten_seconds()).await;
    app.until(&first, PATIENCE, at("processing", "audio")).await;
    let second = app.submit(ten_seconds()).await;
    assert_eq!(app.job(&second).await["waiting"]["code"], "slots");
    let now = set(app, "/admin/queue/slots", json!({"slots": null})).await;
    assert_eq!(now["slots"], 4);
    app.until(&second, PATIENCE, at("processing", "audio"))
        .await;
    let running = look(app, "/admin/overview").await["runningJobs"].clone();
    let holders: Vec<_> = running
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["holder"])
        .collect();
    assert_eq!(holders.len(), 2, "{running:#}");
    for id in [first, second] {
        let path = format!("/admin/jobs/{id}/cancel");
        for _ in 0..2 {
            assert_eq!(act(app, &path, Value::Null).await["status"], "cancelled");
        }
    }
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
}

async fn a_paused_tenant_waits_and_others_do_not(app: &App) {
    let path = format!("/admin/tenants/{ALICE}");
    let now = set(app, &path, json!({"paused": true, "weight": 3})).await;
    assert_eq!(
        (&now["paused"], &now["weight"], &now["cap"]),
        (&json!(true), &json!(3), &json!(4))
    );
    let id = app.submit(ten_seconds()).await;
    assert_eq!(app.job(&id).await["waiting"]["code"], "tenant_paused");
    let other = app.post("/compose", "bob", &ten_seconds()).await;
    assert_eq!(other.status(), StatusCode::OK);
    assert_eq!(app.job(&id).await["status"], "queued");
    let now = set(app, &path, json!({"paused": false})).await;
    assert_eq!(now["weight"], 3, "what is left out stays");
    app.until_completed(&id).await;
    let tenants = look(app, "/admin/tenants").await;
    assert_eq!(tenants["configured"], json!([ALICE]));
}

async fn the_dead_get_another_chance(app: &App) {
    app.faults(Model::Jen1, json!({"failTimes": 3, "failStatus": 500}))
        .await;
    let id = app
        .submit(json!({"narrative": "a failing job", "duration": 10}))
        .await;
    assert_eq!(app.until_ended(&id).await["status"], "failed");
    let dead = look(app, "/admin/dead").await;
    assert_eq!(
        (&dead["total"], &dead["items"][0]["jobId"]),
        (&json!(1), &json!(id))
    );
    assert_eq!(dead["nextCursor"], Value::Null);
    assert_eq!(dead["items"][0].get("plan"), None, "in short");
    let unknown = "01a20428-f7d9-735f-b27d-e74c71c63de9";
    let asked = json!({"jobIds": [id, unknown]});
    let answer = act(app, "/admin/dead/redrive", asked.clone()).await;
    assert_eq!(answer["redriven"], json!([id]));
    assert_eq!(
        answer["refused"],
        json!([{"jobId": unknown, "code": "unknown_job"}])
    );
    app.until_completed(&id).await;
    let again = act(app, "/admin/dead/redrive", asked).await;
    assert_eq!(again["refused"][0]["code"], "already_completed");
    let empty = act(app, "/admin/dead/redrive", json!({"limit": 5})).await;
    assert_eq!(empty, json!({"redriven": [], "refused": []}));
}

async fn wrong_input_is_refused_and_changes_nothing(app: &App) {
    let before = look(app, "/admin/audit").await;
    for (method, path, body) in [
        (Method::PUT, "/admin/queue/slots", json!({"slots": 0})),
        (Method::PUT, "/admin/queue/slots", json!({"slots": 20_001})),
        (Method::PUT, "/admin/queue/slots", json!({"slots": "many"})),
        (Method::PUT, "/admin/queue/slots", json!({"slot": 3})),
        (Method::PUT, "/admin/tenants/x", json!([2, null])),
        (Method::PUT, "/admin/tenants/x", json!({"weight": 1001})),
        (Method::PUT, "/admin/tenants/x", json!({"cap": -1})),
        (Method::PUT, "/admin/tenants/x", json!({"cap": 20_001})),
        (Method::POST, "/admin/dead/redrive", json!({})),
        (Method::POST, "/admin/dead/redrive", json!({"limit": 101})),
        (Method::POST, "/admin/dead/redrive", json!({"jobIds": []})),
    ] {
        let (status, problem) = ask(app, method, path, body.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}");
        assert!(problem["errors"][0]["pointer"].is_string(), "{problem:#}");
    }
    for query in ["limit=0", "cursor=../../x", "page=2"] {
        let path = format!("/admin/audit?{query}");
        let (status, _) = ask(app, Method::GET, &path, Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
    assert_eq!(look(app, "/admin/audit").await, before);
}

async fn what_was_set_survives_an_emptied_redis(app: &App) {
    act(app, "/admin/queue/pause", Value::Null).await;
    set(app, "/admin/queue/slots", json!({"slots": 2})).await;
    let () = app.redis(&["FLUSHALL"]).await;
    // A bell rings before the sweep comes: the worker loads what was set and starts nothing.
    let id = app.submit(ten_seconds()).await;
    let loaded = local::until(PATIENCE, async || {
        let seen = look(app, "/admin/overview").await;
        (seen["paused"] == true && seen["slots"] == 2).then_some(())
    });
    loaded.await.expect("it is in force again");
    assert_eq!(app.job(&id).await["waiting"]["code"], "queue_paused");
    assert_eq!(
        look(app, &format!("/admin/tenants/{ALICE}")).await["weight"],
        3
    );
    act(app, "/admin/queue/resume", Value::Null).await;
    app.until_completed(&id).await;
}

async fn all_of_it_is_on_record(app: &App) {
    let entries = look(app, "/admin/audit?limit=100").await["items"].clone();
    let entries = entries.as_array().unwrap();
    let done: Vec<_> = entries
        .iter()
        .rev()
        .map(|e| e["action"].as_str().unwrap())
        .filter(|action| *action != "job.list")
        .collect();
    let expected = [
        "queue.pause",
        "queue.resume",
        "queue.pause",
        "queue.slots",
        "job.priority",
        "queue.resume",
        "queue.slots",
        "job.cancel",
        "job.cancel",
        "tenant.change",
        "tenant.change",
        "job.retry",
        "queue.pause",
        "queue.slots",
        "queue.resume",
    ];
    assert_eq!(done, expected, "each once, however often it was asked for");
    let tenant = entries
        .iter()
        .find(|e| e["action"] == "tenant.change")
        .unwrap();
    assert_eq!(
        (&tenant["who"], &tenant["target"]),
        (&json!("ops"), &json!(ALICE))
    );
    assert_eq!(tenant["before"], json!({"weight": 3, "paused": true}));
    assert_eq!(tenant["after"], json!({"weight": 3, "paused": false}));
    assert!(tenant["requestId"].is_string());
    let page = look(app, "/admin/audit?limit=2").await;
    let cursor = page["nextCursor"].as_str().unwrap();
    let next = look(app, &format!("/admin/audit?limit=2&cursor={cursor}")).await;
    assert_eq!(next["items"][0]["id"], entries[2]["id"]);
}

async fn what_an_admin_does_to_anothers_job_is_on_record_once(app: &App) {
    act(app, "/admin/queue/pause", Value::Null).await;
    let id = app.submit(ten_seconds()).await;
    let path = format!("/jobs/{id}");
    for _ in 0..2 {
        look(app, &path).await;
        look(app, &format!("{path}/events")).await;
        act(app, &format!("{path}/cancel"), Value::Null).await;
    }
    act(app, &format!("{path}/retry"), Value::Null).await;
    let again = ask(app, Method::POST, &format!("{path}/retry"), Value::Null).await;
    assert_eq!(again.0, StatusCode::CONFLICT);
    act(app, &format!("{path}/cancel"), Value::Null).await;
    done(app, Method::DELETE, &path, Value::Null).await;
    act(app, "/admin/queue/resume", Value::Null).await;
    let entries = look(app, "/admin/audit?limit=100").await["items"].clone();
    let of_job = entries.as_array().unwrap().iter();
    let of_job = of_job.filter(|entry| entry["target"] == json!(id));
    let mut done: Vec<_> = of_job
        .map(|entry| {
            assert_eq!(
                (&entry["who"], &entry["outcome"]),
                (&json!("ops"), &json!("done"))
            );
            entry["action"].as_str().unwrap()
        })
        .collect();
    done.sort_unstable();
    done.dedup_by(|a, b| a == b && *a == "job.read"); // An hour may have begun in between.
    let expected = [
        "job.cancel",
        "job.cancel",
        "job.delete",
        "job.read",
        "job.retry",
    ];
    assert_eq!(done, expected);
}
