//! Reads the fields of a body one by one and collects all that is wrong with them.

use serde_json::{Map, Value};

use crate::pointer::{self, Fault};
use crate::problem::{FieldError, Problem};

/// What is left of a body, and what was wrong with the rest.
pub struct Form {
    body: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Form {
    /// Nothing is read yet.
    pub fn new(body: Map<String, Value>) -> Self {
        let errors = Vec::new();
        Self { body, errors }
    }

    /// `null` counts as absent.
    pub fn lacks(&self, name: &str) -> bool {
        self.body.get(name).is_none_or(Value::is_null)
    }

    /// The field, which nobody takes again; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.body.remove(name).filter(|value| !value.is_null())
    }

    /// `true` or `false`, if it is there.
    pub fn switch(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        if !value.is_boolean() {
            self.refuse(name, "wrong_type", "This must be true or false.");
        }
        value.as_bool()
    }

    /// Notes what is wrong with a field.
    pub fn refuse(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.errors
            .push(FieldError::new(pointer::of(name), code, detail));
    }

    /// Notes what is wrong with a part of a field.
    pub fn note(&mut self, name: &str, fault: Fault) {
        let Fault {
            pointer,
            code,
            detail,
        } = fault.within(name);
        self.errors.push(FieldError::new(pointer, code, detail));
    }

    /// What was read, unless something was wrong or is left: 422.
    pub fn finish<T>(mut self, read: Option<T>) -> Result<T, Problem> {
        for name in std::mem::take(&mut self.body).into_iter().map(|(n, _)| n) {
            self.refuse(&name, "unknown_field", "This field is not known here.");
        }
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            _ => Err(Problem::validation(self.errors)),
        }
    }
}
