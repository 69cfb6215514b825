//! Who is believed: tokens of our own key ring, and those of one issuer elsewhere, where the operator named one.
//!
//! `issuer` judges a token of the other issuer, `jwks` remembers its keys and asks for them, `keys` reads them.

mod issuer;
mod jwks;
mod keys;

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use reqwest::Client;

use crate::config::Issuer as Settings;
use crate::identity::Revocations;
use crate::keyring::{AccessClaims, KeyRing, Refused, now, read_header};
use crate::problem::Problem;
use issuer::Issuer;

/// Why a token was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its issuer's keys were never seen, or not for a day, and cannot be had now.
    #[error("the keys of the token's issuer cannot be had; try again")]
    IssuerUnavailable,
}

/// Judges the tokens that callers carry. Cheap to clone; clones share what they know of the other issuer's keys.
#[derive(Clone)]
pub struct Verifier {
    ring: KeyRing,
    issuer: Option<Arc<Issuer>>,
    revocations: Revocations,
}

impl Verifier {
    /// Asks nobody before the first token of the other issuer comes.
    pub fn new(
        ring: KeyRing,
        issuer: Option<&Settings>,
        client: Client,
        revocations: Revocations,
    ) -> Self {
        let issuer = issuer.map(|settings| Arc::new(Issuer::new(settings, client)));
        Self {
            ring,
            issuer,
            revocations,
        }
    }

    /// Judges what only we sign: callback tokens, links, cursors.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Whom an access token speaks for: 401 if it is not believed or was taken back, 503 while that cannot be known.
    pub async fn admit(&self, token: &str) -> Result<AccessClaims, Problem> {
        let claims = self.verify(token).await?;
        if let Some(jti) = claims
            .jti
            .as_deref()
            .filter(|_| Revocations::must_be_asked(&claims))
            && self.revocations.contains(jti).await?
        {
            return Err(Refused::Revoked.into());
        }
        Ok(claims)
    }

    /// Believes an access token. Its `alg` says who is to judge it and nothing more: HS256 our ring
    /// alone, the public-key ones the other issuer's keys alone, anything else nobody.
    async fn verify(&self, token: &str) -> Result<AccessClaims, Unverified> {
        let header = read_header(token)?;
        match (header.alg, &self.issuer) {
            (Algorithm::HS256, _) => Ok(self.ring.verify_access(token)?),
            (
                Algorithm::RS256
                | Algorithm::PS256
                | Algorithm::ES256
                | Algorithm::ES384
                | Algorithm::EdDSA,
                Some(issuer),
            ) => issuer.verify(token, &header, now()).await,
            _ => Err(Refused::WrongAlgorithm.into()),
        }
    }
}

#[cfg(test)]
mod tests;
