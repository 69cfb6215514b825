//! Which jobs go first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A job of a better level goes before all jobs of worse ones; inside a level tenants share, and each tenant's jobs go by age.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// For admins and services only.
    High,
    #[default]
    Normal,
    Low,
}

impl Priority {
    /// Every level, the best first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// The level in scores: 0 goes first.
    pub fn level(self) -> u32 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }

    /// The priority of a level.
    pub fn of_level(level: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.level() == level)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no priority.
#[derive(Debug, thiserror::Error)]
#[error("a priority is one of high, normal, low")]
pub struct UnknownPriority;

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str() == text)
            .ok_or(UnknownPriority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_read_as_it_is_written() {
        for (level, priority) in Priority::ALL.into_iter().enumerate() {
            assert_eq!(priority.level() as usize, level);
            assert_eq!(Priority::of_level(priority.level()), Some(priority));
            assert_eq!(priority.as_str().parse::<Priority>().unwrap(), priority);
        }
        assert_eq!(Priority::of_level(3), None);
        assert!("urgent".parse::<Priority>().is_err());
    }
}
