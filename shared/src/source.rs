//! What a generator delivered under one render key: beside the audio itself, or where it can be fetched.

use serde::{Deserialize, Serialize};

use crate::number;

/// `jobs/<id>/upload-<render>.json`. Written after the audio, so that its presence means: the model is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Where the audio is, unless it was uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_url: Option<String>,
    /// As the service told them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::whole"
    )]
    pub seed: Option<u32>,
    /// Of the audio, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}
