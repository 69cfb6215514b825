//! The API that keeps its own job table: it is told when a stage begins and how a job ends.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use url::Url;

use super::call::{Outgoing, endpoint, send, within};
use super::error::{ModelError, Service};
use crate::job::{JobId, JobStatus};
use crate::stage::Stage;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Posts to `{API_URL}/jobs/report`.
#[derive(Clone)]
pub struct OrchestratorApi {
    client: Client,
    base: Url,
    token: String,
}

/// One transition of one job.
pub struct Report<'a> {
    pub job: JobId,
    /// The owner, as the API knows them: the token's `sub`.
    pub user: &'a str,
    pub kind: ReportKind<'a>,
}

/// What happened.
pub enum ReportKind<'a> {
    /// The state or the stage changed.
    Status { status: JobStatus, stage: Stage },
    /// The track is finished.
    Completed {
        artifact_url: &'a str,
        /// What else is known of the job: plan and track.
        result: &'a Value,
    },
    /// The job ended without a track.
    Failed { error: &'a str },
}

impl Report<'_> {
    fn body(&self) -> Value {
        let (kind, payload) = match &self.kind {
            ReportKind::Status { status, stage } => (
                "status",
                json!({"userId": self.user, "status": status, "stage": stage}),
            ),
            ReportKind::Completed {
                artifact_url,
                result,
            } => {
                let job = json!({"id": self.job, "artifactUrl": artifact_url, "result": result});
                ("completed", json!({"userId": self.user, "job": job}))
            }
            ReportKind::Failed { error } => {
                ("failed", json!({"userId": self.user, "error": error}))
            }
        };
        json!({"jobId": self.job, "type": kind, "payload": payload})
    }
}

impl OrchestratorApi {
    /// An API below `base` that takes `token` as `Authorization: Bearer`.
    pub fn new(client: Client, base: Url, token: String) -> Self {
        Self {
            client,
            base,
            token,
        }
    }

    /// Posts one transition, once, within 5 s. The API may see it twice.
    pub async fn post(&self, report: &Report<'_>, out: &Outgoing) -> Result<(), ModelError> {
        // The key names the render, and many reports belong to one render.
        let out = &Outgoing {
            idempotency_key: None,
            ..out.clone()
        };
        let url = endpoint(Service::Api, &self.base, &["jobs", "report"])?;
        let request = self.client.post(url);
        let request = request.bearer_auth(&self.token).json(&report.body());
        within(Service::Api, TIMEOUT, send(Service::Api, request, out))
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::Json;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;

    use super::super::http_client;
    use super::super::testing::{nobody, out, serve};
    use super::*;

    type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

    /// An API that answers with these statuses in turn, and then with 200.
    async fn api(statuses: &[u16]) -> (OrchestratorApi, Seen) {
        let seen = Seen::default();
        let notes = seen.clone();
        let statuses = statuses.to_vec();
        let route = post(async move |headers: HeaderMap, Json(body): Json<Value>| {
            let mut notes = notes.lock().unwrap();
            notes.push((headers, body));
            let status = statuses.get(notes.len() - 1).copied().unwrap_or(200);
            StatusCode::from_u16(status).unwrap()
        });
        let base = serve(Router::new().route("/v1/jobs/report", route)).await;
        let base = base.join("v1/").unwrap();
        let api = OrchestratorApi::new(http_client().unwrap(), base, "secret".to_owned());
        (api, seen)
    }

    fn failed(job: JobId) -> Report<'static> {
        let kind = ReportKind::Failed { error: "silent" };
        Report {
            job,
            user: "alice",
            kind,
        }
    }

    #[tokio::test]
    async fn a_report_has_the_shape_that_the_api_reads() {
        let (api, seen) = api(&[]).await;
        let job = JobId::mint();
        let result = json!({"track": {"bytes": 4}});
        let kinds = [
            ReportKind::Status {
                status: JobStatus::Processing,
                stage: Stage::Audio,
            },
            ReportKind::Completed {
                artifact_url: "https://x/1",
                result: &result,
            },
            ReportKind::Failed { error: "silent" },
        ];
        for kind in kinds {
            let user = "alice";
            api.post(&Report { job, user, kind }, &out()).await.unwrap();
        }

        let seen = seen.lock().unwrap();
        let bodies: Vec<_> = seen.iter().map(|(_, body)| body.clone()).collect();
        assert_eq!(
            bodies,
            [
                json!({"jobId": job, "type": "status",
                    "payload": {"userId": "alice", "status": "processing", "stage": "audio"}}),
                json!({"jobId": job, "type": "completed", "payload": {"userId": "alice",
                    "job": {"id": job, "artifactUrl": "https://x/1", "result": result}}}),
                json!({"jobId": job, "type": "failed",
                    "payload": {"userId": "alice", "error": "silent"}}),
            ]
        );
        assert_eq!(seen[0].0["authorization"], "Bearer secret");
        assert_eq!(seen[0].0["x-request-id"], "req-1");
        assert!(!seen[0].0.contains_key("idempotency-key"));
    }

    #[tokio::test]
    async fn a_report_is_posted_once_whatever_the_answer() {
        for (status, code) in [(500, "api_unavailable"), (403, "api_refused")] {
            let (api, seen) = api(&[status; 9]).await;
            let told = api.post(&failed(JobId::mint()), &out()).await;
            assert_eq!(told.unwrap_err().code(), code);
            assert_eq!(seen.lock().unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn an_api_that_is_not_there_is_unavailable() {
        let client = http_client().unwrap();
        let api = OrchestratorApi::new(client, nobody().await, "secret".to_owned());
        let error = api.post(&failed(JobId::mint()), &out()).await.unwrap_err();
        assert_eq!(error.code(), "api_unavailable");
    }
}
