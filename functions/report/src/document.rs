//! What this function takes and answers, for the API's document.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::job::JobId;
use utoipa::{OpenApi, ToSchema};

/// Every route of this function.
#[derive(OpenApi)]
#[openapi(paths(crate::report::report, crate::upload::upload, crate::hook::hook))]
pub struct Document;

/// The report was taken; a repeat is, too.
#[derive(Serialize, ToSchema)]
pub struct Taken {
    pub ok: bool,
}

/// The audio was stored.
#[derive(Serialize, ToSchema)]
pub struct Uploaded {
    pub ok: bool,
    #[schema(minimum = 1)]
    pub bytes: usize,
}

/// What a model service says of its work. Unknown fields are passed over.
#[derive(Deserialize, ToSchema)]
#[serde(
    tag = "type",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum Report {
    /// It is alive.
    Status {
        #[serde(rename = "jobId")]
        job_id: JobId,
        progress: Option<Progress>,
    },
    /// It is so far.
    Progress {
        #[serde(rename = "jobId")]
        job_id: JobId,
        progress: Progress,
    },
    /// It is done.
    Completed {
        #[serde(rename = "jobId")]
        job_id: JobId,
        progress: Option<Progress>,
        payload: Completed,
    },
    /// It gives up.
    Failed {
        #[serde(rename = "jobId")]
        job_id: JobId,
        progress: Option<Progress>,
        payload: Failed,
    },
}

/// Figures; without `percentage` it is made of the other two.
#[derive(Deserialize, ToSchema)]
#[schema(as = ReportedProgress)]
pub struct Progress {
    pub current: Option<u32>,
    pub total: Option<u32>,
    pub percentage: Option<f64>,
    /// Cut after 60 bytes.
    pub message: Option<String>,
}

/// Where the result is.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Completed {
    Plan(PlanMade),
    Uploaded(AudioUploaded),
    Address(AudioAddress),
}

/// The result is the plan.
#[derive(Deserialize, ToSchema)]
pub struct PlanMade {
    #[schema(value_type = Object)]
    pub plan: Value,
    pub model: Option<String>,
    pub version: Option<String>,
}

/// The audio was uploaded before.
#[derive(Deserialize, ToSchema)]
pub struct AudioUploaded {
    /// `true`
    pub uploaded: bool,
    pub seed: Option<u32>,
    pub model: Option<String>,
    pub version: Option<String>,
    /// Of the audio, in lower-case hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<String>,
}

/// The audio can be fetched.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AudioAddress {
    pub audio_url: String,
    pub seed: Option<u32>,
    pub model: Option<String>,
    pub version: Option<String>,
    /// Of the audio, in lower-case hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<String>,
}

/// Why it gives up.
#[derive(Deserialize, ToSchema)]
pub struct Failed {
    /// Letters, digits and `_`, at most 60; anything else becomes `model_failed`.
    pub code: Option<String>,
    /// Cut after 300 bytes.
    pub message: Option<String>,
    /// Whether another attempt may go well.
    #[serde(default)]
    pub retryable: bool,
}

/// What a Cog server posts of its prediction.
#[derive(Deserialize, ToSchema)]
pub struct Prediction {
    pub status: PredictionStatus,
    /// The file: a data URL or an address, also inside lists and objects.
    pub output: Option<Value>,
    pub error: Option<Value>,
    pub model: Option<Value>,
    pub version: Option<Value>,
}

/// How far a prediction is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PredictionStatus {
    Starting,
    Processing,
    Succeeded,
    Failed,
    Canceled,
    Aborted,
}
