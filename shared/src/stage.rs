//! The durable steps of a job, in order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A retry resumes at the stage that failed; a finished stage is never repeated.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Narrative to song plan, by the planner. Holds a slot.
    Plan,
    /// Plan to audio, by the generator. Holds a slot.
    Audio,
    /// Decode, measure, store. Holds no slot.
    Finish,
}

impl Stage {
    /// The word used in JSON, in Redis and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Audio => "audio",
            Self::Finish => "finish",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no stage.
#[derive(Debug, thiserror::Error)]
#[error("unknown stage {0:?}")]
pub struct UnknownStage(String);

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "plan" => Ok(Self::Plan),
            "audio" => Ok(Self::Audio),
            "finish" => Ok(Self::Finish),
            _ => Err(UnknownStage(text.to_owned())),
        }
    }
}
