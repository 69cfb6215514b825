//! JSON pointers (RFC 6901) to the fields that are wrong.

/// To a member of the whole.
pub fn of(name: &str) -> String {
    format!("/{}", escaped(name))
}

/// A name as it stands in a pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
