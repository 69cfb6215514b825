//! The body of a submission as the API's document has it; `Submission::parse` reads it, and knows what no schema can say.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::endpoint::Ending;
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
    /// Who is told of the end.
    pub webhook: Option<Webhook>,
}

/// Where a signed message goes when the job ends.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = JobWebhook)]
pub struct Webhook {
    /// Absolute and `https`, without user and fragment. It must lead to a public address, which is looked at when it is called.
    #[schema(value_type = String, max_length = 2048, pattern = "^https://[a-z0-9]{1,40}(\\.[a-z]{2,10}){1,3}(/[A-Za-z0-9._~-]{0,40}){0,8}$")]
    pub url: String,
    /// All of them where it is left out.
    #[schema(value_type = Option<Vec<Ending>>, min_items = 1, max_items = 4)]
    pub events: Option<Vec<Ending>>,
    /// Base64 of 24 to 64 bytes; never shown again. Without it the tenant's secrets sign; a tenant that has none needs one here.
    #[schema(value_type = Option<String>, pattern = "^whsec_(([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/][AQgw]==)?|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$")]
    pub secret: Option<String>,
}

/// A label of a job.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9_.-]{1,64}$")]
pub struct Tag(pub String);
