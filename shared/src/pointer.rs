//! JSON pointers (RFC 6901) to the fields that are wrong.

/// To a member of the whole.
pub fn of(name: &str) -> String {
    format!("/{}", escaped(name))
}

/// A name as it stands in a pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What is wrong with one part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From what was parsed; empty for the whole of it.
    pub pointer: String,
    /// Stable, `snake_case`.
    pub code: &'static str,
    /// One sentence.
    pub detail: String,
}

impl Fault {
    /// The same, seen from what has that part as its field.
    pub fn within(self, name: &str) -> Self {
        let pointer = format!("{}{}", of(name), self.pointer);
        Self { pointer, ..self }
    }
}
