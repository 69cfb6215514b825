//! The tokens that callers carry.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::claims::{Said, now};
use super::{AccessClaims, CannotSign, KeyRing, Refused, TokenKind, signature_alone};

/// How long an access token without our `typ` may live when its role is no service. An elder issuer signs its
/// long-lived refresh tokens with the same secret; they must not open doors.
pub const MAX_UNMARKED_LIFE: Duration = Duration::from_secs(3600);

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
