//! Why something that was asked does not answer as it should, in words of our own: no address, no secret and no library's text
//! is in them, so an admin may read them on a page.

use std::error::Error;
use std::fmt;
use std::io;

use serde::{Serialize, Serializer};

/// `Display` is what an admin reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No answer in time.
    Timeout,
    /// Nobody listens there.
    Refused,
    /// The connection broke off.
    Lost,
    /// No connection for another reason: a name that leads nowhere, a network in between, TLS.
    Unreachable,
    /// It does not believe us, or does not let us.
    Unauthorized,
    /// What was asked for is not there.
    NotFound,
    /// It takes no writes.
    ReadOnly,
    /// It has no memory left: what is there goes on, nothing new is taken.
    Full,
    /// It cannot write to its disk, and takes nothing until it can.
    NotSaving,
    /// It is still starting.
    NotReady,
    /// It has no room, or is held up by something else.
    Busy,
    /// It answered something that is not understood.
    Malformed,
    /// It answered with this HTTP status.
    Status(u16),
}

impl Reason {
    /// What the first cause that is known says; for a status use [`Self::of_status`].
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        let mut found = Self::Unreachable;
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                match Self::of_io(io) {
                    Self::Unreachable => {}
                    known => return known,
                }
            } else if let Some(http) = error.downcast_ref::<reqwest::Error>()
                && http.is_timeout()
            {
                found = Self::Timeout;
            }
            cause = error.source();
        }
        found
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotFound,
            PermissionDenied, TimedOut, UnexpectedEof, WouldBlock,
        };
        match error.kind() {
            TimedOut | WouldBlock => Self::Timeout,
            ConnectionRefused => Self::Refused,
            ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof => Self::Lost,
            NotFound => Self::NotFound,
            PermissionDenied => Self::Unauthorized,
            // What it wraps may say more.
            _ => error
                .get_ref()
                .map_or(Self::Unreachable, |inner| Self::of(inner)),
        }
    }

    /// Of an answer with an unwanted status.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Unauthorized,
            other => Self::Status(other),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Lost => "connection lost",
            Self::Unreachable => "unreachable",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not found",
            Self::ReadOnly => "read only",
            Self::Full => "full",
            Self::NotSaving => "not saving",
            Self::NotReady => "not ready",
            Self::Busy => "busy",
            Self::Malformed => "malformed answer",
            Self::Status(status) => return write!(f, "status {status}"),
        })
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with another inside.
    #[derive(Debug, thiserror::Error)]
    #[error("secret-host: {0}")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_cause_inside_decides_and_its_text_is_not_repeated() {
        for (kind, word) in [
            (io::ErrorKind::ConnectionRefused, "refused"),
            (io::ErrorKind::TimedOut, "timeout"),
            (io::ErrorKind::ConnectionReset, "connection lost"),
            (io::ErrorKind::HostUnreachable, "unreachable"),
            (io::ErrorKind::PermissionDenied, "unauthorized"),
            (io::ErrorKind::NotFound, "not found"),
        ] {
            let plain = io::Error::new(kind, "10.0.0.7:6379 said hunter2");
            assert_eq!(Reason::of(&Outer(plain)).to_string(), word);
            let wrapped = io::Error::other(io::Error::new(kind, "hunter2"));
            assert_eq!(Reason::of(&Outer(wrapped)).to_string(), word, "wrapped");
        }
    }

    #[test]
    fn a_status_is_named_unless_it_says_who_is_at_fault() {
        assert_eq!(Reason::of_status(503).to_string(), "status 503");
        assert_eq!(Reason::of_status(401).to_string(), "unauthorized");
        let json = serde_json::to_string(&Reason::of_status(302)).unwrap();
        assert_eq!(json, "\"status 302\"");
    }
}
