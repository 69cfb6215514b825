//! The keys of a JWKS (RFC 7517) that tokens may be verified with.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys in one set; a longer one is nobody's.
const MAX_KEYS: usize = 100;
/// Bits of an RSA modulus: enough (RFC 7518 §3.3), and not so many that a signature takes long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Bytes of a coordinate on P-256, and of a point on Ed25519.
const COORDINATE: usize = 32;
/// Bytes of a coordinate on P-384.
const COORDINATE_384: usize = 48;

/// The document is no JWKS, or too long.
#[derive(Debug, thiserror::Error)]
#[error("not a JWKS of at most {MAX_KEYS} keys")]
pub(super) struct NoKeySet;

/// A public key with the one algorithm that it is for.
pub(super) struct Key {
    kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) verify: DecodingKey,
}

/// The usable keys of a set, maybe none.
pub(super) struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Leaves out what is not for verifying signatures, and what we would not trust: symmetric keys, short ones, other algorithms.
    pub(super) fn parse(text: &[u8]) -> Result<Self, NoKeySet> {
        let document: Document = serde_json::from_slice(text).map_err(|_| NoKeySet)?;
        if document.keys.len() > MAX_KEYS {
            return Err(NoKeySet);
        }
        let keys = document.keys.into_iter().filter_map(Key::read).collect();
        Ok(Self(keys))
    }

    /// The keys that a token with this `kid` may be signed with. A token or a key without a name fits where there is one key alone.
    pub(super) fn fitting(&self, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let alone = self.0.len() == 1;
        self.0.iter().filter(move |key| match (kid, &key.kid) {
            (Some(wanted), Some(name)) => wanted == name,
            _ => alone,
        })
    }
}

impl Key {
    fn read(key: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        let algorithm = algorithm(&jwk).filter(|_| is_for_signatures(&jwk))?;
        let verify = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self {
            kid: jwk.common.key_id,
            algorithm,
            verify,
        })
    }
}

/// What the key is made for; `alg`, if the key has it, must say the same. An RSA key that does not
/// say is for RS256.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let named = jwk.common.key_algorithm;
    let made_for = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) if RSA_BITS.contains(&bits(&key.n)?) => match named {
            Some(KeyAlgorithm::PS256) => Algorithm::PS256,
            _ => Algorithm::RS256,
        },
        AlgorithmParameters::EllipticCurve(key) => {
            let (algorithm, length) = match key.curve {
                EllipticCurve::P256 => (Algorithm::ES256, COORDINATE),
                EllipticCurve::P384 => (Algorithm::ES384, COORDINATE_384),
                _ => return None,
            };
            let sound = has_bytes(&key.x, length) && has_bytes(&key.y, length);
            sound.then_some(algorithm)?
        }
        AlgorithmParameters::OctetKeyPair(key)
            if key.curve == EllipticCurve::Ed25519 && has_bytes(&key.x, COORDINATE) =>
        {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    named
        .is_none_or(|named| named == made_for.into())
        .then_some(made_for)
}

fn is_for_signatures(jwk: &Jwk) -> bool {
    let uses = &jwk.common.public_key_use;
    let operations = &jwk.common.key_operations;
    uses.as_ref()
        .is_none_or(|uses| *uses == PublicKeyUse::Signature)
        && operations
            .as_ref()
            .is_none_or(|all| all.contains(&KeyOperations::Verify))
}

/// The length of a number in base64url.
fn bits(number: &str) -> Option<usize> {
    let bytes = BASE64URL_NOPAD.decode(number.as_bytes()).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    let zeros = bytes[first].leading_zeros() as usize;
    Some((bytes.len() - first) * 8 - zeros)
}

fn has_bytes(text: &str, length: usize) -> bool {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
    bytes.is_ok_and(|bytes| bytes.len() == length)
}
