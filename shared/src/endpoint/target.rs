//! Whom a message about the end of a job goes to, and the line that it stands in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{TenantId, uuid_of};

/// Whose webhook a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// The one of the submission.
    Job,
    /// One of the tenant's, by its id.
    Tenant(Uuid),
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job => f.write_str("job"),
            Self::Tenant(id) => id.as_hyphenated().fmt(f),
        }
    }
}

/// The receiver of a message about the end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    Webhook(Hook),
    /// The API with its own job table: a report of the end.
    Api,
    /// The model that may still render: a cancel.
    Model,
}

impl Target {
    /// The kind alone, for figures.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Api => "api",
            Self::Model => "cancel",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(hook) => hook.fmt(f),
            Self::Api | Self::Model => f.write_str(self.kind()),
        }
    }
}

/// The text names no target.
#[derive(Debug, thiserror::Error)]
#[error("a target is `job`, the id of an endpoint, `api` or `cancel`")]
pub struct UnknownTarget;

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        match text {
            "job" => Ok(Self::Webhook(Hook::Job)),
            "api" => Ok(Self::Api),
            "cancel" => Ok(Self::Model),
            _ => uuid_of(text)
                .map(|id| Self::Webhook(Hook::Tenant(id)))
                .ok_or(UnknownTarget),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = UnknownTarget;

    fn try_from(text: String) -> Result<Self, UnknownTarget> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

/// The line that a message stands in. Lines are served by turns, and one that fails rests without the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line(String);

impl Line {
    /// What one tenant owes one host.
    pub fn of_tenant(host: &str, tenant: &TenantId) -> Self {
        Self(format!("{host}/{tenant}"))
    }

    /// What all tenants owe a service of the operator's.
    pub fn of_service(host: &str) -> Self {
        Self(format!("{host}/"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
