//! Where a track came from: enough to ask for it again, and to tell whether the same came back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::job::sha256_hex;
use crate::plan::Planned;
use crate::track::Track;

/// Who made something. What a service says of itself is `None` when it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// `jen1`, `ollama` or `muscgen`.
    pub service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Characters of what a service says of itself that are kept.
const MOST_SAID: usize = 200;

impl Origin {
    /// What a service says of itself, cut.
    pub fn new(service: &str, model: Option<&str>, version: Option<&str>) -> Self {
        let short = |text: &str| text.chars().take(MOST_SAID).collect();
        Self {
            service: service.to_owned(),
            model: model.map(short),
            version: version.map(short),
        }
    }
}

/// What a finished track was made from and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// The version of Tutti, which makes the prompt.
    pub tutti: String,
    /// The track's; absent if the generator was given none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// The line that the generator was given.
    pub prompt: String,
    pub planner: Origin,
    pub generator: Origin,
    /// SHA-256 in lower-case hex of `request` (as the caller sent it), `plan` (as stored), `prompt` and `track`.
    pub sha256: BTreeMap<String, String>,
}

impl Provenance {
    /// Of a track, from what is stored beside it.
    pub fn of(request: &Envelope, plan: &Planned, track: &Track) -> Self {
        let prompt = plan.song.prompt(request.submission.narrative.as_str());
        let stored = serde_json::to_vec(&plan.song).unwrap_or_default();
        let digests = [
            ("request", request.digest.clone()),
            ("plan", sha256_hex(&stored)),
            ("prompt", sha256_hex(prompt.as_bytes())),
            ("track", track.sha256.clone()),
        ];
        Self {
            tutti: env!("CARGO_PKG_VERSION").to_owned(),
            seed: track.seed,
            prompt,
            planner: plan.by.clone(),
            generator: Origin {
                service: "muscgen".to_owned(),
                model: track.model.clone(),
                version: track.version.clone(),
            },
            sha256: digests.map(|(of, digest)| (of.to_owned(), digest)).into(),
        }
    }
}
