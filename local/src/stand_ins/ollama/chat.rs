//! One chat: what is asked, what the model says, and in which pieces.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::MODEL;
use crate::stand_ins::jen1::planner;

/// Characters of the text in one object: words and their letters are cut anywhere, as tokens are.
const PIECE: usize = 5;
/// Bytes that leave at once: lines and letters of several bytes are cut anywhere, as networks do.
const CHUNK: usize = 61;

/// The body of `POST /api/chat`.
#[derive(Debug, Deserialize)]
pub(super) struct Chat {
    pub(super) model: String,
    messages: Vec<Message>,
    /// A JSON Schema; other ways to ask for JSON are not known here.
    format: Option<Schema>,
    #[serde(default = "yes")]
    pub(super) stream: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: String,
}

#[derive(Debug, Deserialize)]
struct Schema {
    properties: Map<String, Value>,
}

/// The user's message, if it is JSON.
#[derive(Deserialize)]
struct Wishes {
    narrative: String,
    #[serde(default = "usual_seconds")]
    duration: f64,
}

impl Chat {
    /// A plan as JSON text, with the fields that the schema names.
    pub(super) fn plan(&self) -> String {
        let Wishes {
            narrative,
            duration,
        } = self.wishes();
        let plan = planner::plan(&narrative, duration.clamp(1.0, 3_600.0));
        let Some(schema) = &self.format else {
            return json!(plan).to_string();
        };
        let Value::Object(mut fields) = json!(plan) else {
            return String::new();
        };
        fields.retain(|name, _| schema.properties.contains_key(name));
        for (name, value) in &mut fields {
            if schema.properties[name]["type"] == "integer" {
                *value = json!(value.as_f64().unwrap_or_default().round() as i64);
            }
        }
        Value::Object(fields).to_string()
    }

    /// What a model says that does not care for the schema.
    pub(super) fn prose(&self) -> String {
        format!(
            "Of course! A song about “{}”: la la la…",
            self.wishes().narrative
        )
    }

    fn wishes(&self) -> Wishes {
        let said = self.messages.iter().find(|message| message.role == "user");
        let said = said.map_or("", |message| message.content.as_str());
        serde_json::from_str(said).unwrap_or_else(|_| Wishes {
            narrative: said.to_owned(),
            duration: usual_seconds(),
        })
    }
}

/// One object of an answer.
pub(super) fn piece(content: &str, done: bool) -> Value {
    let mut piece = json!({
        "model": MODEL, "created_at": chrono::Utc::now().to_rfc3339(), "done": done,
        "message": {"role": "assistant", "content": content}
    });
    if done {
        piece["done_reason"] = "stop".into();
    }
    piece
}

/// A whole streamed answer.
pub(super) fn pieces(content: &str) -> Vec<u8> {
    let letters: Vec<char> = content.chars().collect();
    let mut lines: String = letters
        .chunks(PIECE)
        .map(|letters| format!("{}\n", piece(&letters.iter().collect::<String>(), false)))
        .collect();
    lines += &format!("{}\n", piece("", true));
    lines.into_bytes()
}

/// The bytes as they leave.
pub(super) fn chunks(body: Vec<u8>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let body = Bytes::from(body);
    let starts = (0..body.len()).step_by(CHUNK);
    let cut = starts.map(move |at| Ok(body.slice(at..body.len().min(at + CHUNK))));
    stream::iter(cut)
}

fn yes() -> bool {
    true
}

fn usual_seconds() -> f64 {
    30.0
}
