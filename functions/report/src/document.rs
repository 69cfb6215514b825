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

/// What a model service says of its work. Unknown fields, and notes of an odd type, are passed
/// over.
///
/// `progress` has `current`, `total`, `percentage` and `message`, or is a percentage; without
/// `percentage` it is made of the other two, and `message` is cut after 60 bytes.
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
        progress: Option<Value>,
    },
    /// It is so far.
    Progress {
        #[serde(rename = "jobId")]
        job_id: JobId,
        progress: Value,
    },
    /// It is done.
    Completed {
        #[serde(rename = "jobId")]
        job_id: JobId,
        progress: Option<Value>,
        payload: Completed,
    },
    /// It gives up.
    Failed {
        #[serde(rename = "jobId")]
        job_id: JobId,
        progress: Option<Value>,
        payload: Failed,
    },
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
    /// A text.
    pub model: Option<Value>,
    /// A text or a number.
    pub version: Option<Value>,
}

/// The audio was uploaded before.
#[derive(Deserialize, ToSchema)]
pub struct AudioUploaded {
    /// `true`
    pub uploaded: bool,
    /// A whole number up to 4294967295. A note that cannot be read is left out.
    pub seed: Option<Value>,
    /// A text.
    pub model: Option<Value>,
    /// A text or a number.
    pub version: Option<Value>,
    /// Of the audio, 64 hex digits; audio that differs is refused.
    pub sha256: Option<Value>,
}

/// The audio can be fetched.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AudioAddress {
    #[schema(min_length = 1)]
    pub audio_url: String,
    /// A whole number up to 4294967295. A note that cannot be read is left out.
    pub seed: Option<Value>,
    /// A text.
    pub model: Option<Value>,
    /// A text or a number.
    pub version: Option<Value>,
    /// Of the audio, 64 hex digits; audio that differs is refused.
    pub sha256: Option<Value>,
}

/// Why it gives up.
#[derive(Deserialize, ToSchema)]
pub struct Failed {
    /// Letters, digits and `_`, at most 60; anything else becomes `model_failed`.
    pub code: Option<Value>,
    /// A text, cut after 300 bytes.
    pub message: Option<Value>,
    /// `true` if another attempt may go well.
    pub retryable: Option<Value>,
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
