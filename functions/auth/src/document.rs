//! What this function takes and answers, for the API's document; `form` reads the bodies.

use serde::Deserialize;
use shared::keyring::Role;
use utoipa::{OpenApi, ToSchema};

/// Every route of this function.
#[derive(OpenApi)]
#[openapi(paths(
    crate::routes::sessions::login,
    crate::routes::sessions::refresh,
    crate::routes::sessions::logout,
    crate::routes::ticket::create,
    crate::routes::users::list,
    crate::routes::users::create,
    crate::routes::users::read,
    crate::routes::users::change,
    crate::routes::service_tokens::list,
    crate::routes::service_tokens::create,
    crate::routes::service_tokens::revoke,
))]
pub struct Document;

/// What somebody signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// In upper or lower case.
    #[schema(min_length = 1, max_length = 256)]
    pub email_or_username: String,
    #[schema(min_length = 1, max_length = 1024)]
    pub password: String,
}

/// What a session goes on with.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Renewal {
    #[schema(min_length = 1, max_length = 8192)]
    pub refresh_token: String,
}

/// Somebody who is to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    #[schema(
        max_length = 254,
        pattern = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$"
    )]
    pub email: String,
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    pub username: Option<String>,
    #[schema(min_length = 12, max_length = 1024)]
    pub password: String,
    /// `user` where it is left out.
    pub role: Option<Role>,
    /// Who shares a line; the user alone where it is left out.
    #[schema(min_length = 1, max_length = 64)]
    pub tenant: Option<String>,
}

/// What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    pub disabled: Option<bool>,
    #[schema(min_length = 12, max_length = 1024)]
    pub password: Option<String>,
    pub role: Option<Role>,
}

/// A service that is to get a token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewServiceToken)]
pub struct NewToken {
    #[schema(min_length = 1, max_length = 64)]
    pub sub: String,
    /// `orchestrator` where it is left out.
    pub role: Option<ServiceRole>,
    /// Seconds; a year where it is left out.
    #[schema(minimum = 60, maximum = 315_360_000)]
    pub expires_in: Option<u64>,
}

/// A role of services.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceRole {
    Orchestrator,
    System,
    Worker,
}

/// A UUID, in lower case and with its hyphens.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, format = "uuid", pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
pub struct Id(pub String);
