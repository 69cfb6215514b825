//! One issuer elsewhere, and what its tokens must say.

use jsonwebtoken::{Header, dangerous, decode};
use reqwest::Client;

use super::Unverified;
use super::jwks::Jwks;
use super::keys::Key;
use crate::config::Issuer as Settings;
use crate::keyring::{AccessClaims, LEEWAY, Refused, Said, TokenKind, signature_alone};

/// Tokens with its `iss`, for our `aud`, signed with a key of its JWKS.
pub(super) struct Issuer {
    settings: Settings,
    jwks: Jwks,
}

impl Issuer {
    pub(super) fn new(settings: &Settings, client: Client) -> Self {
        Self {
            settings: settings.clone(),
            jwks: Jwks::new(settings.jwks_url.url().clone(), client),
        }
    }

    /// Of the header only `typ` and `kid` are read: where it names or holds a key (`jku`, `jwk`,
    /// `x5u`, `x5c`), nobody looks. What a token says is judged before its signature: the issuer is
    /// not asked for keys on behalf of a token that no key could make good.
    pub(super) async fn verify(
        &self,
        token: &str,
        header: &Header,
        now: u64,
    ) -> Result<AccessClaims, Unverified> {
        TokenKind::Access.admits(header.typ.as_deref())?;
        let said: Said =
            dangerous::insecure_decode_claims(token).map_err(|_| Refused::Malformed)?;
        let claims = self.judge(&said, now)?;
        let kid = header.kid.as_deref();
        let keys = self.jwks.find(kid, now).await?;
        let mut refused = Refused::UnknownKey;
        for key in keys.fitting(kid) {
            if is_signed(token, key) {
                return Ok(claims);
            }
            refused = Refused::BadSignature;
        }
        Err(refused.into())
    }

    /// Whom the token speaks for, if it was signed. It has no name here, since it cannot be taken
    /// back here.
    fn judge(&self, said: &Said, now: u64) -> Result<AccessClaims, Refused> {
        let settings = &self.settings;
        said.is_between(&settings.name, &settings.audience)?;
        said.is_in_time(now)?;
        let claims = said.speaks_for(said.role_at(&settings.role_claim))?;
        let longest = settings.max_lifetime.as_secs();
        if claims.life().as_secs() > longest.saturating_add(LEEWAY) {
            return Err(Refused::TooLongLived(longest));
        }
        Ok(AccessClaims {
            jti: None,
            ..claims
        })
    }
}

fn is_signed(token: &str, key: &Key) -> bool {
    decode::<Said>(token, &key.verify, &signature_alone(key.algorithm)).is_ok()
}
