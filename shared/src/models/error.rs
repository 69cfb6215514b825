//! What can go wrong with a call to another service, and what to do about it.

use std::fmt;
use std::time::Duration;

use crate::reason::Reason;

/// The services that are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    Jen1,
    Muscgen,
    Ollama,
    /// Whoever serves a model's `audioUrl`.
    AudioUrl,
    /// The API that keeps its own job table.
    Api,
}

impl Service {
    /// The first part of every error code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jen1 => "jen1",
            Self::Muscgen => "muscgen",
            Self::Ollama => "ollama",
            Self::AudioUrl => "audio_url",
            Self::Api => "api",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call failed. `Display` is for the log, [`ModelError::message`] for the job's owner.
#[derive(Debug, thiserror::Error)]
#[error("{service}: {fault}")]
pub struct ModelError {
    pub service: Service,
    pub fault: Fault,
}

/// How a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// 429, 409, or 503 with `Retry-After` (Ollama's also without): it works, and has no room now. No attempt is lost by that.
    #[error("busy for {retry_after:?}")]
    Busy {
        /// Between 1 s and 5 min as a service says it; nothing where the whole line waits for the service.
        retry_after: Duration,
    },
    /// No connection, no answer in time, or another 5xx (also 503 without any `Retry-After`, which
    /// is what a proxy says for a service that is down). Another attempt may go well.
    #[error("unavailable: {0}")]
    Unavailable(String, Reason),
    /// It is left alone: it failed too often of late. No attempt is lost by that.
    #[error("down, and left alone for {wait:?}")]
    Down { wait: Duration },
    /// It will not do this; asking again changes nothing.
    #[error("refused with {status}: {message}")]
    Refused {
        status: u16,
        /// What the service said, cut to one line; empty if it said nothing fit for print.
        message: String,
    },
    /// It cannot be told what it must be told: the operator has to mend that.
    #[error("incompatible: it {0}")]
    Incompatible(String),
    /// It has no place for these parts of the request.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// An answer that is not what was agreed. Another attempt may go well.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// It tried, and says that it failed. Another attempt may go well.
    #[error("failed: {0}")]
    Failed(String),
    /// More than is ever read.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    /// We may not call this address.
    #[error("address not allowed: {0}")]
    Forbidden(String),
}

impl Service {
    pub(super) fn failed(self, fault: Fault) -> ModelError {
        ModelError {
            service: self,
            fault,
        }
    }

    pub(super) fn unavailable_for(self, reason: Reason, why: impl Into<String>) -> ModelError {
        self.failed(Fault::Unavailable(why.into(), reason))
    }

    pub(super) fn unavailable(self, why: impl Into<String>) -> ModelError {
        self.unavailable_for(Reason::Unreachable, why)
    }

    /// It has no room, and need not be asked before that.
    pub fn busy(self, retry_after: Duration) -> ModelError {
        self.failed(Fault::Busy { retry_after })
    }

    /// It was not called, or should not have been.
    pub fn down(self, wait: Duration) -> ModelError {
        self.failed(Fault::Down { wait })
    }

    /// It delivered more than `limit` bytes.
    pub fn too_large(self, limit: usize) -> ModelError {
        self.failed(Fault::TooLarge { limit })
    }

    pub(super) fn malformed(self, why: impl Into<String>) -> ModelError {
        self.failed(Fault::Malformed(why.into()))
    }
}

impl ModelError {
    /// Stable, `snake_case`: the service and what was wrong, as in `jen1_unavailable`.
    pub fn code(&self) -> String {
        let what = match &self.fault {
            Fault::Busy { .. } => "busy",
            Fault::Unavailable(..) => "unavailable",
            Fault::Down { .. } => "down",
            Fault::Refused { .. } => "refused",
            Fault::Incompatible(_) => "incompatible",
            Fault::Unsupported(_) => "unsupported",
            Fault::Malformed(_) => "malformed",
            Fault::Failed(_) => "failed",
            Fault::TooLarge { .. } => "too_large",
            Fault::Forbidden(_) => "forbidden",
        };
        format!("{}_{what}", self.service)
    }

    /// One sentence for the job's owner; names no address and no internals.
    pub fn message(&self) -> String {
        let service = match self.service {
            Service::Jen1 => "jen1",
            Service::Muscgen => "muscgen",
            Service::Ollama => "Ollama",
            Service::AudioUrl => "the server that holds the audio",
            Service::Api => "the API",
        };
        match &self.fault {
            Fault::Busy { retry_after } => {
                format!("{service} is busy for {} s", retry_after.as_secs())
            }
            Fault::Unavailable(..) => format!("{service} could not be reached or did not answer"),
            Fault::Down { .. } => format!("{service} is down"),
            Fault::Refused { status, message } if message.is_empty() => {
                format!("{service} refused the request ({status})")
            }
            Fault::Refused { status, message } => {
                format!("{service} refused the request ({status}): {message}")
            }
            Fault::Incompatible(why) => format!("the model behind {service} {why}"),
            Fault::Unsupported(what) => {
                format!("the model behind {service} has no place for {what}")
            }
            Fault::Malformed(_) => format!("{service} gave an answer that cannot be used"),
            Fault::Failed(_) => format!("{service} tried and failed"),
            Fault::TooLarge { limit } => format!("{service} sent more than {limit} bytes"),
            Fault::Forbidden(_) => {
                format!("{service} has an address that may not be called")
            }
        }
    }

    /// Whether the same call could go well later.
    pub fn is_retryable(&self) -> bool {
        match self.fault {
            Fault::Busy { .. }
            | Fault::Unavailable(..)
            | Fault::Down { .. }
            | Fault::Malformed(_)
            | Fault::Failed(_) => true,
            Fault::Refused { .. }
            | Fault::Incompatible(_)
            | Fault::Unsupported(_)
            | Fault::TooLarge { .. }
            | Fault::Forbidden(_) => false,
        }
    }
}

/// Of a service that was asked whether it is there.
impl From<&ModelError> for Reason {
    fn from(error: &ModelError) -> Self {
        match error.fault {
            Fault::Busy { .. } => Self::Busy,
            Fault::Unavailable(_, reason) => reason,
            Fault::Refused { status, .. } => Self::of_status(status),
            Fault::Malformed(_) | Fault::TooLarge { .. } => Self::Malformed,
            Fault::Down { .. }
            | Fault::Failed(_)
            | Fault::Incompatible(_)
            | Fault::Unsupported(_) => Self::NotReady,
            Fault::Forbidden(_) => Self::Unreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_owner_reads_says_nothing_of_the_inside() {
        let error = Service::Jen1.unavailable("connect to 10.0.0.7:8080 refused");
        assert_eq!(error.code(), "jen1_unavailable");
        assert!(error.to_string().contains("10.0.0.7"));
        assert_eq!(
            error.message(),
            "jen1 could not be reached or did not answer"
        );
        let error = Service::AudioUrl.failed(Fault::Forbidden("127.0.0.1".to_owned()));
        assert_eq!(error.code(), "audio_url_forbidden");
        assert!(!error.message().contains("127.0.0.1"));
    }
}
