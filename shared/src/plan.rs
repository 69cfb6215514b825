//! The song plan: a planner's answer, typed where the generator needs it, whole otherwise.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::provenance::Origin;

/// What a planner made of a narrative. Fields that are not named here are kept as they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    /// Beats a minute, a number or a word ("slow"), as the planner wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tempo: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_signature: Option<String>,
    /// One word or a list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mood: Option<OneOrMany>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrumentation: Option<OneOrMany>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A string, or a list of strings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn join(&self) -> String {
        match self {
            Self::One(text) => text.trim().to_owned(),
            Self::Many(texts) => texts
                .iter()
                .map(|t| t.trim())
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

/// `jobs/<id>/plan.json`: a plan, and who made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Planned {
    pub song: Plan,
    pub by: Origin,
}

/// A store may be older than this version: then jen1 was the only planner, and its plan stood alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Planned { song: Plan, by: Origin },
    Bare(Plan),
}

impl From<Stored> for Planned {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Planned { song, by } => Self { song, by },
            Stored::Bare(song) => Self {
                song,
                by: Origin::new("jen1", None, None),
            },
        }
    }
}

impl Planned {
    /// The answer of a planner: see [`Plan::parse`]. Beside a wrapped song it may say its `model` and `version`.
    pub fn parse(service: &str, answer: Value) -> Result<Self, NotAPlan> {
        let said = |name: &str| match answer.get("song")? {
            Value::Object(_) => answer.get(name)?.as_str(),
            _ => None,
        };
        let by = Origin::new(service, said("model"), said("version"));
        Ok(Self {
            song: Plan::parse(answer)?,
            by,
        })
    }
}

/// The planner's answer is no plan.
#[derive(Debug, thiserror::Error)]
#[error("the plan is not a JSON object with a title, genre, mood, tempo or instrumentation: {0}")]
pub struct NotAPlan(String);

impl Plan {
    /// Accepts `{…}` and `{song: {…}}`. A plan that says nothing about the music is refused.
    pub fn parse(answer: Value) -> Result<Self, NotAPlan> {
        let bare = match answer {
            Value::Object(mut map) => match map.remove("song") {
                Some(song @ Value::Object(_)) => song,
                Some(other) => {
                    map.insert("song".to_owned(), other);
                    Value::Object(map)
                }
                None => Value::Object(map),
            },
            other => other,
        };
        let plan: Self = serde_json::from_value(bare).map_err(|e| NotAPlan(e.to_string()))?;
        let says_something = plan.title.is_some()
            || plan.genre.is_some()
            || plan.mood.is_some()
            || plan.tempo.is_some()
            || plan.instrumentation.is_some();
        if says_something {
            Ok(plan)
        } else {
            Err(NotAPlan("none of them is there".to_owned()))
        }
    }

    /// One English line for a text-to-music model, ending in the narrative; at most about 900 bytes.
    pub fn prompt(&self, narrative: &str) -> String {
        let mut parts: Vec<String> = Vec::new();
        let opening = [self.mood.as_ref().map(OneOrMany::join), self.genre.clone()];
        let opening = opening
            .into_iter()
            .flatten()
            .filter(|t| !t.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        if !opening.is_empty() {
            parts.push(opening);
        }
        if let Some(instruments) = self
            .instrumentation
            .as_ref()
            .map(OneOrMany::join)
            .filter(|t| !t.is_empty())
        {
            parts.push(format!("with {instruments}"));
        }
        match &self.tempo {
            // 76.0 reads as 76.
            Some(Value::Number(bpm)) => {
                parts.push(format!("at {} BPM", bpm.as_f64().unwrap_or_default()));
            }
            Some(Value::String(word)) if !word.is_empty() => parts.push(format!("tempo {word}")),
            _ => {}
        }
        if let Some(key) = self.key.as_deref().filter(|k| !k.is_empty()) {
            parts.push(format!("in {key}"));
        }
        if let Some(time) = self.time_signature.as_deref().filter(|t| !t.is_empty()) {
            parts.push(format!("in {time} time"));
        }
        let mut line = one_line(&parts.join(", "), 500);
        if !line.is_empty() {
            line.push_str(". ");
        }
        line + &one_line(narrative, 400)
    }
}

/// White space folded, cut at a character boundary after `most` bytes.
fn one_line(text: &str, most: usize) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > most {
        let cut = (0..=most)
            .rev()
            .find(|i| line.is_char_boundary(*i))
            .unwrap_or(0);
        line.truncate(cut);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_keeps_the_fields_it_does_not_know() {
        let answer =
            json!({"title": "Rain", "mood": ["calm", "warm"], "verse_1": "la", "swing": 0.2});
        let plan = Plan::parse(answer.clone()).unwrap();
        assert_eq!(serde_json::to_value(plan).unwrap(), answer);
    }

    #[test]
    fn a_wrapped_plan_is_unwrapped() {
        let plan = Plan::parse(json!({"song": {"genre": "jazz"}, "took": 3})).unwrap();
        assert_eq!(plan.genre.as_deref(), Some("jazz"));
    }

    #[test]
    fn a_planner_may_say_what_it_is_beside_a_wrapped_plan() {
        let answer = json!({"song": {"genre": "jazz"}, "model": "jen-large", "version": "2"});
        let by = Planned::parse("jen1", answer).unwrap().by;
        assert_eq!(
            (
                by.service.as_str(),
                by.model.as_deref(),
                by.version.as_deref()
            ),
            ("jen1", Some("jen-large"), Some("2"))
        );
        let bare = json!({"genre": "jazz", "model": "a word of the song"});
        assert_eq!(Planned::parse("jen1", bare).unwrap().by.model, None);
    }

    #[test]
    fn a_plan_that_was_stored_alone_is_jen1s() {
        let old: Planned = serde_json::from_value(json!({"title": "Rain", "swing": 1})).unwrap();
        assert_eq!(
            (old.by.service.as_str(), &old.song.rest["swing"]),
            ("jen1", &json!(1))
        );
        let new: Planned = serde_json::from_value(json!(old)).unwrap();
        assert_eq!(new, old);
    }

    #[test]
    fn what_says_nothing_about_music_is_no_plan() {
        for answer in [
            json!("hello"),
            json!([]),
            json!({}),
            json!({"error": "busy"}),
            json!({"title": 3}),
        ] {
            assert!(Plan::parse(answer.clone()).is_err(), "{answer}");
        }
    }

    #[test]
    fn the_prompt_is_one_line_of_what_the_plan_says() {
        let plan = Plan::parse(json!({
            "genre": "piano ballad", "mood": ["calm", "warm"], "tempo": 72.0, "key": "F major",
            "time_signature": "4/4", "instrumentation": ["piano", "strings"]
        }))
        .unwrap();
        assert_eq!(
            plan.prompt("an evening\nin the rain"),
            "calm, warm piano ballad, with piano, strings, at 72 BPM, in F major, in 4/4 time. an evening in the rain"
        );
        assert!(plan.prompt(&"é".repeat(4000)).len() < 1000);
    }
}
