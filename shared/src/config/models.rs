//! What a job's `model` may be.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Who turns a narrative into a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Planner {
    Jen1,
    Ollama,
}

/// Who turns a plan into audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generator {
    Muscgen,
}

/// One model: a planner and a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    pub planner: Planner,
    pub generator: Generator,
    /// The longest track that it makes, 1–300 s.
    pub max_seconds: u32,
}

/// The models by name, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Models(BTreeMap<String, Model>);

impl Models {
    /// The model of this name.
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.0.get(name)
    }

    /// Every name with its model, in the order of the alphabet.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Model)> {
        self.0.iter().map(|(name, model)| (name.as_str(), model))
    }

    /// What a job gets that names no model: `jen1`, or the first if there is none of that name.
    pub fn default_name(&self) -> &str {
        let first = self.0.keys().next().map_or("", String::as_str);
        self.0.get_key_value("jen1").map_or(first, |(name, _)| name)
    }

    /// Whether a model has this planner.
    pub(super) fn plan_by(&self, planner: Planner) -> bool {
        self.0.values().any(|model| model.planner == planner)
    }

    /// Those of other planners only; `None` if there are none.
    pub(super) fn without(mut self, planner: Planner) -> Option<Self> {
        self.0.retain(|_, model| model.planner != planner);
        (!self.0.is_empty()).then_some(self)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let models: BTreeMap<String, Model> = serde_json::from_str(text).map_err(|error| {
            let place = (error.line(), error.column());
            format!(
                "must be a JSON object of name to planner (jen1, ollama), generator (muscgen), maxSeconds; see line {}, column {}",
                place.0, place.1
            )
        })?;
        let named = |name: &str| {
            (1..=64).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if models.is_empty() || !models.keys().all(|name| named(name)) {
            return Err(
                "must name one model or more, with 1–64 of A-Z, a-z, 0-9, ., _ and -".to_owned(),
            );
        }
        if !models
            .values()
            .all(|model| (1..=300).contains(&model.max_seconds))
        {
            return Err("must have maxSeconds from 1 to 300".to_owned());
        }
        Ok(Self(models))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_read_from_json() {
        let text = r#"{"short": {"planner": "jen1", "generator": "muscgen", "maxSeconds": 60}}"#;
        let models = Models::parse(text).unwrap();
        assert_eq!(models.get("short").unwrap().planner, Planner::Jen1);
        assert_eq!(models.default_name(), "short");
        assert!(models.get("jen1").is_none());
    }

    #[test]
    fn models_that_could_not_work_are_refused() {
        for text in [
            r#"{"x": {"planner": "nobody", "generator": "muscgen", "maxSeconds": 60}}"#,
            "",
            "[]",
            "{}",
            r#"{"a": {"planner": "jen1", "generator": "muscgen"}}"#,
            r#"{"a": {"planner": "jen2", "generator": "muscgen", "maxSeconds": 60}}"#,
            r#"{"a": {"planner": "jen1", "generator": "muscgen", "maxSeconds": 301}}"#,
            r#"{"a": {"planner": "jen1", "generator": "muscgen", "maxSeconds": 60, "bpm": 1}}"#,
            r#"{"a b": {"planner": "jen1", "generator": "muscgen", "maxSeconds": 60}}"#,
        ] {
            assert!(Models::parse(text).is_err(), "{text}");
        }
    }
}
