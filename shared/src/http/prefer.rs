//! How long a caller wants to wait: `Prefer: wait=N` and `respond-async` (RFC 7240).

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

/// What `Prefer` says about waiting. What it does not understand it leaves out, as the RFC asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wait {
    /// `wait=N`, in seconds.
    pub seconds: Option<u32>,
    /// `respond-async`
    pub respond_async: bool,
}

impl Wait {
    /// `wait=N`, at most `max`; without it nothing for `respond-async`, else `default`.
    pub fn within(self, default: Duration, max: Duration) -> Duration {
        match self.seconds {
            Some(seconds) => Duration::from_secs(seconds.into()).min(max),
            None if self.respond_async => Duration::ZERO,
            None => default.min(max),
        }
    }

    fn of(headers: &HeaderMap) -> Self {
        let mut wait = Self::default();
        let lines = headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok());
        for preference in lines.flat_map(|line| line.split(',')) {
            let word = preference.split(';').next().unwrap_or_default();
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => wait.respond_async = true,
                // The first of its name counts (§2).
                "wait" if wait.seconds.is_none() => {
                    wait.seconds = value.trim().trim_matches('"').parse().ok()
                }
                _ => {}
            }
        }
        wait
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds, of a default of 10 and at most 25.
    fn waits(lines: &[&str]) -> u64 {
        let headers = lines
            .iter()
            .map(|line| ("prefer".parse().unwrap(), line.parse().unwrap()));
        let wait = Wait::of(&HeaderMap::from_iter(headers.collect::<Vec<_>>()));
        wait.within(Duration::from_secs(10), Duration::from_secs(25))
            .as_secs()
    }

    #[test]
    fn a_caller_waits_as_long_as_it_asks_up_to_the_most() {
        assert_eq!(waits(&[]), 10);
        assert_eq!(waits(&["wait=3"]), 3);
        assert_eq!(waits(&["wait=0"]), 0);
        assert_eq!(waits(&["Wait=\"7\"; x=y"]), 7);
        assert_eq!(waits(&["wait=600"]), 25);
    }

    #[test]
    fn respond_async_waits_not_at_all_unless_a_time_is_named() {
        assert_eq!(waits(&["respond-async"]), 0);
        assert_eq!(waits(&["return=minimal, respond-async"]), 0);
        assert_eq!(waits(&["respond-async, wait=5"]), 5);
        assert_eq!(waits(&["respond-async", "wait=5"]), 5);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        assert_eq!(waits(&["wait=soon"]), 10);
        assert_eq!(waits(&["wait=-1"]), 10);
        assert_eq!(waits(&["handling=strict"]), 10);
    }
}
