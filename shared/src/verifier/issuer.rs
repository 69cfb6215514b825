//! One issuer elsewhere, and what its tokens must say.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, dangerous, decode};
use reqwest::Client;
use serde::Deserialize;

use super::Unverified;
use super::jwks::Jwks;
use super::keys::Key;
use crate::config::Issuer as Settings;
use crate::keyring::{AccessClaims, LEEWAY, Refused, TokenKind, refusal};

/// Tokens with its `iss`, for our `aud`, signed with a key of its JWKS.
pub(super) struct Issuer {
    name: String,
    audience: String,
    jwks: Jwks,
}

/// What a token says before anybody has believed it.
#[derive(Deserialize)]
struct Unproven {
    iss: String,
    exp: f64,
}

impl Issuer {
    pub(super) fn new(settings: &Settings, client: Client) -> Self {
        Self {
            name: settings.name.clone(),
            audience: settings.audience.clone(),
            jwks: Jwks::new(settings.jwks_url.url().clone(), client),
        }
    }

    /// Of the header only `typ` and `kid` are read: where it names or holds a key (`jku`, `jwk`, `x5u`, `x5c`), nobody looks.
    pub(super) async fn verify(
        &self,
        token: &str,
        header: &Header,
        now: u64,
    ) -> Result<AccessClaims, Unverified> {
        let marked = TokenKind::Access.admits(header.typ.as_deref())?;
        self.is_worth_asking(token, now)?;
        let kid = header.kid.as_deref();
        let keys = self.jwks.find(kid, now).await?;
        let mut refused = Refused::UnknownKey;
        for key in keys.fitting(kid) {
            match self.judge(token, key) {
                Ok(claims) => return Ok(claims.checked(marked)?),
                Err(Refused::BadSignature) => refused = Refused::BadSignature,
                Err(other) => return Err(other.into()),
            }
        }
        Err(refused.into())
    }

    /// The issuer is not asked for keys on behalf of a token that no key could make good.
    fn is_worth_asking(&self, token: &str, now: u64) -> Result<(), Refused> {
        let claims: Unproven =
            dangerous::insecure_decode_claims(token).map_err(|_| Refused::Malformed)?;
        if claims.iss != self.name {
            return Err(Refused::WrongIssuer);
        }
        if claims.exp + (LEEWAY as f64) < now as f64 {
            return Err(Refused::Expired);
        }
        Ok(())
    }

    fn judge(&self, token: &str, key: &Key) -> Result<AccessClaims, Refused> {
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.name]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "sub", "iss", "aud"]);
        let judged = decode(token, &key.verify, &validation);
        judged
            .map(|data| data.claims)
            .map_err(|error| match error.kind() {
                // Made with a key, or by an algorithm, that this one is not for.
                ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => Refused::BadSignature,
                kind => refusal(kind),
            })
    }
}
