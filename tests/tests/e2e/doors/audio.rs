//! `GET /jobs/{id}/audio`: the whole, a part, by token or by signed link.

use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use super::{held_by_the_model, quiet, refused, with_token};
use crate::app::{ALICE, App, Model, ten_seconds};

#[tokio::test]
async fn audio_is_served_whole_in_part_and_by_link() {
    let app = App::with(quiet()).await;
    audio_is_there_when_the_job_is_completed_and_not_before(&app).await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
    let id = app.submit(ten_seconds()).await;
    app.until_completed(&id).await;
    let whole = the_whole_is_what_was_measured(&app, &id).await;
    a_range_is_a_part_and_one_beyond_the_end_is_416(&app, &id, &whole).await;
    a_known_tag_is_not_sent_again_and_guards_a_range(&app, &id, &whole).await;
    a_signed_link_opens_this_audio_without_a_token_and_nothing_else(&app, &id, &whole).await;
    app.stop().await;
}

async fn audio_is_there_when_the_job_is_completed_and_not_before(app: &App) {
    let (id, _) = held_by_the_model(app).await;
    let path = format!("/jobs/{id}/audio");
    let problem = refused(app.get(&path, ALICE).await, 409, "not_finished").await;
    assert_eq!(problem["retryable"], true);
    assert!(app.job(&id).await["track"].is_null());
    app.post(&format!("/jobs/{id}/cancel"), ALICE, &json!(null))
        .await;
    refused(app.get(&path, ALICE).await, 404, "no_track").await;
}

async fn the_whole_is_what_was_measured(app: &App, id: &str) -> Vec<u8> {
    let job = app.job(id).await;
    let path = format!("/jobs/{id}/audio");
    let answer = app.get(&path, ALICE).await;
    assert_eq!(answer.status(), StatusCode::OK);
    for (name, value) in [
        ("content-type", "audio/wav"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        (
            "etag",
            &format!("\"{}\"", job["track"]["sha256"].as_str().unwrap()),
        ),
        ("cache-control", "private, no-cache"),
        (
            "content-disposition",
            &format!("inline; filename=\"{id}.wav\""),
        ),
    ] {
        assert_eq!(answer.headers()[name], *value, "{name}");
    }
    let whole = answer.bytes().await.unwrap().to_vec();
    assert_eq!(job["track"]["bytes"], whole.len());
    assert_eq!(job["track"]["sha256"], shared::job::sha256_hex(&whole));
    assert_eq!(job["links"]["audio"], path);
    let head = app
        .request(Method::HEAD, &path, ALICE)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.status(), &head.headers()["content-type"]),
        (StatusCode::OK, &"audio/wav".parse().unwrap())
    );
    assert_eq!(head.bytes().await.unwrap().len(), 0);
    whole
}

async fn range(app: &App, id: &str, range: &str) -> Response {
    let request = app.request(Method::GET, &format!("/jobs/{id}/audio"), ALICE);
    request.header("range", range).send().await.unwrap()
}

async fn a_range_is_a_part_and_one_beyond_the_end_is_416(app: &App, id: &str, whole: &[u8]) {
    let length = whole.len();
    for (asked, first, last) in [
        ("bytes=0-3".to_owned(), 0, 3),
        ("bytes=100-199".to_owned(), 100, 199),
        (format!("bytes={}-", length - 10), length - 10, length - 1),
        ("bytes=-4".to_owned(), length - 4, length - 1),
        (format!("bytes=5-{}", 10 * length), 5, length - 1),
    ] {
        let answer = range(app, id, &asked).await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{asked}");
        assert_eq!(
            answer.headers()["content-range"],
            format!("bytes {first}-{last}/{length}").as_str()
        );
        assert_eq!(answer.headers()["content-type"], "audio/wav");
        assert_eq!(
            answer.bytes().await.unwrap(),
            whole[first..=last],
            "{asked}"
        );
    }
    for asked in [
        format!("bytes={length}-"),
        format!("bytes={}-{}", length + 5, length + 9),
        "bytes=-0".to_owned(),
    ] {
        let answer = range(app, id, &asked).await;
        assert_eq!(
            answer.headers()["content-range"],
            format!("bytes */{length}").as_str(),
            "{asked}"
        );
        refused(answer, 416, "range_not_satisfiable").await;
    }
    for asked in ["bytes=0-1,4-5", "seconds=0-1", "bytes=a-b", "bytes=9-3"] {
        let answer = range(app, id, asked).await;
        assert_eq!(answer.status(), StatusCode::OK, "{asked}");
        assert_eq!(answer.bytes().await.unwrap().len(), length, "{asked}");
    }
}

async fn a_known_tag_is_not_sent_again_and_guards_a_range(app: &App, id: &str, whole: &[u8]) {
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = app.request(Method::GET, &format!("/jobs/{id}/audio"), ALICE);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let tag = format!("\"{}\"", shared::job::sha256_hex(whole));
    let same = ask(&[("if-none-match", &tag)]).await;
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(same.headers()["etag"], tag.as_str());
    assert_eq!(
        ask(&[("if-none-match", "\"x\"")]).await.status(),
        StatusCode::OK
    );
    let part = ask(&[("range", "bytes=0-3"), ("if-range", &tag)]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    let other = ask(&[("range", "bytes=0-3"), ("if-range", "\"x\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
    assert_eq!(other.bytes().await.unwrap(), whole);
}

async fn a_signed_link_opens_this_audio_without_a_token_and_nothing_else(
    app: &App,
    id: &str,
    whole: &[u8],
) {
    let other = app.submit(ten_seconds()).await;
    app.until_completed(&other).await;
    let job = app.job(id).await;
    let link = job["track"]["url"].as_str().unwrap();
    let get = async |path: &str| {
        with_token(app, Method::GET, path, None)
            .send()
            .await
            .unwrap()
    };
    let answer = get(link).await;
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (StatusCode::OK, &"audio/wav".parse().unwrap())
    );
    assert_eq!(answer.bytes().await.unwrap(), whole);
    let part = with_token(app, Method::GET, link, None).header("range", "bytes=0-3");
    assert_eq!(
        part.send().await.unwrap().bytes().await.unwrap(),
        whole[..4]
    );
    let foreign = app.get(link, "bob").await;
    assert_eq!(foreign.status(), StatusCode::OK, "whoever holds the link");

    let (path, query) = link.split_once('?').unwrap();
    let (exp, sig) = query
        .strip_prefix("exp=")
        .unwrap()
        .split_once("&sig=")
        .unwrap();
    let turned: String = sig.chars().rev().collect();
    let later = exp.parse::<u64>().unwrap() + 1;
    for wrong in [
        link.replace(id, &other),
        format!("{path}?exp={exp}&sig={turned}"),
        format!("{path}?exp={exp}&sig={}", &sig[1..]),
        format!("{path}?exp={exp}&sig="),
        format!("{path}?exp={later}&sig={sig}"),
        format!("{path}?exp=0&sig={sig}"),
        format!("{path}?sig={sig}"),
        format!("{path}?exp={exp}"),
        format!("/jobs/{id}?exp={exp}&sig={sig}"),
        format!("/jobs/{id}/events?exp={exp}&sig={sig}"),
    ] {
        let answer = get(&wrong).await;
        assert!(
            [400, 401].contains(&answer.status().as_u16()),
            "{wrong}: {}",
            answer.status()
        );
    }
    let delete = with_token(app, Method::DELETE, &format!("/jobs/{id}?{query}"), None);
    assert_eq!(
        delete.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let upload = with_token(app, Method::PUT, link, None).body("RIFF");
    assert_eq!(
        upload.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
}
