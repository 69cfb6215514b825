//! What a generator delivered under one render key: beside the audio itself, or where it can be fetched.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lenient::{self, field};

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
    /// The seed that the audio was made from; `None` if the model was given none and names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Of the audio, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Source {
    /// Reads what a service says of its audio. These are side notes: one that cannot be read is
    /// left out, for it must not cost a render.
    pub fn said(notes: &Map<String, Value>) -> Self {
        let text = |name| field(notes, name).and_then(lenient::text);
        let url = field(notes, "audioUrl").and_then(Value::as_str);
        Self {
            audio_url: url
                .filter(|url| !url.is_empty())
                .map(|url| url.trim().to_owned()),
            model: text("model"),
            version: text("version"),
            seed: field(notes, "seed").and_then(lenient::whole),
            sha256: field(notes, "sha256").and_then(sha256),
        }
    }

    /// The same, made from `sent` unless the service named another seed.
    pub fn seeded(mut self, sent: Option<u32>) -> Self {
        self.seed = self.seed.or(sent);
        self
    }
}

/// 64 hex digits in lower case, also out of upper case and behind `sha256:`.
fn sha256(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim().to_ascii_lowercase();
    let digits = text.strip_prefix("sha256:").unwrap_or(&text);
    let is_hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(notes: Value) -> Source {
        Source::said(notes.as_object().unwrap())
    }

    #[test]
    fn notes_of_an_odd_type_are_read_or_left_out() {
        let digits = "AB".repeat(32);
        assert_eq!(
            said(json!({
                "model": true, "version": 3.5, "seed": "7", "sha256": format!("sha256:{digits}"),
                "audioUrl": " https://m/1.wav "
            })),
            Source {
                audio_url: Some("https://m/1.wav".to_owned()),
                model: Some("true".to_owned()),
                version: Some("3.5".to_owned()),
                seed: Some(7),
                sha256: Some("ab".repeat(32)),
            }
        );
        for notes in [
            json!({"seed": 9_223_372_036_854_775_813_u64, "version": [], "model": {}, "sha256": "ABC"}),
            json!({"seed": -1, "version": null, "sha256": 7, "audioUrl": ""}),
            json!({"seed": 1.5, "model": "", "audioUrl": 7}),
            json!({}),
        ] {
            assert_eq!(said(notes.clone()), Source::default(), "{notes}");
        }
        assert_eq!(said(json!({"seed": 7.0})).seeded(Some(8)).seed, Some(7));
        assert_eq!(said(json!({"seed": []})).seeded(Some(8)).seed, Some(8));
    }
}
