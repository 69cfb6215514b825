//! JSON from model services, and the values in it: read liberally, because what stands in it was
//! paid for.
//!
//! [`mended`] turns what models and their servers write into strict JSON: raw control characters
//! and half surrogate pairs in strings, invalid UTF-8, comments, trailing commas, and numbers and
//! words that only Python or JavaScript know. Sound JSON is borrowed as it is.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::number;

/// Characters of a note that are kept.
const MOST_SAID: usize = 200;

/// Reads one JSON value of a model service.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(&mended(bytes))
}

/// The same text as strict JSON, as far as that can be had.
pub fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => match Mender::run(text) {
            None => Cow::Borrowed(bytes),
            Some(mended) => Cow::Owned(mended.into_bytes()),
        },
        Cow::Owned(text) => Cow::Owned(Mender::run(&text).unwrap_or(text).into_bytes()),
    }
}

/// Copies a text piece by piece once something in it must change.
struct Mender<'a> {
    text: &'a str,
    at: usize,
    /// Up to here the text is in `out`.
    copied: usize,
    out: String,
    changed: bool,
}

impl<'a> Mender<'a> {
    fn run(text: &'a str) -> Option<String> {
        let mut mender = Self {
            text,
            at: 0,
            copied: 0,
            out: String::new(),
            changed: false,
        };
        while let Some(&byte) = text.as_bytes().get(mender.at) {
            match byte {
                b'"' => mender.string(),
                b',' => mender.comma(),
                b'/' | b'#' => mender.comment(),
                _ if is_word(byte) => mender.word(),
                _ => mender.at += 1,
            }
        }
        mender.changed.then(|| {
            mender.out.push_str(&text[mender.copied..]);
            mender.out
        })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Puts `with` in the place of the next `length` bytes.
    fn replace(&mut self, length: usize, with: &str) {
        self.out.push_str(&self.text[self.copied..self.at]);
        self.out.push_str(with);
        self.at += length;
        self.copied = self.at;
        self.changed = true;
    }

    fn string(&mut self) {
        self.at += 1;
        loop {
            let odd = |byte: &u8| matches!(byte, b'"' | b'\\') || *byte < b' ';
            let Some(plain) = self.rest().bytes().position(|byte| odd(&byte)) else {
                self.at = self.text.len();
                return;
            };
            self.at += plain;
            match self.text.as_bytes()[self.at] {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' => self.escape(),
                control => self.replace(1, &format!("\\u{control:04x}")),
            }
        }
    }

    fn escape(&mut self) {
        let rest = self.rest();
        match rest.as_bytes().get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match unit(rest) {
                Some(0xd800..=0xdbff) => match rest.get(6..).and_then(unit) {
                    Some(0xdc00..=0xdfff) => self.at += 12,
                    _ => self.replace(6, "\u{fffd}"),
                },
                Some(0xdc00..=0xdfff) => self.replace(6, "\u{fffd}"),
                Some(_) => self.at += 6,
                None => self.replace(1, "\\\\"),
            },
            // JSON does not know `\'`: the sign itself is meant.
            Some(b'\'') => self.replace(1, ""),
            _ => self.replace(1, "\\\\"),
        }
    }

    /// A comma before a closing bracket goes.
    fn comma(&mut self) {
        let mut rest = self.text[self.at + 1..].trim_start();
        while let Some(length) = comment(rest) {
            rest = rest[length..].trim_start();
        }
        match rest.starts_with(['}', ']']) {
            true => self.replace(1, ""),
            false => self.at += 1,
        }
    }

    fn comment(&mut self) {
        match comment(self.rest()) {
            Some(length) => self.replace(length, ""),
            None => self.at += 1,
        }
    }

    /// A number, or a word such as `true`.
    fn word(&mut self) {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !is_word(byte));
        let word = &rest[..length.unwrap_or(rest.len())];
        match strict(word) {
            Some(json) => self.replace(word.len(), &json),
            None => self.at += word.len(),
        }
    }
}

/// The UTF-16 unit of the escape that a text begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// The length of the comment that a text begins with.
fn comment(text: &str) -> Option<usize> {
    if let Some(inside) = text.strip_prefix("/*") {
        return Some(inside.find("*/").map_or(text.len(), |end| end + 4));
    }
    let line = text.starts_with("//") || text.starts_with('#');
    line.then(|| text.find('\n').unwrap_or(text.len()))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

/// What JSON writes for a word that it does not know; `None` if it is to stay.
fn strict(word: &str) -> Option<String> {
    let is_json = serde_json::from_str::<Value>(word).is_ok();
    if is_json {
        return None;
    }
    match word {
        "True" | "TRUE" => return Some("true".to_owned()),
        "False" | "FALSE" => return Some("false".to_owned()),
        "None" | "undefined" | "NULL" | "Null" => return Some("null".to_owned()),
        _ => {}
    }
    // `+5`, `.5`, `5.` and `05` are numbers to Rust; NaN, Infinity and 1e999 have no JSON.
    let number: f64 = word.parse().ok()?;
    Some(match number.is_finite() {
        true => serde_json::Number::from_f64(number)?.to_string(),
        false => "null".to_owned(),
    })
}

/// A value as a note in words: a text, cut, or a number or boolean as its text.
pub fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.chars().take(MOST_SAID).collect(),
        other => scalar(other)?,
    };
    (!text.is_empty()).then_some(text)
}

/// A text, number or boolean as its text, whole.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A whole number, also written with a point or as a text.
pub fn whole(value: &Value) -> Option<u32> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => number::of(other)?,
    };
    number.try_into().ok()
}

/// A number, also as a text, with or without a sign for per cent.
pub fn real(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().trim_end_matches('%').trim_end().parse().ok()?,
        other => other.as_f64()?,
    };
    number.is_finite().then_some(number)
}

/// Whether a value says yes: `true`, `1`, or one of them as a text.
pub fn yes(value: &Value) -> bool {
    scalar(value).is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "1"))
}

/// A field of an object; `null` is absent.
pub fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sound_json_is_borrowed_as_it_is() {
        for text in [
            "",
            r#"{"a": [1, -2.5e3, true, null, "x\u00e9\ud83d\ude00\n\"//#,]"], "b": {}}"#,
            "\"é 🌧\"",
        ] {
            assert!(
                matches!(mended(text.as_bytes()), Cow::Borrowed(same) if same == text.as_bytes())
            );
        }
    }

    #[test]
    fn oddities_of_models_are_mended() {
        for (odd, sound) in [
            ("\"one\ntwo\t\u{1}\"", json!("one\ntwo\t\u{1}")),
            (r#""half \ud83d""#, json!("half \u{fffd}")),
            (
                r#""\ude00 \ud83dx \ud83d\ud83d\ude00""#,
                json!("\u{fffd} \u{fffd}x \u{fffd}😀"),
            ),
            (
                r#""it\'s \x41 C:\dir \u12""#,
                json!("it's \\x41 C:\\dir \\u12"),
            ),
            ("[1, 2, ]", json!([1, 2])),
            ("{\"a\": 1, // note\n /* } */ }", json!({"a": 1})),
            (
                "[NaN, -Infinity, 1e999, +5, .5, 5., 072]",
                json!([null, null, null, 5.0, 0.5, 5.0, 72.0]),
            ),
            ("[True, False, None]", json!([true, false, null])),
            ("\u{feff}{\"a\": 1}", json!({"a": 1})),
        ] {
            let value: Value = read(odd.as_bytes()).unwrap_or_else(|why| panic!("{odd}: {why}"));
            assert_eq!(value, sound, "{odd}");
        }
        let latin: Value = read(b"\"caf\xe9\"").unwrap();
        assert_eq!(latin, json!("caf\u{fffd}"));
    }

    #[test]
    fn what_ends_too_early_or_is_no_json_stays_so() {
        for text in [
            "\"half",
            "{\"a\": \"x\\",
            "{a: 1}",
            "\"\\u",
            "/* no end",
            "[1,,]",
            "hello",
        ] {
            assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_read_by_what_they_mean() {
        assert_eq!(text(&json!(3)).as_deref(), Some("3"));
        assert_eq!(text(&json!("x".repeat(999))).unwrap().len(), MOST_SAID);
        assert_eq!(text(&json!({"a": 1})), None);
        assert_eq!(whole(&json!("42")), Some(42));
        assert_eq!(whole(&json!(42.0)), Some(42));
        assert_eq!(whole(&json!(9_223_372_036_854_775_813_u64)), None);
        assert_eq!(real(&json!("42 %")), Some(42.0));
        assert_eq!(real(&json!("inf")), None);
        assert!(yes(&json!("True")) && yes(&json!(1)) && !yes(&json!(null)) && !yes(&json!("no")));
    }
}
