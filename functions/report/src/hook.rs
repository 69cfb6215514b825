//! `POST /hooks/cog/{token}`: what a Cog server says of its prediction. It can send no header of ours, so the token is in the
//! path.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use shared::caller::{Reporter, TokenInPath};
use shared::clients::Clients;
use shared::http::{self, Query};
use shared::job::JobError;
use shared::lenient;
use shared::models::{Outcome, Prediction};
use shared::problem::Problem;
use shared::source::Source;

use crate::document::{self, Taken};
use crate::report::{alive, audio, failed};
use crate::speaker::Speaker;

/// Longest prediction: what Lambda takes. A longer file goes to an address of the server's own.
pub(crate) const MAX_PREDICTION: usize = 6 << 20;

/// What its request held, as the address says that the worker gave it.
#[derive(Deserialize)]
pub(crate) struct Sent {
    /// The seed, if the model takes one.
    seed: Option<u32>,
}

/// What a Cog server says of its prediction.
///
/// `{ok: true}`; a repeat too. Cog tries again after 429 and 5xx, and gives up after other refusals.
#[utoipa::path(
    post,
    path = "/hooks/cog/{token}",
    operation_id = "reportPrediction",
    tag = "report",
    params(
        ("token" = String, Path, description = "A callback token; `Authorization` is not looked at"),
        ("seed" = Option<u32>, Query, description = "The seed that the model was given"),
    ),
    request_body(content = document::Prediction, examples(
        ("running" = (summary = "It works", value = json!({"status": "processing", "output": null}))),
        ("file" = (summary = "It put out a file", value = json!({
            "status": "succeeded", "output": "https://files.example/out.wav", "model": "musicgen"
        }))),
    )),
    responses((status = 200, description = "It was taken", body = Taken)),
    extensions(
        ("x-problems" = json!([
            "invalid_query", "unauthenticated", "unknown_job", "job_ended", "stale_fence", "wrong_render", "not_rendering"
        ])),
        ("x-body-of-any-type" = json!(true)),
    ),
)]
pub(crate) async fn hook(
    State(clients): State<Clients>,
    TokenInPath(claims): TokenInPath,
    Query(sent): Query<Sent>,
    body: Bytes,
) -> Result<Json<Taken>, Problem> {
    let (source, outcome) = {
        let body = lenient::mended(&body);
        let prediction: Prediction = http::parse_json(&body)?;
        (prediction.notes(sent.seed), prediction.outcome())
    };
    drop(body);
    let job = claims.job;
    let speaker = Speaker::new(&clients, Reporter::Callback(claims), job).await?;
    let request_id = &speaker.job.request_id;
    tracing::info!(job_id = %job, job_request_id = request_id, stage = %speaker.stage, "a Cog server reports");
    let (code, message) = match outcome {
        Outcome::Running => {
            alive(&clients, &speaker, None).await?;
            return Ok(taken());
        }
        Outcome::Audio(bytes) => {
            audio(&clients, &speaker, &source, Some(bytes)).await?;
            return Ok(taken());
        }
        Outcome::Url(url) => {
            let source = Source {
                audio_url: Some(url),
                ..source
            };
            audio(&clients, &speaker, &source, None).await?;
            return Ok(taken());
        }
        Outcome::Failed(why) => {
            tracing::warn!(job_id = %job, job_request_id = request_id, error = why, "the prediction failed");
            ("model_failed", "The model tried and failed.")
        }
        Outcome::Cancelled => ("model_cancelled", "The model was told to stop."),
        Outcome::Nothing | Outcome::TooLarge => (
            "muscgen_malformed",
            "muscgen gave an answer that cannot be used",
        ),
    };
    let error = JobError {
        code: code.to_owned(),
        message: message.to_owned(),
        stage: speaker.stage,
        retryable: true,
    };
    failed(&clients, &speaker, &error).await?;
    Ok(taken())
}

fn taken() -> Json<Taken> {
    Json(Taken { ok: true })
}
