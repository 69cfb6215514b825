//! The tokens that callers carry.

use std::time::Duration;

use jsonwebtoken::get_current_timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{CannotSign, KeyRing, Refused, Role, TokenKind};

/// How long an access token without our `typ` may live when its role is no service. An elder issuer signs its
/// long-lived refresh tokens with the same secret; they must not open doors.
pub const MAX_UNMARKED_LIFE: Duration = Duration::from_secs(3600);
/// The longest `sub` or `tenant`, in bytes.
const MAX_NAME: usize = 256;

/// Whom an access token speaks for. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who; 1–256 bytes.
    pub sub: String,
    #[serde(default)]
    pub role: Role,
    #[serde(deserialize_with = "seconds")]
    pub exp: u64,
    #[serde(
        default,
        deserialize_with = "maybe_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub iat: Option<u64>,
    /// Shares a line, a cap and a cache; `sub` itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Names the token, so that it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl AccessClaims {
    /// Valid from now.
    pub fn new(sub: &str, role: Role, life: Duration) -> Self {
        Self {
            sub: sub.to_owned(),
            role,
            exp: now().saturating_add(life.as_secs()),
            iat: Some(now()),
            tenant: None,
            jti: None,
            email: None,
        }
    }

    /// How long the token was meant to live; from now when it does not say, or says it is from the future.
    pub fn life(&self) -> Duration {
        let from = self.iat.map_or_else(now, |iat| iat.min(now()));
        Duration::from_secs(self.exp.saturating_sub(from))
    }

    /// What holds of every access token, whoever signed it; `marked`: it bears our `typ`.
    pub(crate) fn checked(self, marked: bool) -> Result<Self, Refused> {
        let names = [Some(&self.sub), self.tenant.as_ref()];
        if names
            .into_iter()
            .flatten()
            .any(|name| !(1..=MAX_NAME).contains(&name.len()))
        {
            return Err(Refused::Malformed);
        }
        if !marked && !self.role.is_service() && self.life() > MAX_UNMARKED_LIFE {
            return Err(Refused::TooLongLived);
        }
        Ok(self)
    }
}

impl KeyRing {
    /// An access token with our own `typ`.
    pub fn sign_access(&self, claims: &AccessClaims) -> Result<String, CannotSign> {
        self.sign(TokenKind::Access, claims)
    }

    /// Believes an access token of ours or of an elder issuer that shares the secret.
    pub fn verify_access(&self, token: &str) -> Result<AccessClaims, Refused> {
        let (claims, marked): (AccessClaims, bool) = self.verify(TokenKind::Access, token)?;
        claims.checked(marked)
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    get_current_timestamp()
}

/// A NumericDate may have a fraction (RFC 7519 §2).
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    if seconds.is_finite() && seconds >= 0.0 {
        Ok(seconds as u64)
    } else {
        Err(serde::de::Error::custom("not a time"))
    }
}

fn maybe_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    seconds(deserializer).map(Some)
}
