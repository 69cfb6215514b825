//! The tokens that callers carry.

use std::time::Duration;

use jsonwebtoken::{Algorithm, get_current_timestamp};
use serde::{Deserialize, Serialize};

use super::claims::Said;
use super::{CannotSign, KeyRing, Refused, Role, TokenKind, signature_alone};

/// How long an access token without our `typ` may live when its role is no service. An elder issuer signs its
/// long-lived refresh tokens with the same secret; they must not open doors.
pub const MAX_UNMARKED_LIFE: Duration = Duration::from_secs(3600);

/// Whom an access token speaks for. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who; 1–256 bytes.
    pub sub: String,
    #[serde(default)]
    pub role: Role,
    pub exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
}

impl KeyRing {
    /// An access token with our own `typ`.
    pub fn sign_access(&self, claims: &AccessClaims) -> Result<String, CannotSign> {
        self.sign(TokenKind::Access, claims)
    }

    /// Believes an access token of ours or of an elder issuer that shares the secret. It may be for
    /// any audience: whoever holds the secret speaks for us.
    pub fn verify_access(&self, token: &str) -> Result<AccessClaims, Refused> {
        let validation = signature_alone(Algorithm::HS256);
        let (said, marked): (Said, bool) = self.signed(TokenKind::Access, token, &validation)?;
        said.is_in_time(now())?;
        let claims = said.speaks_for(said.own_role()?)?;
        if !marked && !claims.role.is_service() && claims.life() > MAX_UNMARKED_LIFE {
            return Err(Refused::Unmarked);
        }
        Ok(claims)
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    get_current_timestamp()
}
