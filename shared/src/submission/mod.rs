//! What a caller may ask for, parsed at the door: a [`Submission`] that exists is valid.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
use crate::job::sha256_hex;
use crate::number;
use crate::pointer::{self, Fault};
use crate::priority::Priority;

mod body;

pub use body::{Body, Tag, Webhook};

/// Characters of the longest narrative.
pub const NARRATIVE_MAX: usize = 4000;
/// Seconds of the longest track that any model may make.
pub const DURATION_MAX: u32 = 300;
/// Seconds, where the caller does not say.
pub const DURATION_DEFAULT: u32 = 30;
/// Bytes of the options as JSON.
pub const OPTIONS_MAX: usize = 16 * 1024;
/// Labels of one job.
pub const TAGS_MAX: usize = 10;
/// No job may wait or run longer.
pub const CLOCK_MAX: TimeDelta = TimeDelta::days(7);

/// What `model` may be, as the configuration says.
pub trait Catalogue {
    /// Seconds of the longest track of this model; `None` for an unknown one.
    fn max_seconds(&self, model: &str) -> Option<u32>;
    /// The model, where the caller does not say.
    fn default_model(&self) -> &str;
    /// Whether a webhook may have a plain `http` address.
    fn takes_plain_webhooks(&self) -> bool;
}

/// A text to make music of: 1–4000 characters that are not all white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Narrative(String);

impl Narrative {
    /// The text as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A valid request for a track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    pub narrative: Narrative,
    /// Seconds, 1–300.
    pub duration: u32,
    /// A name of the `MODELS` table.
    pub model: String,
    /// Passed on to the models; at most 16 KB of JSON.
    pub options: Map<String, Value>,
    /// The caller's, else one that the server picked.
    pub seed: u32,
    /// The caller chose the seed.
    pub seed_fixed: bool,
    /// At most 10, each 1–64 of `[A-Za-z0-9_.-]`.
    pub tags: Vec<String>,
    #[serde(default)]
    pub priority: Priority,
    /// Where the caller says: the job expires if it has not started by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_by: Option<DateTime<Utc>>,
    /// Where the caller says: the job expires if it has not ended by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_by: Option<DateTime<Utc>>,
    /// Who is told of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Endpoint>,
}

fn digest(asked: &Value) -> String {
    sha256_hex(asked.to_string().as_bytes())
}

struct Fields {
    body: Map<String, Value>,
    errors: Vec<Fault>,
}

impl Submission {
    /// Names the song plan that this asks for: what makes the same plan has the same digest.
    pub fn plan_digest(&self) -> String {
        digest(&json!([
            "plan",
            self.narrative,
            self.duration,
            self.model,
            self.options
        ]))
    }

    /// Names the track, where the caller fixed the seed; else no two are alike.
    pub fn track_digest(&self) -> Option<String> {
        let asked = json!([
            "track",
            self.narrative,
            self.duration,
            self.model,
            self.options,
            self.seed
        ]);
        self.seed_fixed.then(|| digest(&asked))
    }

    /// All errors at once.
    pub fn parse(body: Value, models: &impl Catalogue) -> Result<Self, Vec<Fault>> {
        let Value::Object(body) = body else {
            return Err(vec![Fault {
                pointer: String::new(),
                code: "wrong_type",
                detail: "The body must be a JSON object.".to_owned(),
            }]);
        };
        let mut fields = Fields {
            body,
            errors: Vec::new(),
        };
        let narrative = fields.narrative();
        let model = fields.model(models);
        let duration = fields.duration(model.as_deref().and_then(|m| models.max_seconds(m)));
        let options = fields.options();
        let seed = fields.seed();
        let tags = fields.tags();
        let priority = fields.priority();
        let (start_by, finish_by) = fields.clocks(Utc::now());
        let webhook = fields.webhook(models.takes_plain_webhooks());
        fields.leftovers();
        match (narrative, model, fields.errors.is_empty()) {
            (Some(narrative), Some(model), true) => Ok(Self {
                narrative,
                duration,
                model,
                options,
                seed: seed.unwrap_or_else(|| fastrand::u32(..)),
                seed_fixed: seed.is_some(),
                tags,
                priority,
                start_by,
                finish_by,
                webhook,
            }),
            _ => Err(fields.errors),
        }
    }
}

impl Fields {
    fn refuse(
        &mut self,
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) {
        self.errors.push(Fault {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
        });
    }

    /// `null` counts as absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.body.remove(name).filter(|value| !value.is_null())
    }

    fn narrative(&mut self) -> Option<Narrative> {
        match self.take("narrative") {
            None => self.refuse("/narrative", "required", "The narrative is missing."),
            Some(Value::String(text)) if text.trim().is_empty() => {
                self.refuse("/narrative", "too_short", "The narrative is empty.");
            }
            Some(Value::String(text)) if text.chars().count() > NARRATIVE_MAX => {
                self.refuse(
                    "/narrative",
                    "too_long",
                    format!("The narrative has over {NARRATIVE_MAX} characters."),
                );
            }
            Some(Value::String(text)) => return Some(Narrative(text)),
            Some(_) => self.refuse(
                "/narrative",
                "wrong_type",
                "The narrative must be a string.",
            ),
        }
        None
    }

    fn model(&mut self, models: &impl Catalogue) -> Option<String> {
        match self.take("model") {
            None => return Some(models.default_model().to_owned()),
            Some(Value::String(name)) if models.max_seconds(&name).is_some() => return Some(name),
            Some(Value::String(_)) => {
                self.refuse(
                    "/model",
                    "unknown_model",
                    "No such model; GET /compose lists them.",
                );
            }
            Some(_) => self.refuse("/model", "wrong_type", "The model must be a string."),
        }
        None
    }

    fn duration(&mut self, model_max: Option<u32>) -> u32 {
        let most = model_max.unwrap_or(DURATION_MAX).min(DURATION_MAX);
        let seconds = match self.take("duration") {
            None => return DURATION_DEFAULT.min(most),
            Some(Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
            Some(_) => {
                self.refuse(
                    "/duration",
                    "wrong_type",
                    "The duration must be a number of seconds.",
                );
                return DURATION_DEFAULT;
            }
        };
        if seconds.fract() != 0.0 || !(1.0..=f64::from(most)).contains(&seconds) {
            self.refuse(
                "/duration",
                "out_of_range",
                format!("The duration must be a whole number from 1 to {most} seconds."),
            );
            return DURATION_DEFAULT;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and within 1..=300"
        )]
        {
            seconds as u32
        }
    }

    fn options(&mut self) -> Map<String, Value> {
        let at = "/options";
        let Some(options) = self.take("options") else {
            return Map::new();
        };
        if !options.is_object() {
            self.refuse(at, "wrong_type", "The options must be a JSON object.");
        } else if options.to_string().len() > OPTIONS_MAX {
            let detail = format!("The options exceed {OPTIONS_MAX} bytes of JSON.");
            self.refuse(at, "too_large", detail);
        } else if let Some(number) = number::rounded(&options, at.to_owned()) {
            let detail = "The number cannot be kept exactly: send 64 bits at most, or a text.";
            self.refuse(number, "out_of_range", detail);
        } else if let Value::Object(options) = options {
            return options;
        }
        Map::new()
    }

    fn seed(&mut self) -> Option<u32> {
        let value = self.take("seed")?;
        let seed = number::of(&value).and_then(|n| u32::try_from(n).ok());
        if seed.is_none() {
            let code = if value.is_number() {
                "out_of_range"
            } else {
                "wrong_type"
            };
            self.refuse(
                "/seed",
                code,
                "The seed must be a whole number from 0 to 4294967295.",
            );
        }
        seed
    }

    fn tags(&mut self) -> Vec<String> {
        let items = match self.take("tags") {
            None => return Vec::new(),
            Some(Value::Array(items)) if items.len() <= TAGS_MAX => items,
            Some(Value::Array(_)) => {
                self.refuse("/tags", "too_many", format!("At most {TAGS_MAX} tags."));
                return Vec::new();
            }
            Some(_) => {
                self.refuse("/tags", "wrong_type", "The tags must be a list of strings.");
                return Vec::new();
            }
        };
        let mut tags = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(tag) if is_tag(&tag) => {
                    if !tags.contains(&tag) {
                        tags.push(tag);
                    }
                }
                _ => self.refuse(
                    format!("/tags/{index}"),
                    "malformed",
                    "A tag is 1 to 64 letters, digits, '_', '.' or '-'.",
                ),
            }
        }
        tags
    }

    fn priority(&mut self) -> Priority {
        let priority = match self.take("priority") {
            None => return Priority::default(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        if priority.is_none() {
            let detail = "The priority must be \"high\", \"normal\" or \"low\".";
            self.refuse("/priority", "unknown_priority", detail);
        }
        priority.unwrap_or_default()
    }

    fn clocks(&mut self, now: DateTime<Utc>) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let (start_by, finish_by) = (self.clock("startBy", now), self.clock("finishBy", now));
        if start_by
            .zip(finish_by)
            .is_some_and(|(start, end)| end < start)
        {
            let detail = "finishBy must not be before startBy.";
            self.refuse("/finishBy", "out_of_range", detail);
        }
        (start_by, finish_by)
    }

    fn clock(&mut self, name: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let pointer = format!("/{name}");
        let value = self.take(name)?;
        let time = value.as_str().and_then(|text| text.parse().ok());
        match time {
            None => {
                let detail = format!("{name} must be a time such as 2030-01-31T12:00:00Z.");
                self.refuse(pointer, "malformed", detail);
            }
            Some(time) if time <= now || time > now + CLOCK_MAX => {
                let detail = format!("{name} must lie in the next 7 days.");
                self.refuse(pointer, "out_of_range", detail);
            }
            Some(time) => return Some(time),
        }
        None
    }

    fn webhook(&mut self, plain: bool) -> Option<Endpoint> {
        let parsed = Endpoint::parse(self.take("webhook")?, plain);
        let faults = parsed.map_err(|faults| {
            for fault in faults.into_iter().map(|fault| fault.within("webhook")) {
                self.refuse(fault.pointer, fault.code, fault.detail);
            }
        });
        faults.ok()
    }

    fn leftovers(&mut self) {
        for name in std::mem::take(&mut self.body)
            .into_iter()
            .map(|(name, _)| name)
        {
            let pointer = pointer::of(&name);
            self.refuse(pointer, "unknown_field", "There is no such field.");
        }
    }
}

/// Safe inside a Redis key and a query.
pub fn is_tag(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

#[cfg(test)]
mod tests;
