//! What Tutti expects of a muscgen, one promise of docs/models.md a test: `MUSCGEN_URL=http://… cargo test -p tests
//! contract_muscgen`. Without the variable the stand-in is held against it, in each of its ways of answering.

use std::time::Duration;

use bytes::Bytes;
use local::stand_ins::muscgen;
use reqwest::Url;
use serde_json::{Map, json};
use shared::models::{Fetcher, ModelError, Muscgen, RenderAnswer, RenderRequest, http_client};
use shared::plan::Plan;

use crate::receiver::{Receiver, address, is_here, out, route, serve, switch, when_free};

const BUDGET: Duration = Duration::from_secs(600);
const SECONDS: u32 = 6;

struct Service {
    muscgen: Muscgen,
    fetcher: Fetcher,
    base: Url,
}

/// The service of `MUSCGEN_URL`, or stand-ins that pretend to work for so long.
async fn services(render_seconds: f64) -> Vec<Service> {
    let bases = match address("MUSCGEN_URL") {
        Some(base) => vec![base],
        None => {
            let font = music::font::load(None).unwrap();
            let mut bases = Vec::new();
            for mode in ["sync", "json", "url", "callback"] {
                let router = |at| muscgen::router(font.clone(), 1, at).unwrap();
                let base = serve(router).await;
                switch(
                    &base,
                    json!({"mode": mode, "renderSeconds": render_seconds}),
                )
                .await;
                bases.push(base);
            }
            bases
        }
    };
    let client = http_client().unwrap();
    let service = |base: Url| {
        let (host, port) = (base.host_str().unwrap(), base.port_or_known_default());
        let trusted = [format!("{host}:{}", port.unwrap())];
        Service {
            muscgen: Muscgen::new(client.clone(), base.clone()),
            fetcher: Fetcher::new(client.clone(), trusted, false),
            base,
        }
    };
    bases.into_iter().map(service).collect()
}

fn plan() -> Plan {
    Plan::parse(json!({
        "title": "Rain", "genre": "piano ballad", "tempo": 84, "key": "F major", "time_signature": "4/4",
        "mood": ["calm"], "instrumentation": ["piano", "soft strings"], "lyrics": "Rain on the roof"
    }))
    .unwrap()
}

fn key(receiver: &Receiver) -> String {
    format!("{}:audio:7:1", receiver.job)
}

impl Service {
    async fn generate(
        &self,
        receiver: &Receiver,
        seconds: u32,
    ) -> Result<RenderAnswer, ModelError> {
        let (plan, options) = (plan(), Map::new());
        let prompt = plan.prompt("a calm piano evening in the rain");
        let callback = is_here(&self.base).then(|| receiver.callback());
        let upload = callback.as_ref().map(|callback| receiver.upload(callback));
        let ask = RenderRequest {
            job: receiver.job,
            request_id: "contract-suite",
            prompt: &prompt,
            plan: &plan,
            duration: seconds,
            seed: 7,
            model: "jen1",
            options: &options,
            callback,
            upload,
        };
        self.muscgen
            .generate(&ask, &out(&key(receiver)), BUDGET)
            .await
    }

    /// Audio, however it comes.
    async fn audio(&self, receiver: &mut Receiver) -> Bytes {
        let answer = when_free(async || self.generate(receiver, SECONDS).await).await;
        match answer {
            Ok(RenderAnswer::Audio { bytes, .. }) => bytes,
            Ok(RenderAnswer::Url { url, .. }) => self.fetch(&url).await,
            Ok(RenderAnswer::Accepted { .. }) => {
                assert!(
                    is_here(&self.base),
                    "It answered 202 to a request without a callback: answer 200 with the audio then."
                );
                let ended = receiver.ended().await;
                match ended.payload["audioUrl"].as_str() {
                    Some(url) => self.fetch(url).await,
                    None => {
                        assert_eq!(
                            ended.payload["uploaded"], true,
                            "A completed report has payload.uploaded: true or payload.audioUrl."
                        );
                        ended
                            .upload
                            .expect("Upload to upload.url before you report completed")
                    }
                }
            }
            Err(error) => panic!(
                "POST /generate must answer within 600 s, with audio, with JSON about audio, or with 202. Tutti had: {error}"
            ),
        }
    }

    async fn fetch(&self, url: &str) -> Bytes {
        let fetched = self.fetcher.fetch(url, &out("")).await;
        fetched.unwrap_or_else(|error| {
            panic!("audioUrl must be public https, or on the service's own host and port. Tutti had: {error}")
        })
    }
}

#[tokio::test]
async fn health_is_answered_within_two_seconds() {
    for service in services(0.3).await {
        let health = service.muscgen.health(&out("")).await;
        health.expect("GET /health must answer any 2xx within 2 s");
    }
}

#[tokio::test]
async fn a_plan_becomes_audio_of_the_length_that_was_asked_for_and_that_the_gate_lets_through() {
    for service in services(0.3).await {
        let audio = service.audio(&mut Receiver::open().await).await;
        let listen = || {
            let delivered = shared::audio::recognise(audio)?;
            shared::audio::examine(&delivered, f64::from(SECONDS))
        };
        let heard = tokio::task::spawn_blocking(listen).await.unwrap();
        let heard = heard.unwrap_or_else(|refusal| {
            panic!("The gate (docs/models.md) refused the audio, so each such track is rendered in vain: {refusal}")
        });
        assert!(heard.duration_seconds >= f64::from(SECONDS) * 0.9);
    }
}

#[tokio::test]
async fn the_same_key_again_is_answered_with_audio_again() {
    for service in services(0.3).await {
        let mut receiver = Receiver::open().await;
        for time in ["first", "second"] {
            let audio = service.audio(&mut receiver).await;
            assert!(!audio.is_empty(), "no audio the {time} time");
        }
    }
}

#[tokio::test]
async fn accepted_work_is_reported_with_the_token_after_its_upload() {
    for service in services(0.3).await {
        let mut receiver = Receiver::open().await;
        let answer = when_free(async || service.generate(&receiver, SECONDS).await).await;
        let answer = answer.expect("POST /generate is answered");
        // A service that answers at once has nothing to report.
        if let RenderAnswer::Accepted { .. } = answer {
            let ended = receiver.ended().await;
            if ended.payload["uploaded"] == true {
                assert!(
                    ended.upload.is_some(),
                    "Upload to upload.url before you report completed."
                );
            }
        }
    }
}

#[tokio::test]
async fn a_render_is_cancelled_while_it_runs() {
    for service in services(60.0).await {
        let receiver = Receiver::open().await;
        let began = when_free(async || {
            // A service that answers at once works as long as the call lasts.
            let answer = service.generate(&receiver, 60);
            let begun = tokio::time::timeout(Duration::from_secs(2), answer).await;
            begun.map_or(Ok(None), |answer| answer.map(Some))
        });
        began.await.expect("POST /generate takes 60 s of music");
        let render = key(&receiver);
        let told = service.muscgen.cancel(&render, &out(&render)).await;
        told.expect("DELETE /generate/<render key> must answer 2xx, 404 or 410 within 5 s");
    }
}

#[tokio::test]
async fn cancelling_what_nobody_knows_is_well() {
    for service in services(0.3).await {
        let key = key(&Receiver::open().await);
        let told = service.muscgen.cancel(&key, &out(&key)).await;
        told.expect(
            "DELETE /generate/<a key that is unknown> must answer 2xx, 404 or 410 within 5 s",
        );
    }
}

#[tokio::test]
async fn a_request_that_is_no_json_is_refused_for_good() {
    for service in services(0.3).await {
        let request = http_client()
            .unwrap()
            .post(route(&service.base, "generate"));
        let request = request
            .header("content-type", "application/json")
            .body("not JSON");
        let answer = request.timeout(Duration::from_secs(60)).send().await;
        let status = answer.expect("POST /generate is answered").status();
        let again = [408, 409, 425, 429].contains(&status.as_u16());
        assert!(
            status.is_client_error() && !again,
            "What can never go well is a 400 or 422: after {status} Tutti asks again, or believes it."
        );
    }
}
