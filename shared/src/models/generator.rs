//! Song plan to audio.

use std::time::Duration;

use reqwest::Client;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::call::{Outgoing, endpoint, send, within};
use super::error::{Fault, ModelError, Service};
use super::planner::PROBE;
use super::render::{self, RenderAnswer};
use super::{Callback, Upload};
use crate::job::JobId;
use crate::plan::Plan;

const SERVICE: Service = Service::Muscgen;

const CANCEL: Duration = Duration::from_secs(5);

/// The muscgen service.
#[derive(Clone)]
pub struct Generator {
    client: Client,
    base: Url,
}

/// What audio is made from; the body of `POST /generate`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderRequest<'a> {
    #[serde(rename = "jobId")]
    pub job: JobId,
    pub request_id: &'a str,
    /// One English line made from the plan.
    pub prompt: &'a str,
    pub plan: &'a Plan,
    /// Seconds.
    pub duration: u32,
    pub seed: u32,
    /// The name that the caller chose.
    pub model: &'a str,
    pub options: &'a Map<String, Value>,
    /// Offered if the service may answer later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

impl Generator {
    /// A muscgen below `base`, which may have a path.
    pub fn muscgen(client: Client, base: Url) -> Self {
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
            render::read_answer(response).await
        };
        within(SERVICE, budget, call).await
    }

    /// Tells the service that nobody wants this render any more. `render` is its own id or the render key; one that it does
    /// not know is fine.
    pub async fn cancel(&self, render: &str, out: &Outgoing) -> Result<(), ModelError> {
        let url = endpoint(SERVICE, &self.base, &["generate", render])?;
        match within(SERVICE, CANCEL, send(SERVICE, self.client.delete(url), out)).await {
            Err(ModelError {
                fault: Fault::Refused { status, .. },
                ..
            }) if status == 404 || status == 410 => Ok(()),
            other => other.map(drop),
        }
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
    use serde_json::json;

    use super::super::testing::{nobody, out, serve};
    use super::super::{MAX_AUDIO, http_client};
    use super::*;

    async fn below(routes: Router) -> Generator {
        Generator::muscgen(http_client().unwrap(), serve(routes).await)
    }

    async fn generator(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Generator {
        below(Router::new().route("/generate", post(async || answer))).await
    }

    async fn ask(generator: &Generator) -> Result<RenderAnswer, ModelError> {
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
            model: None,
            version: None,
            seed: None,
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
            let notes = json!({"audioBase64": coded, "model": "m", "version": 2, "seed": 7});
            let answer = ask(&generator(Json(notes)).await).await.unwrap();
            let RenderAnswer::Audio {
                bytes,
                model,
                version,
                seed,
            } = answer
            else {
                panic!("the audio was there")
            };
            assert_eq!(bytes, "RIFF");
            assert_eq!(
                (model.as_deref(), version.as_deref()),
                (Some("m"), Some("2"))
            );
            assert_eq!(seed, Some(7));
        }
        let notes = json!({"audioUrl": "https://m/1.wav", "seed": -1, "model": []});
        assert_eq!(
            ask(&generator(Json(notes)).await).await.unwrap(),
            RenderAnswer::Url {
                url: "https://m/1.wav".to_owned(),
                model: None,
                version: None,
                seed: None,
            }
        );
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
        let down = Generator::muscgen(http_client().unwrap(), nobody().await);
        let error = down.health(&out()).await.unwrap_err();
        assert_eq!(error.code(), "muscgen_unavailable");
    }
}
