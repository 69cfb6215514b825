//! Reads variables one by one and collects what is wrong with them.

use super::variables::VARIABLES;

/// What is missing or malformed, all of it. Never quotes a value.
#[derive(Debug, thiserror::Error)]
#[error("configuration: {}", .0.join("; "))]
pub struct ConfigError(Vec<String>);

pub(super) struct Reader<'a> {
    look: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(look: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            look,
            faults: Vec::new(),
        }
    }

    /// The value or its default; a fault when there is neither.
    pub(super) fn needed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let default = VARIABLES
            .iter()
            .find(|variable| variable.name == name)?
            .default;
        match self.value(name).or(default.map(str::to_owned)) {
            Some(text) => self.parsed(name, &text, parse),
            None => {
                self.faults.push(format!("{name} is not set"));
                None
            }
        }
    }

    /// The value, if there is one.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.value(name)?;
        self.parsed(name, &text, parse)
    }

    /// An empty variable counts as unset: compose files and CI write those.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub(super) fn fault(&mut self, text: &str) {
        self.faults.push(text.to_owned());
    }

    /// See [`super::on_lambda`].
    pub(super) fn on_lambda(&self) -> bool {
        let named = self
            .value("AWS_EXECUTION_ENV")
            .is_some_and(|text| text.starts_with("AWS_Lambda_"));
        self.is_set("LAMBDA_TASK_ROOT") || named
    }

    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(ConfigError(self.faults)),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.look)(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text)
            .map_err(|fault| self.faults.push(format!("{name} {fault}")))
            .ok()
    }
}
