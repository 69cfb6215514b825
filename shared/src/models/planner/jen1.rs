//! jen1: the planner with an interface of our own.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::{PlanAnswer, PlanRequest};
use crate::job::JobId;
use crate::lenient;
use crate::models::call::{Outgoing, PROBE, endpoint, read, send, within};
use crate::models::{Callback, MAX_PLAN, ModelError, Service};
use crate::plan::Planned;

/// The jen1 service.
#[derive(Clone)]
pub struct Jen1 {
    client: Client,
    base: Url,
}

/// `POST /generate`. The last three only appear together: without a callback nobody needs them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ask<'a> {
    narrative: &'a str,
    duration: u32,
    options: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<&'a Callback>,
}

impl Jen1 {
    /// Below `base`, which may have a path.
    pub fn new(client: Client, base: Url) -> Self {
        Self { client, base }
    }

    /// Asks for a plan; all of it within `budget`.
    pub async fn plan(
        &self,
        ask: &PlanRequest<'_>,
        out: &Outgoing,
        budget: Duration,
    ) -> Result<PlanAnswer, ModelError> {
        within(Service::Jen1, budget, self.ask(ask, out)).await
    }

    async fn ask(&self, ask: &PlanRequest<'_>, out: &Outgoing) -> Result<PlanAnswer, ModelError> {
        let service = Service::Jen1;
        let callback = ask.callback.as_ref();
        let body = Ask {
            narrative: ask.narrative,
            duration: ask.duration,
            options: ask.options,
            job_id: callback.map(|_| ask.job),
            request_id: callback.map(|_| out.request_id.as_str()),
            callback,
        };
        let url = endpoint(service, &self.base, &["generate"])?;
        let mut response = send(service, self.client.post(url).json(&body), out).await?;
        if response.status() == StatusCode::ACCEPTED {
            return Ok(PlanAnswer::Accepted);
        }
        let body = read(service, &mut response, MAX_PLAN).await?;
        let answer = lenient::read(&body).map_err(|e| service.malformed(e.to_string()))?;
        Planned::parse(service.as_str(), answer)
            .map(|planned| PlanAnswer::Plan(Box::new(planned)))
            .map_err(|e| service.malformed(e.to_string()))
    }

    /// Whether it answers `GET /health` within 2 s.
    pub async fn health(&self, out: &Outgoing) -> Result<(), ModelError> {
        let service = Service::Jen1;
        let url = endpoint(service, &self.base, &["health"])?;
        within(service, PROBE, send(service, self.client.get(url), out)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Json;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use axum::routing::{get, post};
    use chrono::Utc;
    use serde_json::json;

    use super::*;
    use crate::models::http_client;
    use crate::models::testing::{nobody, out, serve};

    async fn planner(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Jen1 {
        let routes = Router::new().route("/v1/generate", post(async || answer));
        let base = serve(routes).await.join("v1/").unwrap();
        Jen1::new(http_client().unwrap(), base)
    }

    async fn ask(planner: &Jen1, callback: Option<Callback>) -> Result<PlanAnswer, ModelError> {
        let ask = PlanRequest {
            job: JobId::mint(),
            narrative: "rain",
            duration: 30,
            options: &Map::from_iter([("mood".to_owned(), json!("calm"))]),
            seed: 7,
            callback,
        };
        planner.plan(&ask, &out(), Duration::from_secs(5)).await
    }

    fn callback() -> Callback {
        Callback {
            url: "https://tutti.example/jobs/report".to_owned(),
            webhook: "https://tutti.example/hooks/cog/secret".to_owned(),
            token: "secret".to_owned(),
            expires_at: Utc::now(),
            every_seconds: 5,
        }
    }

    #[tokio::test]
    async fn a_song_becomes_a_plan() {
        let planner = planner(json!({"title": "Rain", "swing": 0.2}).to_string()).await;
        let PlanAnswer::Plan(planned) = ask(&planner, None).await.unwrap() else {
            panic!("the plan was there")
        };
        assert_eq!(planned.song.title.as_deref(), Some("Rain"));
        assert_eq!(planned.song.rest["swing"], 0.2);
        assert_eq!(planned.by.service, "jen1");
    }

    #[tokio::test]
    async fn a_plan_may_come_later() {
        let planner = planner((StatusCode::ACCEPTED, "{}")).await;
        let answer = ask(&planner, Some(callback())).await.unwrap();
        assert_eq!(answer, PlanAnswer::Accepted);
    }

    #[tokio::test]
    async fn only_who_may_answer_later_is_told_of_job_and_callback() {
        let echo = async |Json(mut body): Json<Value>| {
            body["title"] = "echo".into();
            Json(body)
        };
        let base = serve(Router::new().route("/generate", post(echo))).await;
        let planner = Jen1::new(http_client().unwrap(), base);
        for (callback, fields) in [
            (None, vec!["duration", "narrative", "options"]),
            (
                Some(callback()),
                vec![
                    "callback",
                    "duration",
                    "jobId",
                    "narrative",
                    "options",
                    "requestId",
                ],
            ),
        ] {
            let PlanAnswer::Plan(planned) = ask(&planner, callback).await.unwrap() else {
                panic!("the plan was there")
            };
            let plan = planned.song;
            assert_eq!(plan.rest.keys().collect::<Vec<_>>(), fields);
            assert_eq!(plan.rest["options"], json!({"mood": "calm"}));
        }
    }

    #[tokio::test]
    async fn what_is_no_plan_is_malformed_and_what_is_too_long_is_not_read() {
        for answer in ["", "busy", "{}", "[1]", "{\"title\": [3]}"] {
            let error = ask(&planner(answer).await, None).await.unwrap_err();
            assert_eq!(error.code(), "jen1_malformed", "{answer}");
            assert!(error.is_retryable());
        }
        let long = json!({"title": "x".repeat(MAX_PLAN)}).to_string();
        let error = ask(&planner(long).await, None).await.unwrap_err();
        assert_eq!(error.code(), "jen1_too_large");
    }

    #[tokio::test]
    async fn half_an_emoji_and_a_raw_line_break_do_not_cost_the_plan() {
        let answer = "{\"title\": \"Rain\", \"lyrics\": \"one\ntwo \\ud83d\"}";
        let answer = ask(&planner(answer).await, None).await.unwrap();
        let PlanAnswer::Plan(planned) = answer else {
            panic!("no plan")
        };
        assert_eq!(planned.song.rest["lyrics"], "one\ntwo \u{fffd}");
    }

    #[tokio::test]
    async fn health_is_what_the_service_answers() {
        let client = http_client().unwrap();
        let base = serve(Router::new().route("/health", get("{}"))).await;
        let up = Jen1::new(client.clone(), base);
        up.health(&out()).await.unwrap();
        let down = Jen1::new(client, nobody().await);
        let error = down.health(&out()).await.unwrap_err();
        assert_eq!(error.code(), "jen1_unavailable");
    }
}
