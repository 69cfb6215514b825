//! jen1's stand-in: `POST /generate {narrative, duration, options, callback?}` → a song plan by rules.

mod chords;
mod genres;
mod lyrics;
mod narrative;
pub mod planner;
mod words;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bulk;
use super::calls::{Call, json_sha256};
use super::chance::Fate;
use super::exchange::{self, Callback, Controls, accepted, problem, text_header};
use super::faults::{Common, FaultState, Mode, Seconds, Switches, spend};
use super::report::Reporter;

/// The name that `/health` tells.
pub const NAME: &str = "jen1-stand-in";
const MOST_SECONDS: f64 = 3_600.0;

/// jen1's switches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Jen1Faults {
    #[serde(flatten)]
    pub common: Common,
    /// How long planning takes.
    pub plan_seconds: Seconds,
}

impl Switches for Jen1Faults {
    fn fault(&self) -> Option<String> {
        let url = self.common.mode == Mode::Url;
        url.then(|| "this service has no mode \"url\"".to_owned())
    }
}

impl FaultState for Jen1Faults {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    narrative: String,
    #[serde(default = "usual_seconds")]
    duration: f64,
    callback: Option<Callback>,
    job_id: Option<String>,
    request_id: Option<String>,
}

/// How one call is to be answered, as the switches stood when it came.
struct Order {
    faults: Jen1Faults,
    reports: bool,
    garbage: bool,
    huge: bool,
    endless: bool,
    never: bool,
    failed: bool,
}

struct Service {
    controls: Arc<Controls<Jen1Faults>>,
    reporter: Reporter,
}

/// The service's routes.
pub fn router() -> Result<Router, reqwest::Error> {
    let controls = Arc::new(Controls::default());
    let service = Service {
        controls: controls.clone(),
        reporter: Reporter::new()?,
    };
    Ok(Router::new()
        .route("/generate", post(generate))
        .with_state(Arc::new(service))
        .merge(exchange::routes(NAME, controls)))
}

async fn generate(
    State(service): State<Arc<Service>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call::new("POST", uri.path().to_owned(), &headers, &body);
    let fate = match service.controls.admit(call) {
        Ok(fate) => fate,
        Err(refusal) => return *refusal,
    };
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(why) => return problem(400, "bad_request", &why.to_string()),
    };
    if !(0.0..=MOST_SECONDS).contains(&request.duration) {
        return problem(400, "bad_duration", "duration must be 0 to 3600 seconds");
    }
    let order = service.order(request.callback.is_some(), fate);
    if order.faults.common.mode != Mode::Callback && !order.reports {
        tokio::time::sleep(order.faults.plan_seconds.duration()).await;
        return if order.endless {
            bulk::endless("application/json")
        } else if order.huge {
            Json(json!({"title": " ".repeat(bulk::HUGE)})).into_response()
        } else if order.garbage {
            ([(header::CONTENT_TYPE, "application/json")], GARBAGE).into_response()
        } else {
            let key = text_header(&headers, "idempotency-key");
            Json(service.plan(&request, key.as_deref())).into_response()
        };
    }
    let Some(callback) = request.callback.clone() else {
        return problem(
            400,
            "no_callback",
            "this service answers by callback, and none was offered",
        );
    };
    let id = format!("p-{}", uuid::Uuid::now_v7().simple());
    let request_id = text_header(&headers, "x-request-id").or_else(|| request.request_id.clone());
    let traceparent = text_header(&headers, "traceparent");
    let callback = Callback {
        traceparent,
        ..callback
    };
    let early = order.faults.common.early_report;
    let telling = tokio::spawn(tell(
        service.clone(),
        order,
        request,
        callback,
        text_header(&headers, "idempotency-key"),
        request_id.unwrap_or_else(|| id.clone()),
    ));
    if early {
        // A report that could not be told is in the log; the call was accepted all the same.
        let _ = telling.await;
    }
    accepted(&id)
}

const GARBAGE: &str = "<html>This is not the JSON you are looking for.";

/// Plans, waits as told, and reports.
async fn tell(
    service: Arc<Service>,
    order: Order,
    request: Request,
    callback: Callback,
    key: Option<String>,
    request_id: String,
) {
    if order.never {
        return;
    }
    let common = &order.faults.common;
    let pause = order.faults.plan_seconds.duration() + common.report_delay_seconds.duration();
    tokio::time::sleep(pause).await;
    let job_id = request.job_id.clone().unwrap_or_default();
    let body = if order.failed {
        json!({"jobId": job_id, "type": "failed", "payload":
            {"code": "planner_lost", "message": "The planner was told to fail.", "retryable": true}})
    } else {
        let plan = if order.garbage {
            Value::from(GARBAGE)
        } else {
            service.plan(&request, key.as_deref())
        };
        json!({"jobId": job_id, "type": "completed", "payload": {"plan": plan}})
    };
    for _ in 0..if common.report_twice { 2 } else { 1 } {
        match service.reporter.ending(&callback, &request_id, &body).await {
            Ok(()) => tracing::info!(request_id, job_id, "reported {}", body["type"]),
            Err(error) => tracing::warn!(request_id, job_id, %error, "the report did not arrive"),
        }
    }
}

impl Service {
    /// The plan, noted as delivered.
    fn plan(&self, request: &Request, key: Option<&str>) -> Value {
        let plan = json!(planner::plan(&request.narrative, request.duration));
        self.controls.calls.deliver(key, &json_sha256(&plan));
        plan
    }

    /// A fate that shows in reports makes even a service that likes to answer at once report, where it can.
    fn order(&self, has_callback: bool, fate: Fate) -> Order {
        self.controls.faults.with(|state| {
            let mut faults = state.clone();
            let common = &mut state.common;
            let reports = has_callback && (common.mode == Mode::Callback || fate.reports());
            let fate = if reports { fate } else { Fate::Usual };
            let never = fate == Fate::Never || reports && spend(&mut common.never_report_times);
            let failed = fate == Fate::ReportFailed
                || reports && !never && spend(&mut common.report_failed_times);
            if fate == Fate::Late {
                faults.common.report_delay_seconds = faults.common.chances.late_seconds;
            }
            let garbage = !never && !failed && spend(&mut state.common.garbage_times);
            let huge = !reports && spend(&mut state.common.huge_times);
            let endless = !reports && spend(&mut state.common.endless_times);
            Order {
                huge,
                endless,
                faults,
                reports,
                garbage,
                never,
                failed,
            }
        })
    }
}

fn usual_seconds() -> f64 {
    30.0
}

#[cfg(test)]
mod tests;
