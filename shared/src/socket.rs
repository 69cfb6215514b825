//! WebSocket connections by name.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The longest name that is taken, in bytes.
const MAX: usize = 128;

/// API Gateway's name of an open connection, such as `L0SM9cOFvHcCIhw=`: 1–128 of `A-Za-z0-9+/=_-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(String);

/// The text names no connection.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connection id is 1 to {MAX} characters of base64")]
pub struct MalformedConnectionId;

impl ConnectionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConnectionId {
    type Err = MalformedConnectionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
        match (1..=MAX).contains(&text.len()) && text.bytes().all(is_base64) {
            true => Ok(Self(text.to_owned())),
            false => Err(MalformedConnectionId),
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ConnectionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_stand_in_a_key_and_a_path_names_a_connection() {
        for good in ["L0SM9cOFvHcCIhw=", "a", "a-b_c+d/e=="] {
            assert_eq!(good.parse::<ConnectionId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a:b", "a\n", "ä", &"a".repeat(129)] {
            let parsed = bad.parse::<ConnectionId>();
            assert_eq!(parsed, Err(MalformedConnectionId), "{bad:?}");
        }
    }
}
