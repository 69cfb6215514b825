//! What serde says about a field, in words for callers: a pointer, a stable code, a sentence without Rust in it.

use serde_path_to_error::{Path, Segment};

use crate::pointer::escaped;
use crate::problem::FieldError;

/// From the place where reading stopped and serde's message.
pub(super) fn field_error(path: &Path, message: &str) -> FieldError {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(text, _)| text);
    let (code, missing, detail) = describe(message);
    let mut pointer = pointer(path);
    if let Some(name) = missing {
        pointer.push('/');
        pointer.push_str(&escaped(name));
    }
    FieldError::new(pointer, code, detail)
}

/// RFC 6901.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escaped(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// The code, the missing field's name if one is missing, and the sentence.
fn describe(message: &str) -> (&'static str, Option<&str>, String) {
    let quoted = message.split('`').nth(1);
    let expected = message.split_once("expected ").map(|(_, text)| text);
    let starts = |words: &str| message.starts_with(words);
    match expected {
        _ if starts("missing field") => ("missing", quoted, "this field is required".to_owned()),
        _ if starts("duplicate field") => {
            ("duplicate", None, "this field is given twice".to_owned())
        }
        _ if starts("number out of range") => {
            ("out_of_range", None, "the number is too large".to_owned())
        }
        _ if message == "expected value" => {
            ("wrong_type", None, "expected another value".to_owned())
        }
        _ if starts("unknown field") => (
            "unknown_field",
            None,
            "this field is not known here".to_owned(),
        ),
        Some(text) if starts("unknown variant") => {
            ("unknown_value", None, format!("expected {}", plain(text)))
        }
        Some(text) if starts("invalid value") => {
            ("out_of_range", None, format!("expected {}", plain(text)))
        }
        Some(text) if starts("invalid type") => {
            ("wrong_type", None, format!("expected {}", plain(text)))
        }
        Some(text) if starts("invalid length") => {
            ("wrong_length", None, format!("expected {}", plain(text)))
        }
        _ => ("invalid", None, message.to_owned()),
    }
}

/// Serde's name of a type, in a caller's words.
fn plain(expected: &str) -> String {
    let plain = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        "a string" | "a borrowed string" => "a string",
        "unit" => "null",
        text if text.starts_with("struct ") => "an object",
        text if text.starts_with("tuple ") => "an array",
        text if text.starts_with("enum ") || text.starts_with("variant ") => "another value",
        text => return text.replace('`', ""),
    };
    plain.to_owned()
}
