//! Input that is wrong: refused with the name of what is wrong, and nothing is stored.

use reqwest::Method;
use serde_json::{Value, json};

use super::{fields, kept, quiet, refused, with_role};
use crate::app::{ALICE, App};

const NOBODYS: &str = "/jobs/0198c7a0-0000-7000-8000-000000000000";

#[tokio::test]
async fn wrong_input_is_refused_by_name_and_leaves_nothing_behind() {
    let app = App::with(quiet()).await;
    app.stack.sweep().await.unwrap();
    local::until(crate::app::PATIENCE, async || {
        let bells: u32 = app.redis(&["EXISTS", "{tutti}:bell"]).await;
        (bells == 1).then_some(())
    })
    .await
    .expect("the pump listens");
    let before = kept(&app).await;

    for path in ["/jobs", "/compose"] {
        a_body_that_is_no_json_is_refused_as_such(&app, path).await;
        a_field_that_is_wrong_is_named_by_its_pointer(&app, path).await;
        a_number_too_large_for_any_number_is_named_too(&app, path).await;
        all_wrong_fields_are_named_at_once(&app, path).await;
        a_feature_that_is_not_there_or_used_wrongly_is_refused_and_not_ignored(&app, path).await;
        a_body_or_options_over_the_limit_are_refused(&app, path).await;
    }
    a_malformed_id_is_refused_on_every_address_that_has_one(&app).await;
    a_query_that_is_wrong_is_named_by_its_parameter(&app).await;
    a_malformed_idempotency_key_is_refused(&app).await;
    a_report_that_makes_no_sense_is_refused_by_its_field(&app).await;

    assert_eq!(kept(&app).await, before);
    app.stop().await;
}

async fn send(app: &App, path: &str, text: String) -> reqwest::Response {
    app.request(Method::POST, path, ALICE)
        .header("content-type", "application/json")
        .body(text)
        .send()
        .await
        .unwrap()
}

async fn a_body_that_is_no_json_is_refused_as_such(app: &App, path: &str) {
    let deep = format!(r#"{{"narrative": "x", "options": {}}}"#, "[".repeat(500));
    for text in [
        "",
        "{",
        "narrative=rain",
        r#"{"narrative": "x", "duration": NaN}"#,
        r#"{"narrative": "x", "duration": Infinity}"#,
        r#"{"narrative": "x"} and more"#,
        &deep,
    ] {
        refused(
            send(app, path, text.to_owned()).await,
            400,
            "malformed_json",
        )
        .await;
    }
    let form = app
        .request(Method::POST, path, ALICE)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("narrative=rain");
    refused(form.send().await.unwrap(), 415, "unsupported_media_type").await;
}

async fn a_field_that_is_wrong_is_named_by_its_pointer(app: &App, path: &str) {
    let with = |name: &str, value: Value| {
        let mut body = json!({"narrative": "a calm piano evening"});
        body[name] = value;
        body
    };
    let too_many = vec!["t"; 11];
    let hook = |name: &str, value: Value| {
        let mut hook = json!({"url": "https://example.com/hook"});
        hook[name] = value;
        with("webhook", hook)
    };
    for (body, pointer, code) in [
        (json!([1, 2]), "", "wrong_type"),
        (json!("a calm piano evening"), "", "wrong_type"),
        (json!(null), "", "wrong_type"),
        (json!({}), "/narrative", "required"),
        (with("narrative", json!(null)), "/narrative", "required"),
        (with("narrative", json!("")), "/narrative", "too_short"),
        (with("narrative", json!(" \n\t")), "/narrative", "too_short"),
        (
            with("narrative", json!("é".repeat(4001))),
            "/narrative",
            "too_long",
        ),
        (with("narrative", json!(7)), "/narrative", "wrong_type"),
        (with("narrative", json!(["x"])), "/narrative", "wrong_type"),
        (with("duration", json!(0)), "/duration", "out_of_range"),
        (with("duration", json!(301)), "/duration", "out_of_range"),
        (with("duration", json!(-1)), "/duration", "out_of_range"),
        (with("duration", json!(1.5)), "/duration", "out_of_range"),
        (with("duration", json!(1e300)), "/duration", "out_of_range"),
        (with("duration", json!("ten")), "/duration", "wrong_type"),
        (with("duration", json!("10")), "/duration", "wrong_type"),
        (with("model", json!("suno")), "/model", "unknown_model"),
        (with("model", json!(1)), "/model", "wrong_type"),
        (with("options", json!("loud")), "/options", "wrong_type"),
        (with("options", json!([1])), "/options", "wrong_type"),
        (with("seed", json!(-1)), "/seed", "out_of_range"),
        (
            with("seed", json!(4_294_967_296_u64)),
            "/seed",
            "out_of_range",
        ),
        (with("seed", json!("7")), "/seed", "wrong_type"),
        (with("tags", json!("rain")), "/tags", "wrong_type"),
        (with("tags", json!(too_many)), "/tags", "too_many"),
        (with("tags", json!(["rain", "{x}"])), "/tags/1", "malformed"),
        (with("tags", json!([7])), "/tags/0", "malformed"),
        (hook("url", json!(null)), "/webhook/url", "required"),
        (hook("url", json!("ftp://x")), "/webhook/url", "malformed"),
        (
            hook("url", json!("https://a:b@example.com")),
            "/webhook/url",
            "malformed",
        ),
        (
            hook("events", json!(["job.done"])),
            "/webhook/events/0",
            "unknown_value",
        ),
        (
            hook("secret", json!("whsec_MfKQ9r8G")),
            "/webhook/secret",
            "wrong_length",
        ),
        // The tenant has none.
        (hook("secret", json!(null)), "/webhook/secret", "required"),
        (hook("to", json!(1)), "/webhook/to", "unknown_field"),
        (with("tempo", json!(120)), "/tempo", "unknown_field"),
        (with("a/b~c", json!(1)), "/a~1b~0c", "unknown_field"),
    ] {
        let problem = refused(
            send(app, path, body.to_string()).await,
            422,
            "validation_failed",
        );
        assert_eq!(fields(&problem.await), [(pointer, code)], "{body}");
    }
}

async fn a_number_too_large_for_any_number_is_named_too(app: &App, path: &str) {
    let text = r#"{"narrative": "x", "duration": 1e999}"#.to_owned();
    let problem = refused(send(app, path, text).await, 422, "validation_failed").await;
    assert_eq!(fields(&problem), [("/duration", "out_of_range")]);
}

async fn all_wrong_fields_are_named_at_once(app: &App, path: &str) {
    let body = json!({"narrative": "", "duration": "ten", "model": "suno", "options": 1, "seed": 1.5, "tags": [""], "x": 1});
    let problem = refused(
        send(app, path, body.to_string()).await,
        422,
        "validation_failed",
    )
    .await;
    let mut pointers: Vec<_> = fields(&problem)
        .into_iter()
        .map(|(pointer, _)| pointer)
        .collect();
    pointers.sort_unstable();
    let all = [
        "/duration",
        "/model",
        "/narrative",
        "/options",
        "/seed",
        "/tags/0",
        "/x",
    ];
    assert_eq!(pointers, all);
}

async fn a_feature_that_is_not_there_or_used_wrongly_is_refused_and_not_ignored(
    app: &App,
    path: &str,
) {
    for (name, value, code) in [
        ("priority", json!(5), "unknown_priority"),
        ("startBy", json!("2001-01-01T00:00:00Z"), "out_of_range"),
        ("finishBy", json!("tomorrow"), "malformed"),
        ("webhook", json!("https://example.com/hook"), "wrong_type"),
    ] {
        let mut body = json!({"narrative": "a calm piano evening"});
        body[name] = value;
        let problem = refused(
            send(app, path, body.to_string()).await,
            422,
            "validation_failed",
        )
        .await;
        let pointer = format!("/{name}");
        assert_eq!(fields(&problem), [(pointer.as_str(), code)]);
    }
}

async fn a_body_or_options_over_the_limit_are_refused(app: &App, path: &str) {
    let options = json!({"narrative": "x", "options": {"text": "y".repeat(16 * 1024)}});
    let problem = refused(
        send(app, path, options.to_string()).await,
        422,
        "validation_failed",
    );
    assert_eq!(fields(&problem.await), [("/options", "too_large")]);
    let long = json!({"narrative": "x".repeat(256 * 1024)});
    refused(
        send(app, path, long.to_string()).await,
        413,
        "body_too_large",
    )
    .await;
}

async fn a_malformed_id_is_refused_on_every_address_that_has_one(app: &App) {
    let upper = NOBODYS.trim_start_matches("/jobs/").to_uppercase();
    for id in ["17", "not-a-uuid", "..%2F..%2Fetc", &upper] {
        for (method, rest) in [
            (Method::GET, ""),
            (Method::DELETE, ""),
            (Method::GET, "/events"),
            (Method::GET, "/audio"),
            (Method::POST, "/cancel"),
            (Method::POST, "/retry"),
        ] {
            let request = app.request(method, &format!("/jobs/{id}{rest}"), ALICE);
            let problem = refused(request.send().await.unwrap(), 400, "malformed_id").await;
            assert_eq!(fields(&problem), [("/id", "malformed_id")]);
        }
        let upload = with_role(app, Method::PUT, &format!("/jobs/{id}/audio"), "worker");
        refused(
            upload.body("RIFF").send().await.unwrap(),
            400,
            "malformed_id",
        )
        .await;
    }
}

async fn a_query_that_is_wrong_is_named_by_its_parameter(app: &App) {
    let one = |query: &str| format!("{NOBODYS}{query}");
    for (path, pointer) in [
        ("/jobs?limit=0".to_owned(), "/limit"),
        ("/jobs?limit=101".to_owned(), "/limit"),
        ("/jobs?limit=-1".to_owned(), "/limit"),
        ("/jobs?limit=ten".to_owned(), "/limit"),
        ("/jobs?status=done".to_owned(), "/status"),
        ("/jobs?tag=a%20b".to_owned(), "/tag"),
        ("/jobs?tag=".to_owned(), "/tag"),
        ("/jobs?cursor=".to_owned(), "/cursor"),
        ("/jobs?cursor=abc".to_owned(), "/cursor"),
        (format!("/jobs?cursor={}", "A".repeat(3000)), "/cursor"),
        ("/jobs?page=2".to_owned(), "/page"),
        (one("?wait=soon"), "/wait"),
        (one("?wait=-1"), "/wait"),
        (one("?wait=1&after=x"), "/after"),
        (one("/events?after=-1"), "/after"),
        (one("/audio?exp=tomorrow&sig=x"), "/exp"),
    ] {
        let problem = refused(app.get(&path, ALICE).await, 400, "invalid_query").await;
        let named: Vec<_> = fields(&problem)
            .into_iter()
            .map(|(pointer, _)| pointer)
            .collect();
        assert_eq!(named, [pointer], "{path}");
    }
}

async fn a_malformed_idempotency_key_is_refused(app: &App) {
    for key in [&b""[..], &[b'k'; 256], b"a\tb", "schlüssel".as_bytes()] {
        for path in ["/jobs", "/compose"] {
            let request = app
                .request(Method::POST, path, ALICE)
                .header("idempotency-key", key)
                .json(&json!({"narrative": "a calm piano evening"}));
            let answer = request.send().await.unwrap();
            let problem = refused(answer, 400, "malformed_idempotency_key").await;
            assert_eq!(fields(&problem), [("/Idempotency-Key", "malformed")]);
        }
    }
}

async fn a_report_that_makes_no_sense_is_refused_by_its_field(app: &App) {
    let id = NOBODYS.trim_start_matches("/jobs/");
    for (body, pointer) in [
        (json!({"jobId": "17", "type": "status"}), "/jobId"),
        (json!({"jobId": id, "type": "finished"}), "/type"),
        (json!({"jobId": id, "type": 7}), "/type"),
        (json!({"jobId": id}), "/type"),
        (json!({"type": "status"}), "/jobId"),
        (json!({"jobId": id, "type": "progress"}), "/progress"),
        (json!({"jobId": id, "type": "completed"}), "/payload"),
        (
            json!({"jobId": id, "type": "completed", "payload": {}}),
            "/payload",
        ),
        (
            json!({"jobId": id, "type": "completed", "payload": {"plan": 7}}),
            "/payload/plan",
        ),
        (json!({"jobId": id, "type": "failed"}), "/payload"),
        (
            json!({"jobId": id, "type": "failed", "payload": "no"}),
            "/payload",
        ),
        (json!(7), ""),
    ] {
        let request = with_role(app, Method::POST, "/jobs/report", "worker").json(&body);
        let problem = refused(request.send().await.unwrap(), 422, "validation_failed").await;
        let named: Vec<_> = fields(&problem)
            .into_iter()
            .map(|(pointer, _)| pointer)
            .collect();
        assert_eq!(named, [pointer], "{body}");
    }
    let text = with_role(app, Method::POST, "/jobs/report", "worker")
        .header("content-type", "application/json")
        .body("{");
    refused(text.send().await.unwrap(), 400, "malformed_json").await;
}
