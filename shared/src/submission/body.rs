//! The body of a submission as the API's document has it; `Submission::parse` reads it, and knows what no schema can say.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::priority::Priority;

/// What makes a track. `null` counts as absent; any other field is refused.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Submission)]
pub struct Body {
    /// What the music is about: not all white space (Unicode's White_Space).
    #[schema(
        min_length = 1,
        max_length = 4000,
        pattern = r"[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
    )]
    pub narrative: String,
    /// Seconds, at most the model's `maxSeconds`; 30 where it is left out, or less if the model makes less.
    #[schema(minimum = 1, maximum = 300)]
    pub duration: Option<u32>,
    /// A name that `GET /compose` lists.
    pub model: Option<String>,
    /// Passed to the models as it is; at most 16384 bytes of JSON.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Without it the server picks one, and another one after audio that was refused.
    pub seed: Option<u32>,
    /// Repeats are dropped.
    #[schema(value_type = Option<Vec<Tag>>, max_items = 10)]
    pub tags: Option<Vec<String>>,
    /// `high` is for admins and services: 403 for others.
    pub priority: Option<Priority>,
    /// Within the next 7 days; a job that has not begun by then is `expired`.
    pub start_by: Option<DateTime<Utc>>,
    /// Within the next 7 days, not before `startBy`; a job that has not ended by then is `expired`.
    pub finish_by: Option<DateTime<Utc>>,
}

/// A label of a job.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9_.-]{1,64}$")]
pub struct Tag(pub String);
