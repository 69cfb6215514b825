//! How often somebody may try to sign in.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use uuid::Uuid;

use crate::http::Quota;
use crate::job::sha256_hex;
use crate::lookup::Unreachable;
use crate::problem::Problem;
use crate::queue::{Attempted, Limit, Queue};

/// Rates are for that long.
const MINUTE: Duration = Duration::from_secs(60);

/// Attempts in a minute; 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// To sign in as one user from one address.
    pub login: u32,
    /// To sign in from one address, whatever the names.
    pub login_address: u32,
    /// To sign in as one user, wherever from.
    pub login_name: u32,
    /// To renew a session from one address.
    pub refresh: u32,
}

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub enum Attempt<'a> {
    /// By a name, which is this user's, if it is anybody's: who has two names has one limit.
    Login {
        name: &'a str,
        user: Option<Uuid>,
    },
    Refresh,
}

impl Rates {
    /// Counts an attempt from an address, in one call of Redis, and notes what is left; 429 over a limit, 503 while Redis cannot be
    /// asked.
    pub async fn count(
        &self,
        queue: &Queue,
        attempt: Attempt<'_>,
        address: Option<&str>,
    ) -> Result<(), Problem> {
        let limits = self.limits(attempt, address);
        let Some(first) = limits.first() else {
            return Ok(());
        };
        match queue.attempt(&limits).await.map_err(Unreachable::from)? {
            Attempted::Ok { left, full_ms } => {
                quota(first, left, full_ms).note();
                Ok(())
            }
            Attempted::Limited { at, retry_ms } => {
                quota(limits.get(at).unwrap_or(first), 0, retry_ms).note();
                let after = Duration::from_millis(retry_ms);
                let detail = "too many attempts; wait before the next one";
                Err(Problem::too_many("rate_limited", detail, after))
            }
        }
    }

    /// The narrowest first.
    fn limits(&self, attempt: Attempt<'_>, address: Option<&str>) -> Vec<Limit> {
        let address = origin(address);
        let all = match attempt {
            Attempt::Login { name, user } => {
                let name = user.map_or_else(|| name.to_lowercase(), |id| id.to_string());
                vec![
                    ("login", self.login, framed(&[&name, &address])),
                    ("login-address", self.login_address, framed(&[&address])),
                    ("login-name", self.login_name, framed(&[&name])),
                ]
            }
            Attempt::Refresh => vec![("refresh", self.refresh, framed(&[&address]))],
        };
        let limited = all.into_iter().filter(|(_, per_minute, _)| *per_minute > 0);
        limited
            .map(|(kind, per_minute, of)| Limit {
                kind,
                who: sha256_hex(&of),
                per_minute,
            })
            .collect()
    }
}

/// The length in front keeps the parts apart.
fn framed(parts: &[&str]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    all
}

/// Attempts of one origin are counted together: an IPv4 address, or the /64 that an IPv6 host has for itself.
fn origin(address: Option<&str>) -> String {
    match address.and_then(|text| text.parse::<IpAddr>().ok()) {
        Some(IpAddr::V4(v4)) => v4.to_string(),
        Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
            }
        },
        None => "unknown".to_owned(),
    }
}

fn quota(limit: &Limit, left: u32, ms: u64) -> Quota {
    Quota {
        name: limit.kind,
        limit: limit.per_minute,
        window: MINUTE,
        remaining: left.into(),
        reset: Duration::from_millis(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        login: 5,
        login_address: 60,
        login_name: 0,
        refresh: 300,
    };

    fn of(name: &str, address: &str) -> Vec<Limit> {
        RATES.limits(Attempt::Login { name, user: None }, Some(address))
    }

    #[test]
    fn two_names_of_one_user_share_one_limit() {
        let user = Some(Uuid::now_v7());
        let by = |name| RATES.limits(Attempt::Login { name, user }, Some("192.0.2.1"));
        assert_eq!(by("ann"), by("ann@example.com"));
        assert_ne!(by("ann"), of("ann", "192.0.2.1"));
    }

    #[test]
    fn a_login_is_counted_by_name_and_address_and_by_each_that_has_a_limit() {
        let kinds: Vec<_> = of("ann", "192.0.2.1").iter().map(|l| l.kind).collect();
        assert_eq!(kinds, ["login", "login-address"]);
        assert_eq!(of("ann", "192.0.2.1"), of("ANN", "192.0.2.1"));
        let (here, there) = (of("ann", "192.0.2.1"), of("ann", "192.0.2.2"));
        assert!(here[0] != there[0] && here[1] != there[1]);
        let other = of("bob", "192.0.2.1");
        assert!(here[0] != other[0] && here[1] == other[1]);
        for limit in &here {
            assert_eq!(limit.who.len(), 64, "no name, no address: {limit:?}");
        }
    }

    #[test]
    fn the_hosts_of_one_network_of_ipv6_are_one_origin() {
        assert_eq!(origin(Some("2001:db8::1")), origin(Some("2001:db8::2:3")));
        assert_ne!(origin(Some("2001:db8::1")), origin(Some("2001:db8:0:1::1")));
        assert_eq!(origin(Some("::ffff:192.0.2.1")), "192.0.2.1");
        assert_eq!(origin(Some("nonsense")), origin(None));
    }
}
