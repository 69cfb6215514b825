//! What signs messages (Standard Webhooks: `whsec_` and base64).

use std::fmt;
use std::ops::RangeInclusive;

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::endpoint::wrong;
use crate::pointer::Fault;

const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const BYTES: RangeInclusive<usize> = 24..=64;
/// Bytes of one that we make.
const MADE: usize = 32;

/// `whsec_` and base64 of 24 to 64 bytes. Never shows itself, and is part of no JSON: it lies apart
/// in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(String);

/// The system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("a secret could not be made")]
pub struct CannotMake;

impl SigningSecret {
    /// As a caller gave it.
    pub fn parse(value: &Value) -> Result<Self, Fault> {
        let Value::String(text) = value else {
            return Err(wrong("", "wrong_type", "The secret must be a string."));
        };
        let secret = Self(text.clone());
        match secret.key() {
            Some(key) if BYTES.contains(&key.len()) => Ok(secret),
            Some(_) => {
                let detail = "The secret must have 24 to 64 bytes.";
                Err(wrong("", "wrong_length", detail))
            }
            None => {
                let detail = "The secret must be whsec_ and base64.";
                Err(wrong("", "malformed", detail))
            }
        }
    }

    /// As the store has it.
    pub(crate) fn stored(bytes: &[u8]) -> Option<Self> {
        let secret = Self(str::from_utf8(bytes).ok()?.to_owned());
        secret.key().is_some().then_some(secret)
    }

    /// A new one.
    pub fn make() -> Result<Self, CannotMake> {
        let mut key = [0; MADE];
        rand::fill(&mut key).map_err(|_| CannotMake)?;
        Ok(Self(format!("{PREFIX}{}", STANDARD.encode(key))))
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `v1,` and the base64 of the HMAC-SHA256 of the bytes.
    pub fn sign(&self, bytes: &[u8]) -> Option<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key()?);
        Some(format!("v1,{}", STANDARD.encode(hmac::sign(&key, bytes))))
    }

    fn key(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.0.strip_prefix(PREFIX)?).ok()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}
