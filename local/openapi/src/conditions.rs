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
    let no_url = json!({"not": {"type": "string", "minLength": 1}});
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
            json!({"properties": {"plan": {"$ref": "#/components/schemas/Plan"}}}),
        ),
        (
            "AudioUploaded",
            json!({"properties": {"uploaded": {"const": true}, "audioUrl": no_url, "plan": nothing}}),
        ),
        (
            "AudioAddress",
            json!({"properties": {"uploaded": {"not": {"const": true}}, "plan": nothing}}),
        ),
    ]
}

/// It says something about the music, by itself or in `song`, that can be read. A field of another type is kept.
fn plan() -> Value {
    let text = json!({"type": ["string", "number", "boolean"]});
    let words = json!({"anyOf": [text, {"type": "array", "maxItems": 0}, {"type": "array", "contains": text}]});
    let tempo = json!({"type": ["string", "number"]});
    let said =
        |(name, shape): (&str, &Value)| json!({"required": [name], "properties": {name: shape}});
    let something = [
        ("title", &text),
        ("genre", &text),
        ("tempo", &tempo),
        ("mood", &words),
        ("instrumentation", &words),
    ];
    let song = json!({
        "type": "object",
        "properties": {
            "title": {"description": "A text"}, "genre": {"description": "A text"},
            "key": {"description": "A text"}, "time_signature": {"description": "A text"},
            "tempo": {"description": "Beats a minute, a number or a word"},
            "mood": {"description": "A text or a list of texts"},
            "instrumentation": {"description": "A text or a list of texts"},
        },
        "anyOf": something.map(said),
    });
    let mut bare = song.clone();
    bare["properties"]["song"] = json!({"not": {"type": "object"}});
    json!({
        "description": "A song plan; unknown fields are kept.",
        "oneOf": [bare, {"type": "object", "required": ["song"], "properties": {"song": song}}],
    })
}
