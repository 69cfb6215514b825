//! What a Cog model is given: it names its inputs itself, in a schema, or has none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::models::RenderRequest;

/// The names that models give to what we have for them; the first that there is gets it.
const PROMPT: [&str; 3] = ["prompt", "text", "description"];
const DURATION: [&str; 5] = [
    "duration",
    "seconds_total",
    "seconds",
    "length",
    "audio_length",
];
const SEED: [&str; 1] = ["seed"];

/// Inputs of one model that are looked at, and bytes of a name.
const MAX_INPUTS: usize = 256;
const MAX_NAME: usize = 100;
/// How deep, and how wide, an input's type is followed.
const MAX_DEPTH: usize = 6;
const MAX_PARTS: usize = 64;

/// How long an answer is believed: the image behind an address may be another one tomorrow.
const BELIEVED: Duration = Duration::from_secs(300);

/// Where the parts of a request go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inputs {
    prompt: Option<String>,
    duration: Option<String>,
    seed: Option<String>,
    /// Largest seed that it takes.
    seed_most: Option<u64>,
    /// What a caller's option may set.
    options: BTreeSet<String>,
}

impl Inputs {
    /// Of a model without a schema. It fails for an input that it does not have, so it gets no options.
    pub(super) fn plain() -> Self {
        Self {
            prompt: Some(PROMPT[0].to_owned()),
            duration: Some(DURATION[0].to_owned()),
            seed: Some(SEED[0].to_owned()),
            seed_most: None,
            options: BTreeSet::new(),
        }
    }

    /// From an OpenAPI document; `None` if it describes no inputs.
    pub(super) fn of_schema(document: &Value) -> Option<Self> {
        let properties = document.pointer("/components/schemas/Input/properties")?;
        let properties = properties.as_object()?.iter().take(MAX_INPUTS);
        let plain: BTreeMap<&str, Vec<&Value>> = properties
            .filter(|(name, _)| name.len() <= MAX_NAME)
            .filter_map(|(name, property)| Some((name.as_str(), plain_parts(document, property)?)))
            .collect();
        let first = |names: &[&str], kinds: &[&str]| {
            let takes = |name: &&&str| plain.get(**name).is_some_and(|parts| takes(parts, kinds));
            names.iter().find(takes).map(|name| (*name).to_owned())
        };
        let numbers = ["integer", "number"];
        let seed = first(&SEED, &numbers);
        let seed_most = seed.as_deref().and_then(|name| {
            let bounds = plain[name].iter().map(|part| &part["maximum"]);
            bounds.filter_map(Value::as_u64).min()
        });
        Some(Self {
            prompt: first(&PROMPT, &["string"]),
            duration: first(&DURATION, &numbers),
            seed,
            seed_most,
            options: plain.keys().map(|name| (*name).to_owned()).collect(),
        })
    }

    /// The `input` of a prediction. Options are the word of a stranger: only texts, numbers and booleans pass, and only where
    /// the model has a place for them that nothing else takes.
    pub(super) fn of(&self, ask: &RenderRequest<'_>) -> Map<String, Value> {
        let seed = u64::from(ask.seed);
        // The same seed still gives the same audio.
        let seed = match self.seed_most {
            Some(most) if most < seed => seed % (most + 1),
            _ => seed,
        };
        let ours = [
            (&self.prompt, json!(ask.prompt)),
            (&self.duration, json!(ask.duration)),
            (&self.seed, json!(seed)),
        ];
        let mut input: Map<_, _> = ours
            .into_iter()
            .filter_map(|(name, value)| Some((name.clone()?, value)))
            .collect();
        for (name, value) in ask.options {
            let scalar = value.is_string() || value.is_number() || value.is_boolean();
            if scalar && self.options.contains(name) && !input.contains_key(name) {
                input.insert(name.clone(), value.clone());
            }
        }
        input
    }
}

/// Everything that describes the input. `None` for one with a `format`, which is an address of a file to fetch or a secret,
/// and for one that cannot be followed to its end.
fn plain_parts<'a>(document: &'a Value, property: &'a Value) -> Option<Vec<&'a Value>> {
    let mut parts = Vec::new();
    collect(document, property, MAX_DEPTH, &mut parts)?;
    parts
        .iter()
        .all(|part| part.get("format").is_none())
        .then_some(parts)
}

/// Follows references, wrappers (`allOf` holds the list of choices, `anyOf` an optional input) and lists.
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

/// Whether an input takes a value of one of these types.
fn takes(parts: &[&Value], kinds: &[&str]) -> bool {
    let is = |kind: &Value| kind.as_str().is_some_and(|kind| kinds.contains(&kind));
    parts.iter().any(|part| match &part["type"] {
        Value::Array(several) => several.iter().any(is),
        one => is(one),
    })
}

/// What the model last said of its inputs, and when.
#[derive(Debug, Default)]
pub(super) struct Memory(Option<(SystemTime, Inputs)>);

impl Memory {
    pub(super) fn keep(&mut self, inputs: Inputs, now: SystemTime) {
        self.0 = Some((now, inputs));
    }

    /// What it said lately. A function may be frozen in between, so this goes by wall clock.
    pub(super) fn fresh(&self, now: SystemTime) -> Option<Inputs> {
        let (at, inputs) = self.0.as_ref()?;
        let age = now.duration_since(*at).ok()?;
        (age < BELIEVED).then(|| inputs.clone())
    }

    /// What it said last, however long ago.
    pub(super) fn last(&self) -> Option<Inputs> {
        self.0.as_ref().map(|(_, inputs)| inputs.clone())
    }
}

#[cfg(test)]
mod tests;
