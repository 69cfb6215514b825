//! The song plan: a planner's answer, typed where the generator needs it, whole otherwise.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::lenient;
use crate::provenance::Origin;

/// What a planner made of a narrative. Numbers and booleans that stand where a text is meant are
/// read as their text. Fields that are not named here, and values of a type that cannot be read,
/// are kept as they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct Plan {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tempo: Option<Tempo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_signature: Option<String>,
    /// One word or a list of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrumentation: Option<OneOrMany>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl From<Map<String, Value>> for Plan {
    fn from(mut fields: Map<String, Value>) -> Self {
        Self {
            title: take(&mut fields, "title", lenient::scalar),
            genre: take(&mut fields, "genre", lenient::scalar),
            tempo: take(&mut fields, "tempo", Tempo::read),
            key: take(&mut fields, "key", lenient::scalar),
            time_signature: take(&mut fields, "time_signature", lenient::scalar),
            mood: take(&mut fields, "mood", OneOrMany::read),
            instrumentation: take(&mut fields, "instrumentation", OneOrMany::read),
            rest: fields,
        }
    }
}

/// Takes a field out if it can be read; `null` is absent.
fn take<T>(
    fields: &mut Map<String, Value>,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    let value = fields.get(name)?;
    let (read, is_null) = (read(value), value.is_null());
    if read.is_some() || is_null {
        fields.remove(name);
    }
    read
}

/// Beats a minute, or a word ("slow").
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Tempo {
    Bpm(Number),
    Word(String),
}

impl Tempo {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(bpm) => Some(Self::Bpm(bpm.clone())),
            Value::String(text) => Some(match bpm(text) {
                Some(bpm) => Self::Bpm(bpm),
                None => Self::Word(text.clone()),
            }),
            _ => None,
        }
    }
}

/// The number in a text such as `120` or `120 BPM`.
fn bpm(text: &str) -> Option<Number> {
    let text = text.trim().to_ascii_lowercase();
    let unit = ["bpm", "beats per minute"];
    let digits = unit.iter().find_map(|unit| text.strip_suffix(unit));
    let digits = digits.unwrap_or(&text).trim_end();
    let whole = digits.parse::<u64>().ok().map(Number::from);
    whole.or_else(|| Number::from_f64(digits.parse().ok()?))
}

/// A text, or a list of texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    /// What stands between the texts and is none is kept, and left out of the prompt.
    Many(Vec<Value>),
}

impl OneOrMany {
    /// `None` if there is no text in it.
    fn read(value: &Value) -> Option<Self> {
        let Value::Array(items) = value else {
            return lenient::scalar(value).map(Self::One);
        };
        let items: Vec<_> = items
            .iter()
            .filter(|item| !item.is_null())
            .map(|item| lenient::scalar(item).map_or_else(|| item.clone(), Value::String))
            .collect();
        let some = items.is_empty() || items.iter().any(Value::is_string);
        some.then_some(Self::Many(items))
    }

    fn join(&self) -> String {
        match self {
            Self::One(text) => text.trim().to_owned(),
            Self::Many(items) => items
                .iter()
                .filter_map(|item| Some(item.as_str()?.trim()))
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

/// `jobs/<id>/plan.json`: a plan, and who made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub song: Plan,
    pub by: Origin,
}

impl Planned {
    /// The answer of a planner: see [`Plan::parse`]. Beside a wrapped song it may say its `model` and `version`.
    pub fn parse(service: &str, answer: Value) -> Result<Self, NotAPlan> {
        let said = |name: &str| match answer.get("song")? {
            Value::Object(_) => lenient::text(answer.get(name)?),
            _ => None,
        };
        let by = Origin {
            service: service.to_owned(),
            model: said("model"),
            version: said("version"),
        };
        Ok(Self {
            song: Plan::parse(answer)?,
            by,
        })
    }
}

/// The planner's answer is no plan.
#[derive(Debug, thiserror::Error)]
#[error("the plan is not a JSON object with a title, genre, mood, tempo or instrumentation: {0}")]
pub struct NotAPlan(&'static str);

impl Plan {
    /// Accepts `{…}` and `{song: {…}}`. A plan that says nothing about the music is refused.
    pub fn parse(answer: Value) -> Result<Self, NotAPlan> {
        let Value::Object(mut fields) = answer else {
            return Err(NotAPlan("it is no object"));
        };
        if let Some(Value::Object(song)) = fields.get_mut("song") {
            fields = std::mem::take(song);
        }
        let plan = Self::from(fields);
        let says_something = plan.title.is_some()
            || plan.genre.is_some()
            || plan.mood.is_some()
            || plan.tempo.is_some()
            || plan.instrumentation.is_some();
        if says_something {
            Ok(plan)
        } else {
            Err(NotAPlan("none of them is there"))
        }
    }

    /// All the words, if the plan has some: its lyrics, or else verse and chorus.
    pub fn lyrics(&self) -> Option<String> {
        let words = |name: &str| match self.rest.get(name)? {
            Value::Array(lines) => {
                let lines: Vec<_> = lines.iter().filter_map(lenient::scalar).collect();
                Some(lines.join("\n"))
            }
            text => lenient::scalar(text),
        };
        let some = |name: &str| words(name).filter(|words| !words.trim().is_empty());
        some("lyrics").or_else(|| {
            let parts: Vec<_> = ["verse_1", "chorus"].into_iter().filter_map(some).collect();
            (!parts.is_empty()).then(|| parts.join("\n\n"))
        })
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
            Some(Tempo::Bpm(bpm)) => {
                parts.push(format!("at {} BPM", bpm.as_f64().unwrap_or_default()));
            }
            Some(Tempo::Word(word)) if !word.is_empty() => parts.push(format!("tempo {word}")),
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
    fn a_field_of_an_odd_type_does_not_cost_the_plan() {
        let answer = json!({
            "title": 1999, "genre": ["jazz"], "tempo": "120 BPM", "key": true, "time_signature": null,
            "mood": {"primary": "calm"}, "instrumentation": ["piano", 808, null, {"name": "bass"}, ""],
        });
        let plan = Plan::parse(answer).unwrap();
        assert_eq!(
            plan.prompt("rain"),
            "with piano, 808, at 120 BPM, in true. rain"
        );
        let kept = json!({
            "title": "1999", "genre": ["jazz"], "tempo": 120, "key": "true",
            "mood": {"primary": "calm"}, "instrumentation": ["piano", "808", {"name": "bass"}, ""],
        });
        assert_eq!(json!(plan), kept);
        let stored: Plan = serde_json::from_value(kept).unwrap();
        assert_eq!(stored, plan);
    }

    #[test]
    fn a_tempo_is_a_number_if_its_text_is_one() {
        for (tempo, said) in [
            (json!("120"), "at 120 BPM"),
            (json!(" 92.5bpm"), "at 92.5 BPM"),
            (json!("80 beats per minute"), "at 80 BPM"),
            (json!("slow (70 BPM)"), "tempo slow (70 BPM)"),
            (json!("inf"), "tempo inf"),
        ] {
            let plan = Plan::parse(json!({"tempo": tempo})).unwrap();
            assert_eq!(plan.prompt(""), format!("{said}. "));
        }
        assert!(Plan::parse(json!({"tempo": [120]})).is_err());
    }

    #[test]
    fn what_says_nothing_about_music_is_no_plan() {
        for answer in [
            json!("hello"),
            json!([]),
            json!({}),
            json!({"error": "busy"}),
            json!({"title": [3], "mood": [[]]}),
        ] {
            assert!(Plan::parse(answer.clone()).is_err(), "{answer}");
        }
    }

    #[test]
    fn the_lyrics_are_the_words_that_there_are() {
        for (plan, words) in [
            (json!({"lyrics": "la\nla", "chorus": "x"}), Some("la\nla")),
            (json!({"lyrics": ["la", 7, {}]}), Some("la\n7")),
            (
                json!({"lyrics": " ", "verse_1": "a", "chorus": "b"}),
                Some("a\n\nb"),
            ),
            (json!({"lyrics": {}, "chorus": []}), None),
        ] {
            let plan = Plan::from(plan.as_object().unwrap().clone());
            assert_eq!(plan.lyrics().as_deref(), words);
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
