use std::sync::OnceLock;

use music::font;
use reqwest::{Client, Response};
use serde_json::Value;

use super::*;
use crate::stand_ins::calls::json_sha256;
use crate::stand_ins::testing::{Inbox, serve};

async fn service(gpus: usize, faults: Value) -> String {
    static FONT: OnceLock<Arc<SoundFont>> = OnceLock::new();
    let font = FONT.get_or_init(|| font::load(None).unwrap()).clone();
    let base = serve(|address| router(font, gpus, address).unwrap()).await;
    change(&base, json!({"renderSeconds": 0.1})).await;
    change(&base, faults).await;
    base
}

async fn change(base: &str, faults: Value) {
    let put = Client::new().put(format!("{base}/faults")).json(&faults);
    assert_eq!(put.send().await.unwrap().status(), 200);
}

async fn post(base: &str, key: &str, body: &Value) -> Response {
    let post = Client::new().post(format!("{base}/generate")).json(body);
    post.header("idempotency-key", key)
        .header("x-request-id", "req-1")
        .send()
        .await
        .unwrap()
}

async fn id_of(answer: Response) -> String {
    assert_eq!(answer.status(), 202);
    let body: Value = answer.json().await.unwrap();
    body["id"].as_str().unwrap().to_owned()
}

fn plain() -> Value {
    json!({"jobId": "j1", "prompt": "calm piano", "plan": {"genre": "ballad"}, "duration": 2, "seed": 3})
}

fn with_callback(inbox: &Inbox, job_id: &str) -> Value {
    let mut body = plain();
    body["jobId"] = job_id.into();
    body["callback"] = inbox.callback();
    body["upload"] = json!({"url": format!("{}/upload", inbox.url), "method": "PUT", "headers": {"x-extra": "yes"}});
    body
}

fn frames(wav: &[u8]) -> Vec<i16> {
    let reader = hound::WavReader::new(wav).unwrap();
    reader.into_samples().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn the_same_audio_comes_as_bytes_as_base64_and_as_a_file() {
    let base = service(4, json!({})).await;
    let answer = post(&base, "k", &plain()).await;
    assert_eq!(answer.headers()["content-type"], "audio/wav");
    let audio = answer.bytes().await.unwrap();
    assert_eq!(frames(&audio).len(), 2 * 88_200);

    change(&base, json!({"mode": "json"})).await;
    let answer: Value = post(&base, "k2", &plain()).await.json().await.unwrap();
    assert_eq!(
        (&answer["model"], &answer["seed"]),
        (&json!(NAME), &json!(3))
    );
    let decoded = BASE64_STANDARD
        .decode(answer["audioBase64"].as_str().unwrap())
        .unwrap();
    assert!(decoded == audio);

    change(&base, json!({"mode": "url"})).await;
    let answer: Value = post(&base, "k3", &plain()).await.json().await.unwrap();
    let url = answer["audioUrl"].as_str().unwrap();
    assert!(url.starts_with(&base), "{url}");
    assert!(reqwest::get(url).await.unwrap().bytes().await.unwrap() == audio);
}

#[tokio::test]
async fn a_callback_hears_progress_gets_the_upload_and_then_the_end() {
    let mut inbox = Inbox::open(0).await;
    let base = service(4, json!({})).await;
    id_of(post(&base, "k", &with_callback(&inbox, "j1")).await).await;
    let arrivals = inbox.until_the_end().await;
    let kinds: Vec<String> = arrivals.iter().map(|a| a.kind()).collect();
    assert_eq!(
        kinds,
        [
            "progress",
            "progress",
            "progress",
            "progress",
            "upload",
            "completed"
        ]
    );
    for report in arrivals.iter().filter(|a| a.path == "/report") {
        assert_eq!(report.header("authorization"), "Bearer secret");
        assert_eq!(report.header("x-request-id"), "req-1");
        assert_eq!(report.json()["jobId"], "j1");
    }
    let progress = &arrivals[1].json()["progress"];
    assert_eq!(
        (&progress["total"], &progress["percentage"]),
        (&json!(2), &json!(40))
    );
    assert_eq!(arrivals[4].header("x-extra"), "yes");
    assert_eq!(arrivals[4].header("content-type"), "");
    assert_eq!(frames(&arrivals[4].body).len(), 2 * 88_200);
    let payload = &arrivals[5].json()["payload"];
    assert_eq!(
        (&payload["uploaded"], &payload["seed"]),
        (&json!(true), &json!(3))
    );
}

#[tokio::test]
async fn a_repeat_joins_the_render_and_later_gets_it_again() {
    let mut inbox = Inbox::open(0).await;
    let base = service(1, json!({"renderSeconds": 0.4})).await;
    let body = with_callback(&inbox, "j1");
    let first = id_of(post(&base, "k", &body).await).await;
    assert_eq!(id_of(post(&base, "k", &body).await).await, first);
    let uploads = |arrivals: Vec<crate::stand_ins::testing::Arrival>| {
        arrivals
            .into_iter()
            .filter(|a| a.kind() == "upload")
            .count()
    };
    assert_eq!(uploads(inbox.until_the_end().await), 1);

    change(&base, json!({"renderSeconds": 3600})).await;
    assert_eq!(id_of(post(&base, "k", &body).await).await, first);
    let again = inbox.until_the_end().await;
    let kinds: Vec<String> = again.iter().map(|a| a.kind()).collect();
    assert_eq!(kinds, ["upload", "completed"]);
}

#[tokio::test]
async fn reports_are_tried_again_while_the_caller_is_away() {
    let mut inbox = Inbox::open(7).await;
    let base = service(4, json!({})).await;
    post(&base, "k", &with_callback(&inbox, "j1")).await;
    let arrivals = inbox.until_the_end().await;
    assert!(arrivals.iter().any(|a| a.kind() == "upload"));
}

#[tokio::test]
async fn more_renders_than_gpus_are_refused_for_a_second() {
    let inbox = Inbox::open(0).await;
    let base = service(1, json!({"renderSeconds": 60})).await;
    id_of(post(&base, "k1", &with_callback(&inbox, "j1")).await).await;
    let busy = post(&base, "k2", &with_callback(&inbox, "j2")).await;
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
}

#[tokio::test]
async fn a_cancelled_render_frees_its_gpu_and_falls_silent() {
    let mut inbox = Inbox::open(0).await;
    let base = service(1, json!({"renderSeconds": 60})).await;
    post(&base, "j1:audio:3:0", &with_callback(&inbox, "j1")).await;
    let cancel = |id: &'static str| Client::new().delete(format!("{base}/generate/{id}")).send();
    assert_eq!(cancel("j1:audio:3:0").await.unwrap().status(), 200);
    assert_eq!(cancel("j1:audio:3:0").await.unwrap().status(), 404);
    change(&base, json!({"renderSeconds": 0.1})).await;
    // The task is gone at its next step; until then its GPU is taken.
    let second = with_callback(&inbox, "j2");
    let freed = async {
        while post(&base, "k2", &second).await.status() != 202 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), freed)
        .await
        .unwrap();
    for arrival in inbox.until_the_end().await {
        assert!(arrival.path == "/upload" || arrival.json()["jobId"] == "j2");
    }
}

#[tokio::test]
async fn bad_audio_comes_as_told_and_a_repeat_is_music_again() {
    let base = service(
        4,
        json!({"silentTimes": 1, "shortTimes": 1, "garbageTimes": 1}),
    )
    .await;
    let audio = async || post(&base, "k", &plain()).await.bytes().await.unwrap();
    assert!(hound::WavReader::new(&audio().await[..]).is_err());
    assert!(frames(&audio().await).iter().all(|s| *s == 0));
    assert_eq!(frames(&audio().await).len(), 2 * 29_400);
    assert_eq!(frames(&audio().await).len(), 2 * 88_200);
}

#[tokio::test]
async fn it_fails_and_is_busy_as_told() {
    let base = service(
        4,
        json!({"failTimes": 1, "busyTimes": 1, "retryAfterSeconds": 9}),
    )
    .await;
    assert_eq!(post(&base, "k", &plain()).await.status(), 500);
    let busy = post(&base, "k", &plain()).await;
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (503, &"9".parse().unwrap())
    );
    assert_eq!(post(&base, "k", &plain()).await.status(), 200);
    let too_long = json!({"duration": 1e9});
    assert_eq!(post(&base, "k4", &too_long).await.status(), 400);
}

#[tokio::test]
async fn it_reports_failure_or_never_reports_as_told() {
    let mut inbox = Inbox::open(0).await;
    let base = service(4, json!({"neverReportTimes": 1, "reportFailedTimes": 1})).await;
    let silent = id_of(post(&base, "k", &with_callback(&inbox, "j1")).await).await;
    let failing = id_of(post(&base, "k", &with_callback(&inbox, "j1")).await).await;
    assert_ne!(silent, failing);
    let failed = inbox.until_the_end().await.pop().unwrap().json();
    assert_eq!(
        (&failed["type"], &failed["payload"]["retryable"]),
        (&json!("failed"), &json!(true))
    );
    post(&base, "k3", &with_callback(&inbox, "j3")).await;
    let arrivals = inbox.until_the_end().await;
    assert!(
        arrivals
            .iter()
            .all(|a| a.path == "/upload" || a.json()["jobId"] == "j3")
    );
    assert_eq!(arrivals.last().unwrap().kind(), "completed");
}

#[tokio::test]
async fn an_early_report_is_there_before_the_answer_and_may_come_twice() {
    let mut inbox = Inbox::open(0).await;
    let base = service(4, json!({"earlyReport": true, "reportTwice": true})).await;
    id_of(post(&base, "k", &with_callback(&inbox, "j1")).await).await;
    let kinds: Vec<String> = inbox.waiting().iter().map(|a| a.kind()).collect();
    assert_eq!(kinds[4..], ["upload", "completed", "completed"]);
}

#[tokio::test]
async fn calls_and_cancels_are_noted_with_their_headers() {
    let base = service(4, json!({})).await;
    let audio = post(&base, "the-key", &plain()).await.bytes().await;
    Client::new()
        .delete(format!("{base}/generate/nothing"))
        .send()
        .await
        .unwrap();
    let calls: Value = reqwest::get(format!("{base}/calls"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&calls[0]["idempotencyKey"], &calls[0]["jobId"]),
        (&json!("the-key"), &json!("j1"))
    );
    let sha256 = shared::job::sha256_hex(&audio.unwrap());
    assert_eq!(calls[0]["delivered"], json!([sha256]));
    let plan = json_sha256(&plain()["plan"]);
    assert_eq!(calls[0]["planSha256"], json!(plan));
    assert_eq!(
        (&calls[1]["method"], &calls[1]["path"]),
        (&json!("DELETE"), &json!("/generate/nothing"))
    );
}

#[tokio::test]
async fn by_chance_a_render_is_reported_late_or_failed() {
    for (switches, kind, atleast) in [
        (json!({"lateChance": 1, "lateSeconds": 1}), "completed", 1),
        (
            json!({"reportFailedChance": 1, "lateSeconds": 1}),
            "failed",
            0,
        ),
    ] {
        let mut inbox = Inbox::open(0).await;
        let base = service(4, switches).await;
        let asked = std::time::Instant::now();
        id_of(post(&base, "k", &with_callback(&inbox, "j1")).await).await;
        let last = inbox.until_the_end().await.pop().unwrap();
        assert_eq!(last.kind(), kind);
        assert!(asked.elapsed().as_secs() >= atleast);
    }
}
