//! What holds between fields: no derive can say it.

use serde_json::{Value, json};

/// Adds each condition to its schema.
pub(crate) fn add(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    for (name, condition) in conditions() {
        crate::merge(&mut schemas[name], condition);
    }
}

fn conditions() -> Vec<(&'static str, Value)> {
    let nothing = json!({"type": "null"});
    vec![
        // One of the two.
        (
            "Redrive",
            json!({"oneOf": [
                {"required": ["jobIds"], "properties": {"jobIds": {"type": "array"}, "limit": nothing}},
                {"required": ["limit"], "properties": {"limit": {"type": "integer"}, "jobIds": nothing}},
            ]}),
        ),
        (
            "FieldError",
            json!({"properties": {"code": {"enum": crate::FIELD_CODES}}}),
        ),
        ("Plan", plan()),
        (
            "PlanMade",
            json!({"properties": {
                "plan": {"$ref": "#/components/schemas/Plan"},
                "uploaded": {"type": "boolean"},
                "audioUrl": {"type": ["string", "null"]},
                "seed": {"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX},
                "sha256": {"type": ["string", "null"]},
            }}),
        ),
        (
            "AudioUploaded",
            json!({"properties": {"uploaded": {"const": true}, "audioUrl": nothing, "plan": nothing}}),
        ),
        (
            "AudioAddress",
            json!({"properties": {"uploaded": {"const": false}, "plan": nothing}}),
        ),
    ]
}

/// It says something about the music, by itself or in `song`.
fn plan() -> Value {
    let text = json!({"type": ["string", "null"]});
    let words = json!({"anyOf": [text, {"type": "array", "items": {"type": "string"}}]});
    let said =
        |name: &str| json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}});
    let something = ["title", "genre", "tempo", "mood", "instrumentation"].map(said);
    let song = json!({
        "type": "object",
        "properties": {
            "title": text, "genre": text, "key": text, "time_signature": text,
            "tempo": {"description": "Beats a minute, a number or a word"},
            "mood": words, "instrumentation": words,
        },
        "anyOf": something,
    });
    let mut bare = song.clone();
    bare["properties"]["song"] = json!({"not": {"type": "object"}});
    json!({
        "description": "A song plan; unknown fields are kept.",
        "oneOf": [bare, {"type": "object", "required": ["song"], "properties": {"song": song}}],
    })
}
