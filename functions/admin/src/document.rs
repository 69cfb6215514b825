//! Bodies and parameters as the API's document has them; what they may hold is checked where they are read.

use serde::Deserialize;
use shared::endpoint::Ending;

/// A UUID, in lower case and with its hyphens.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(value_type = String, format = "uuid", pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
pub struct Id(pub String);

/// An endpoint of a tenant.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Absolute and `https`, without user and fragment. It must lead to a public address, which is looked at when it is called.
    #[schema(
        max_length = 2048,
        pattern = "^https://[a-z0-9]{1,40}(\\.[a-z]{2,10}){1,3}(/[A-Za-z0-9._~-]{0,40}){0,8}$"
    )]
    pub url: String,
    /// All of them where it is left out.
    #[schema(min_items = 1, max_items = 4)]
    pub events: Option<Vec<Ending>>,
}

/// What is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookChange {
    #[schema(
        max_length = 2048,
        pattern = "^https://[a-z0-9]{1,40}(\\.[a-z]{2,10}){1,3}(/[A-Za-z0-9._~-]{0,40}){0,8}$"
    )]
    pub url: Option<String>,
    #[schema(min_items = 1, max_items = 4)]
    pub events: Option<Vec<Ending>>,
    /// `false` enables it again.
    pub disabled: Option<bool>,
}

/// How long the secrets before it sign beside a new one.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// Seconds; 86400 where it is left out, `0`: not at all.
    #[schema(minimum = 0, maximum = 2_592_000)]
    pub keep_for: Option<u32>,
}
