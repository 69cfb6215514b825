//! An input as a model's OpenAPI document describes it.

use serde_json::Value;

use crate::lenient;

/// How deep, and how wide, an input's type is followed.
const MAX_DEPTH: usize = 6;
pub(super) const MAX_PARTS: usize = 64;

/// Everything that describes one input.
pub(super) struct Described<'a>(Vec<&'a Value>);

impl<'a> Described<'a> {
    /// `None` for an input with a `format`, which is an address of a file to fetch or a secret, and
    /// for one that cannot be followed to its end.
    pub(super) fn plain(document: &'a Value, property: &'a Value) -> Option<Self> {
        let mut parts = Vec::new();
        collect(document, property, MAX_DEPTH, &mut parts)?;
        let is_plain = parts.iter().all(|part| part.get("format").is_none());
        is_plain.then_some(Self(parts))
    }

    /// Whether the input takes any text.
    pub(super) fn takes_text(&self) -> bool {
        self.takes(&["string"]) && !self.is_a_choice()
    }

    /// Whether the input takes numbers, out of its choices if it has some.
    pub(super) fn takes_numbers(&self) -> bool {
        match self.is_a_choice() {
            true => !self.choices().is_empty(),
            false => self.takes(&["integer", "number"]),
        }
    }

    /// The numbers that the input may be, each with how it is written; empty if it may be any.
    pub(super) fn choices(&self) -> Vec<(f64, Value)> {
        let all = self.0.iter().filter_map(|part| part["enum"].as_array());
        all.flatten()
            .filter_map(|choice| Some((lenient::real(choice)?, choice.clone())))
            .collect()
    }

    pub(super) fn is_a_choice(&self) -> bool {
        self.0.iter().any(|part| part.get("enum").is_some())
    }

    /// Largest number that the input takes.
    pub(super) fn most(&self) -> Option<u64> {
        let bounds = self.0.iter().map(|part| &part["maximum"]);
        bounds.filter_map(Value::as_u64).min()
    }

    /// Whether the model would use words of its own where it is given none.
    pub(super) fn has_words(&self) -> bool {
        let mut defaults = self.0.iter().filter_map(|part| part["default"].as_str());
        defaults.any(|words| !words.trim().is_empty())
    }

    /// Whether one value of these types will do. What takes a list is for nothing that we have.
    fn takes(&self, kinds: &[&str]) -> bool {
        if self.0.iter().any(|part| part["type"] == "array") {
            return false;
        }
        let is = |kind: &Value| kind.as_str().is_some_and(|kind| kinds.contains(&kind));
        self.0.iter().any(|part| match &part["type"] {
            Value::Array(several) => several.iter().any(is),
            one => is(one),
        })
    }
}

/// Follows references, wrappers (`allOf` holds the list of choices, `anyOf` an optional input) and
/// lists.
fn collect<'a>(
    document: &'a Value,
    node: &'a Value,
    depth: usize,
    parts: &mut Vec<&'a Value>,
) -> Option<()> {
    if depth == 0 || parts.len() == MAX_PARTS {
        return None;
    }
    parts.push(node);
    if let Some(reference) = node.get("$ref") {
        let target = document.pointer(reference.as_str()?.strip_prefix('#')?)?;
        collect(document, target, depth - 1, parts)?;
    }
    let wrapped = ["allOf", "anyOf", "oneOf"].into_iter();
    let wrapped = wrapped
        .filter_map(|key| node.get(key)?.as_array())
        .flatten();
    for inner in wrapped.chain(node.get("items")) {
        collect(document, inner, depth - 1, parts)?;
    }
    Some(())
}
