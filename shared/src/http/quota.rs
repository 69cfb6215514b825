//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): the limits that a request was counted against.
//!
//! The code that counts does not make the answer; it notes what is left, and the edge tells the caller.

use std::cell::RefCell;
use std::fmt::Write;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const LEFT: HeaderName = HeaderName::from_static("ratelimit");

tokio::task_local! {
    static COUNTED: RefCell<Vec<Quota>>;
}

/// A limit, and what the caller has left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Lower-case letters.
    pub name: &'static str,
    /// Calls in a window.
    pub limit: u32,
    pub window: Duration,
    /// Calls that may come at once.
    pub remaining: u64,
    /// Until the whole limit is there again, if no call comes.
    pub reset: Duration,
}

impl Quota {
    /// Tells the caller of the request that is being answered; of two with one name the later. Elsewhere nobody is told.
    pub fn note(self) {
        let _ = COUNTED.try_with(|counted| {
            let mut counted = counted.borrow_mut();
            counted.retain(|earlier| earlier.name != self.name);
            counted.push(self);
        });
    }
}

/// The future's output and what was noted meanwhile.
pub(super) async fn counted<F: Future>(future: F) -> (F::Output, Vec<Quota>) {
    let counting = async {
        let output = future.await;
        (output, COUNTED.with(RefCell::take))
    };
    COUNTED.scope(RefCell::default(), counting).await
}

/// Adds both headers, if there is something to say.
pub(super) fn write(quotas: &[Quota], headers: &mut HeaderMap) {
    let (mut policy, mut left) = (String::new(), String::new());
    for quota in quotas {
        let comma = if policy.is_empty() { "" } else { ", " };
        let (name, limit, window) = (quota.name, quota.limit, quota.window.as_secs());
        let reset = quota.reset.as_millis().div_ceil(1000);
        // Writing to a String cannot fail.
        let _ = write!(policy, "{comma}\"{name}\";q={limit};w={window}");
        let _ = write!(left, "{comma}\"{name}\";r={};t={reset}", quota.remaining);
    }
    for (name, text) in [(POLICY, policy), (LEFT, left)] {
        if let Some(value) = HeaderValue::try_from(text).ok().filter(|v| !v.is_empty()) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(name: &'static str, remaining: u64) -> Quota {
        Quota {
            name,
            limit: 600,
            window: Duration::from_secs(60),
            remaining,
            reset: Duration::from_millis(1_001),
        }
    }

    #[tokio::test]
    async fn the_later_of_two_notes_of_one_limit_is_told() {
        let ((), quotas) = counted(async {
            quota("read", 9).note();
            quota("submit", 5).note();
            quota("read", 8).note();
        })
        .await;
        let mut headers = HeaderMap::new();
        write(&quotas, &mut headers);
        assert_eq!(headers[POLICY], r#""submit";q=600;w=60, "read";q=600;w=60"#);
        assert_eq!(headers[LEFT], r#""submit";r=5;t=2, "read";r=8;t=2"#);
    }

    #[tokio::test]
    async fn a_request_that_no_limit_counts_says_nothing_of_limits() {
        quota("read", 9).note();
        let ((), quotas) = counted(async {}).await;
        let mut headers = HeaderMap::new();
        write(&quotas, &mut headers);
        assert!(headers.is_empty());
    }
}
