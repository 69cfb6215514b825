//! What a Cog server says of a prediction: its answers and its webhooks are the same object.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::lenient;
use crate::models::MAX_AUDIO;
use crate::source::Source;

/// How deep in lists and objects an output is looked for.
const MAX_DEPTH: u8 = 4;
/// Longest address, in bytes.
const MAX_URL: usize = 8 << 10;
/// Characters of an error that are kept, for the log.
const MAX_ERROR: usize = 500;

/// A prediction; a data URL in it is borrowed from the body.
#[derive(Deserialize)]
pub struct Prediction<'a> {
    status: Status,
    #[serde(borrow, default)]
    output: Output<'a>,
    // Side notes: one of another type must not cost a render.
    #[serde(default)]
    error: Value,
    #[serde(default)]
    model: Value,
    #[serde(default)]
    version: Value,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Starting,
    Processing,
    Succeeded,
    Failed,
    #[serde(alias = "aborted")]
    Canceled,
}

/// What has become of a prediction.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is being worked on. What it has put out so far is not looked at.
    Running,
    /// It put out this file; not empty.
    Audio(Bytes),
    /// It put out a file of more than 64 MiB.
    TooLarge,
    /// It put out a file that lies here.
    Url(String),
    /// It succeeded and put out nothing that can be used.
    Nothing,
    /// For the log: it may name what is inside the container.
    Failed(String),
    /// Somebody ended it.
    Cancelled,
}

impl Prediction<'_> {
    /// What has become of it; decodes a data URL.
    pub fn outcome(&self) -> Outcome {
        match self.status {
            Status::Starting | Status::Processing => Outcome::Running,
            Status::Succeeded => self.output.read(),
            Status::Failed => Outcome::Failed(self.failure()),
            Status::Canceled => Outcome::Cancelled,
        }
    }

    /// What the server says of the model, and the seed that it was given, if it was given one.
    pub fn notes(&self, seed: Option<u32>) -> Source {
        Source {
            model: lenient::text(&self.model),
            version: lenient::text(&self.version),
            seed,
            ..Source::default()
        }
    }

    fn failure(&self) -> String {
        let said = self.error.as_str().unwrap_or("without a word");
        said.chars().take(MAX_ERROR).collect()
    }
}

/// The first string of an output that names a file: text, list or object.
#[derive(Default)]
struct Output<'a>(Option<Cow<'a, str>>);

impl Output<'_> {
    fn read(&self) -> Outcome {
        let Some(found) = self.0.as_deref() else {
            return Outcome::Nothing;
        };
        let Some((_, coded)) = data_url(found) else {
            return Outcome::Url(found.to_owned());
        };
        if coded.len() / 4 * 3 > MAX_AUDIO + 2 {
            return Outcome::TooLarge;
        }
        match STANDARD.decode(coded) {
            Ok(bytes) if bytes.len() > MAX_AUDIO => Outcome::TooLarge,
            Ok(bytes) if !bytes.is_empty() => Outcome::Audio(bytes.into()),
            _ => Outcome::Nothing,
        }
    }
}

/// Media type and Base64 of a data URL (RFC 2397).
fn data_url(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("data:")?.split_once(";base64,")
}

/// Whether the string is a file that may be audio; pictures and texts that lie beside it are not.
fn names_a_file(text: &str) -> bool {
    if let Some((kind, _)) = data_url(text) {
        return !["image/", "text/", "video/"]
            .iter()
            .any(|other| kind.starts_with(other));
    }
    text.len() <= MAX_URL && (text.starts_with("https://") || text.starts_with("http://"))
}

impl<'de: 'a, 'a> Deserialize<'de> for Output<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Search(MAX_DEPTH).deserialize(deserializer).map(Self)
    }
}

/// Looks so deep. Never fails for what it finds: an odd output must not cost the rest of the prediction.
struct Search(u8);

impl<'de> DeserializeSeed<'de> for Search {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0 == 0 {
            return deserializer
                .deserialize_ignored_any(IgnoredAny)
                .map(|_| None);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an output")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(names_a_file(text).then_some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(names_a_file(text).then(|| Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut first = None;
        while let Some(found) = items.next_element_seed(Search(self.0 - 1))? {
            first = first.or(found);
        }
        Ok(first)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut first = None;
        while entries.next_key::<IgnoredAny>()?.is_some() {
            let found = entries.next_value_seed(Search(self.0 - 1))?;
            first = first.or(found);
        }
        Ok(first)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "data:audio/wav;base64,UklGRg==";

    fn outcome(prediction: Value) -> Outcome {
        let text = prediction.to_string();
        let prediction: Prediction = serde_json::from_str(&text).unwrap();
        prediction.outcome()
    }

    fn of(output: Value) -> Outcome {
        outcome(json!({"status": "succeeded", "output": output}))
    }

    #[test]
    fn the_first_file_of_an_output_is_taken_wherever_it_lies() {
        let audio = Outcome::Audio(Bytes::from_static(b"RIFF"));
        for output in [
            json!(FILE),
            json!("data:;base64,UklGRg=="),
            json!([7, null, "no file", FILE, "https://m/2.wav"]),
            json!({"a": true, "b": [{"c": FILE}], "d": "https://m/2.wav"}),
            json!(["data:image/png;base64,AAAA", "data:,text", FILE]),
        ] {
            assert_eq!(of(output.clone()), audio, "{output}");
        }
        let url = Outcome::Url("https://m/1.wav".to_owned());
        assert_eq!(of(json!({"wav": "https://m/1.wav", "z": FILE})), url);
    }

    #[test]
    fn an_output_without_a_file_is_nothing() {
        for output in [
            json!(null),
            json!(7),
            json!(-7.5),
            json!("a song"),
            json!("file:///etc/passwd"),
            json!("data:audio/wav;base64,"),
            json!("data:audio/wav;base64,%%%"),
            json!(format!("https://m/{}", "x".repeat(MAX_URL))),
            json!([[[[FILE]]]]),
            json!([]),
            json!({}),
        ] {
            assert_eq!(of(output.clone()), Outcome::Nothing, "{output}");
        }
        assert_eq!(outcome(json!({"status": "succeeded"})), Outcome::Nothing);
    }

    #[test]
    fn a_file_over_the_bound_is_not_decoded() {
        let huge = format!("data:audio/wav;base64,{}", "AAAA".repeat(MAX_AUDIO / 3 + 2));
        assert_eq!(of(json!(huge)), Outcome::TooLarge);
    }

    #[test]
    fn what_a_running_prediction_puts_out_is_not_taken() {
        for status in ["starting", "processing"] {
            let prediction = json!({"status": status, "output": [FILE]});
            assert_eq!(outcome(prediction), Outcome::Running, "{status}");
        }
    }

    #[test]
    fn a_failure_is_kept_short_and_a_cancel_is_none() {
        let failed = json!({"status": "failed", "error": "x".repeat(9000), "output": FILE});
        assert_eq!(outcome(failed), Outcome::Failed("x".repeat(MAX_ERROR)));
        let mute = json!({"status": "failed", "error": [7]});
        assert!(matches!(outcome(mute), Outcome::Failed(_)));
        for status in ["canceled", "aborted"] {
            assert_eq!(outcome(json!({"status": status})), Outcome::Cancelled);
        }
    }

    #[test]
    fn a_prediction_needs_a_status_that_is_known() {
        for text in [
            "{}",
            r#"{"status": "sleeping"}"#,
            r#"{"status": null}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Prediction>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn side_notes_are_read_if_they_are_texts() {
        let text = json!({"status": "failed", "model": "m", "version": 2}).to_string();
        let prediction: Prediction = serde_json::from_str(&text).unwrap();
        let notes = prediction.notes(None);
        assert_eq!(notes.model.as_deref(), Some("m"));
        assert_eq!(notes.version.as_deref(), Some("2"));
    }

    #[test]
    fn a_data_url_is_not_copied_out_of_the_body() {
        let text = json!({"status": "succeeded", "output": [FILE]}).to_string();
        let prediction: Prediction = serde_json::from_str(&text).unwrap();
        assert!(matches!(prediction.output.0, Some(Cow::Borrowed(FILE))));
    }
}
