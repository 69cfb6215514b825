//! What a Cog model is given: it names its inputs itself, in a schema, or has none. Nothing of a
//! request is left out in silence: what has no place is a refusal.

mod role;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::models::{Fault, RenderRequest};
pub use role::NamedInputs;
use role::Role;
use schema::Described;

/// What a model without a schema is given.
const USUAL: [Role; 3] = [Role::Prompt, Role::Duration, Role::Seed];

/// Sent where words must be, and the plan has none.
const NO_WORDS: &str = "[instrumental]";

/// Inputs of one model that are looked at, bytes of a name, and options that a refusal names.
const MAX_INPUTS: usize = 256;
const MAX_NAME: usize = 100;
const MAX_NAMED: usize = 3;

/// The gate refuses audio that is shorter by more than this.
const LEAST: f64 = 0.9;

/// How long an answer is believed: the image behind an address may be another one tomorrow.
const BELIEVED: Duration = Duration::from_secs(300);

/// Where the parts of a request go.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inputs {
    places: BTreeMap<Role, Place>,
    /// What a caller's option may set.
    options: BTreeSet<String>,
    /// What the model does not run without.
    required: BTreeSet<String>,
    /// What the operator names, and the model does not have.
    missing: Option<String>,
}

/// One input of the model.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    name: String,
    /// The numbers that it takes; empty for any.
    choices: Vec<(f64, Value)>,
    /// Largest number that it takes.
    most: Option<u64>,
    /// The model has words of its own for it.
    has_words: bool,
}

/// What a prediction is made from.
#[derive(Debug, PartialEq)]
pub(super) struct Given {
    pub(super) input: Map<String, Value>,
    /// The seed in it, if the model takes one.
    pub(super) seed: Option<u32>,
}

impl Inputs {
    /// Of a model without a schema. It fails for an input that it does not have, so it gets no options.
    pub(super) fn plain(named: &NamedInputs) -> Self {
        let name = |role| match named.is_empty() {
            true => USUAL.contains(&role).then(|| role.names()[0]),
            false => named.get(role),
        };
        let place = |name: &str| Place {
            name: name.to_owned(),
            choices: Vec::new(),
            most: None,
            has_words: false,
        };
        let places = Role::ALL.into_iter();
        Self {
            places: places
                .filter_map(|role| Some((role, place(name(role)?))))
                .collect(),
            options: BTreeSet::new(),
            required: BTreeSet::new(),
            missing: None,
        }
    }

    /// From an OpenAPI document; `None` if it describes no inputs.
    pub(super) fn of_schema(document: &Value, named: &NamedInputs) -> Option<Self> {
        let schema = document.pointer("/components/schemas/Input")?;
        let properties = schema
            .get("properties")?
            .as_object()?
            .iter()
            .take(MAX_INPUTS);
        let plain: BTreeMap<&str, Described<'_>> = properties
            .filter(|(name, _)| name.len() <= MAX_NAME)
            .filter_map(|(name, property)| {
                Some((name.as_str(), Described::plain(document, property)?))
            })
            .collect();
        let mut inputs = Self {
            places: BTreeMap::new(),
            options: plain.keys().map(|name| (*name).to_owned()).collect(),
            required: BTreeSet::new(),
            missing: None,
        };
        let required = schema["required"].as_array().into_iter().flatten();
        let required = required.filter_map(|name| Some(name.as_str()?.to_owned()));
        inputs.required.extend(required.take(MAX_INPUTS));
        for role in Role::ALL {
            let fits = |name: &&str| plain.get(name).is_some_and(|input| fits(role, input));
            let found = match named.get(role) {
                Some(name) => Some(name).filter(fits),
                None => role.names().iter().copied().find(fits),
            };
            if let Some(name) = found {
                inputs.places.insert(role, Place::of(name, &plain[name]));
            } else if let Some(name) = named.get(role) {
                inputs.missing = Some(name.to_owned());
            }
        }
        Some(inputs)
    }

    /// The `input` of a prediction, or why the model cannot be given all of the request.
    pub(super) fn of(&self, ask: &RenderRequest<'_>) -> Result<Given, Fault> {
        if let Some(name) = &self.missing {
            let why = format!("has no input {name}, which COG_INPUTS names");
            return Err(Fault::Incompatible(why));
        }
        let prompt = self.places.get(&Role::Prompt).ok_or_else(|| {
            let why = "has no known input for the prompt; COG_INPUTS must name it";
            Fault::Incompatible(why.to_owned())
        })?;
        let mut input = Map::from_iter([(prompt.name.clone(), json!(ask.prompt))]);
        if let Some(place) = self.places.get(&Role::Duration) {
            input.insert(place.name.clone(), place.length(ask.duration)?);
        }
        let seed = self.places.get(&Role::Seed).map(|place| {
            let seed = place.seed(ask.seed);
            input.insert(place.name.clone(), json!(seed));
            seed
        });
        let ours: BTreeSet<_> = input.keys().cloned().collect();
        if let Some(place) = self.places.get(&Role::Lyrics) {
            let needed = place.has_words || self.required.contains(&place.name);
            let none = || needed.then(|| NO_WORDS.to_owned());
            if let Some(words) = ask.plan.lyrics().or_else(none) {
                input.insert(place.name.clone(), json!(words));
            }
        }
        self.add_options(ask.options, &ours, &mut input)?;
        match self.required.iter().find(|name| !input.contains_key(*name)) {
            Some(name) => Err(Fault::Incompatible(format!(
                "needs the input {}, for which there is nothing",
                short(name)
            ))),
            None => Ok(Given { input, seed }),
        }
    }

    /// Options are the word of a stranger: only texts, numbers and booleans pass, and only where
    /// the model has a place for them that the request itself does not take.
    fn add_options(
        &self,
        options: &Map<String, Value>,
        ours: &BTreeSet<String>,
        input: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        let mut refused = Vec::new();
        for (name, value) in options.iter().filter(|(_, value)| !value.is_null()) {
            let scalar = value.is_string() || value.is_number() || value.is_boolean();
            match self.option(name) {
                Some(place) if scalar && !ours.contains(place) => {
                    input.insert(place.to_owned(), value.clone());
                }
                _ => refused.push(format!("options.{}", short(name))),
            }
        }
        match refused.is_empty() {
            true => Ok(()),
            false => {
                refused.truncate(MAX_NAMED);
                Err(Fault::Unsupported(refused.join(", ")))
            }
        }
    }

    /// The input of this name, or of this role under another name.
    fn option<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.options.contains(name) {
            return Some(name);
        }
        let roles = [Role::NegativePrompt, Role::Lyrics].into_iter();
        let mut roles = roles.filter(|role| role.names().contains(&name));
        roles.find_map(|role| Some(self.places.get(&role)?.name.as_str()))
    }
}

fn fits(role: Role, input: &Described<'_>) -> bool {
    match role {
        Role::Prompt | Role::Lyrics | Role::NegativePrompt => input.takes_text(),
        Role::Duration => input.takes_numbers(),
        // A seed out of a few choices would be another seed.
        Role::Seed => input.takes_numbers() && !input.is_a_choice(),
    }
}

fn short(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

impl Place {
    fn of(name: &str, input: &Described<'_>) -> Self {
        Self {
            name: name.to_owned(),
            choices: input.choices(),
            most: input.most(),
            has_words: input.has_words(),
        }
    }

    /// These seconds in the unit of the input; the nearest of its choices that the gate will not
    /// find too short.
    fn length(&self, seconds: u32) -> Result<Value, Fault> {
        let is_ms = self.name.ends_with("_ms") || self.name.contains("millis");
        let length = u64::from(seconds) * if is_ms { 1000 } else { 1 };
        if self.choices.is_empty() {
            return Ok(json!(length));
        }
        let wanted = length as f64;
        let far = |choice: &(f64, Value)| (choice.0 - wanted).abs();
        let long_enough = self
            .choices
            .iter()
            .filter(|choice| choice.0 >= wanted * LEAST);
        let nearest = long_enough.min_by(|a, b| far(a).total_cmp(&far(b)));
        nearest
            .map(|(_, choice)| choice.clone())
            .ok_or_else(|| Fault::Unsupported(format!("a duration of {seconds} s")))
    }

    /// One over the largest is taken modulo: the same seed still gives the same audio.
    fn seed(&self, seed: u32) -> u32 {
        match self.most.map(u32::try_from) {
            Some(Ok(most)) if most < seed => seed % (most + 1),
            _ => seed,
        }
    }
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
