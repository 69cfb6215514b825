//! What a caller may be.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The `role` claim of an access token.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Submits jobs and sees its own. The role of a token that names none.
    #[default]
    User,
    /// Sees and steers everything.
    Admin,
    /// A service that runs jobs for us.
    Orchestrator,
    /// A part of this system.
    System,
    /// A model service.
    Worker,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::User,
        Self::Admin,
        Self::Orchestrator,
        Self::System,
        Self::Worker,
    ];

    /// The word used in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Orchestrator => "orchestrator",
            Self::System => "system",
            Self::Worker => "worker",
        }
    }

    /// A machine: it may report on any job, and its tokens may live long.
    pub fn is_service(self) -> bool {
        matches!(self, Self::Orchestrator | Self::System | Self::Worker)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Debug, thiserror::Error)]
#[error("a role is one of user, admin, orchestrator, system, worker")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}
