//! muscgen: the generator with an interface of our own.

use std::time::Duration;

use reqwest::Client;
use url::Url;

use super::answer::{self, RenderAnswer};
use super::{CANCEL, RenderRequest, SERVICE, unknown_is_cancelled};
use crate::models::ModelError;
use crate::models::call::{Outgoing, PROBE, endpoint, send, within};

/// The muscgen service.
#[derive(Clone)]
pub struct Muscgen {
    client: Client,
    base: Url,
}

impl Muscgen {
    /// Below `base`, which may have a path.
    pub fn new(client: Client, base: Url) -> Self {
        Self { client, base }
    }

    /// Asks for audio; all of it within `budget`.
    pub async fn generate(
        &self,
        ask: &RenderRequest<'_>,
        out: &Outgoing,
        budget: Duration,
    ) -> Result<RenderAnswer, ModelError> {
        let call = async {
            let url = endpoint(SERVICE, &self.base, &["generate"])?;
            let response = send(SERVICE, self.client.post(url).json(ask), out).await?;
            let answer = answer::read_answer(response).await?;
            Ok(answer.seeded(Some(ask.seed)))
        };
        within(SERVICE, budget, call).await
    }

    /// Tells the service that nobody wants this render any more. `render` is its own id or the render key; one that it does
    /// not know is fine.
    pub async fn cancel(&self, render: &str, out: &Outgoing) -> Result<(), ModelError> {
        let url = endpoint(SERVICE, &self.base, &["generate", render])?;
        let told = within(SERVICE, CANCEL, send(SERVICE, self.client.delete(url), out)).await;
        unknown_is_cancelled(told)
    }

    /// Whether it answers `GET /health` within 2 s.
    pub async fn health(&self, out: &Outgoing) -> Result<(), ModelError> {
        let url = endpoint(SERVICE, &self.base, &["health"])?;
        within(SERVICE, PROBE, send(SERVICE, self.client.get(url), out)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::{Json, Path};
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use axum::routing::{delete, get, post};
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::job::JobId;
    use crate::models::testing::{nobody, out, serve};
    use crate::models::{MAX_AUDIO, http_client};
    use crate::plan::Plan;
    use crate::source::Source;

    async fn below(routes: Router) -> Muscgen {
        Muscgen::new(http_client().unwrap(), serve(routes).await)
    }

    async fn generator(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Muscgen {
        below(Router::new().route("/generate", post(async || answer))).await
    }

    async fn ask(generator: &Muscgen) -> Result<RenderAnswer, ModelError> {
        let ask = RenderRequest {
            job: JobId::mint(),
            request_id: "req-1",
            prompt: "calm piano",
            plan: &Plan::parse(json!({"title": "Rain"})).unwrap(),
            duration: 30,
            seed: 7,
            model: "jen1",
            options: &Map::new(),
            callback: None,
            upload: None,
        };
        let budget = Duration::from_secs(20);
        generator.generate(&ask, &out(), budget).await
    }

    fn plain(bytes: &'static str) -> RenderAnswer {
        RenderAnswer::Audio {
            bytes: Bytes::from_static(bytes.as_bytes()),
            notes: Source::default().seeded(Some(7)),
        }
    }

    fn typed(kind: &'static str, body: &'static str) -> impl IntoResponse + Clone + Send + Sync {
        ([("content-type", kind)], body)
    }

    #[tokio::test]
    async fn audio_is_taken_as_bytes() {
        for kind in ["audio/wav", "Audio/MPEG; q=1", "application/octet-stream"] {
            let generator = generator(typed(kind, "RIFF")).await;
            assert_eq!(ask(&generator).await.unwrap(), plain("RIFF"), "{kind}");
        }
    }

    #[tokio::test]
    async fn audio_is_taken_from_json_with_what_the_service_says_of_itself() {
        for coded in ["UklGRg==", "data:audio/wav;base64,UklGRg=="] {
            let told = json!({"audioBase64": coded, "model": "m", "version": 2, "seed": 9});
            let answer = ask(&generator(Json(told)).await).await.unwrap();
            let RenderAnswer::Audio { bytes, notes } = answer else {
                panic!("the audio was there")
            };
            assert_eq!(bytes, "RIFF");
            let said = (notes.model.as_deref(), notes.version.as_deref(), notes.seed);
            assert_eq!(said, (Some("m"), Some("2"), Some(9)));
        }
        let told = json!({"audioUrl": "https://m/1.wav", "seed": -1, "model": []});
        assert_eq!(
            ask(&generator(Json(told)).await).await.unwrap(),
            RenderAnswer::Url {
                url: "https://m/1.wav".to_owned(),
                notes: Source::default().seeded(Some(7)),
            }
        );
    }

    #[tokio::test]
    async fn half_an_emoji_in_a_note_does_not_cost_the_audio() {
        let body = r#"{"audioBase64": "UklGRg==", "model": "m \ud83d", "took": NaN}"#;
        let answer = ask(&generator(typed("application/json", body)).await).await;
        let Ok(RenderAnswer::Audio { notes, .. }) = answer else {
            panic!("the audio was there")
        };
        assert_eq!(notes.model.as_deref(), Some("m \u{fffd}"));
    }

    #[tokio::test]
    async fn accepted_work_is_accepted_whatever_its_name() {
        for (body, id) in [
            (r#"{"id": "r-1"}"#, Some("r-1")),
            (r#"{"id": ".."}"#, None),
            (r#"{"id": ""}"#, None),
            (r#"{"id": 7}"#, None),
            ("", None),
        ] {
            let generator = generator((StatusCode::ACCEPTED, body)).await;
            let id = id.map(str::to_owned);
            let answer = ask(&generator).await.unwrap();
            assert_eq!(answer, RenderAnswer::Accepted { id }, "{body}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_audio_is_malformed() {
        for (kind, body) in [
            ("audio/wav", ""),
            ("text/html", "<html>"),
            ("application/json", "{}"),
            ("application/json", "RIFF"),
            ("application/json", r#"{"audioBase64": "%%%"}"#),
            ("application/json", r#"{"audioBase64": ""}"#),
        ] {
            let error = ask(&generator(typed(kind, body)).await).await.unwrap_err();
            assert_eq!(error.code(), "muscgen_malformed", "{kind} {body}");
        }
    }

    #[tokio::test]
    async fn audio_beyond_the_bound_is_not_taken() {
        let huge = Bytes::from(vec![1; MAX_AUDIO + 1]);
        let generator = generator(([("content-type", "audio/wav")], huge)).await;
        let error = ask(&generator).await.unwrap_err();
        assert_eq!(error.code(), "muscgen_too_large");
        assert!(!error.is_retryable());
    }

    #[tokio::test]
    async fn the_request_names_everything_that_the_service_needs() {
        let seen = Arc::new(Mutex::new(Value::Null));
        let note = seen.clone();
        let keep = async move |Json(body): Json<Value>| {
            *note.lock().unwrap() = body;
            typed("audio/wav", "RIFF")
        };
        ask(&below(Router::new().route("/generate", post(keep))).await)
            .await
            .unwrap();
        let mut seen = seen.lock().unwrap();
        assert!(
            seen["jobId"]
                .take()
                .as_str()
                .unwrap()
                .parse::<JobId>()
                .is_ok()
        );
        assert_eq!(
            *seen,
            json!({"jobId": null, "requestId": "req-1", "prompt": "calm piano",
                "plan": {"title": "Rain"}, "duration": 30, "seed": 7, "model": "jen1", "options": {}})
        );
    }

    #[tokio::test]
    async fn a_render_is_cancelled_by_its_name_also_if_nobody_knows_it() {
        let seen = Arc::new(Mutex::new(String::new()));
        let note = seen.clone();
        let keep = async move |Path(key): Path<String>| *note.lock().unwrap() = key;
        let known = below(Router::new().route("/generate/{key}", delete(keep))).await;
        known.cancel("job:audio/7:1", &out()).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), "job:audio/7:1");

        let unknown = below(Router::new()).await;
        unknown.cancel("job:audio:7:1", &out()).await.unwrap();
        let broken = below(Router::new().route(
            "/generate/{key}",
            delete(async || StatusCode::INTERNAL_SERVER_ERROR),
        ));
        assert!(broken.await.cancel("x", &out()).await.is_err());
    }

    #[tokio::test]
    async fn health_is_what_the_service_answers() {
        let up = below(Router::new().route("/health", get("{}"))).await;
        up.health(&out()).await.unwrap();
        let down = Muscgen::new(http_client().unwrap(), nobody().await);
        let error = down.health(&out()).await.unwrap_err();
        assert_eq!(error.code(), "muscgen_unavailable");
    }
}
