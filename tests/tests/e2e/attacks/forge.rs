//! Tokens written by hand, so that every part of one can be wrong.

use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::app::ALICE;

/// Base64url without padding.
pub(super) fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims, still unsigned.
pub(super) fn body(header: &Value, claims: &Value) -> String {
    format!("{}.{}", part(header.to_string()), part(claims.to_string()))
}

/// The text with an HMAC-SHA256 of it.
pub(super) fn mac(text: &str, secret: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{text}.{}", part(hmac::sign(&key, text.as_bytes())))
}

/// The text with a signature of it by a private key.
pub(super) fn signed(text: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), key, algorithm).unwrap();
    format!("{text}.{signature}")
}

/// Sound claims of our own.
pub(super) fn claims(role: &str) -> Value {
    let now = shared::keyring::now();
    json!({"sub": ALICE, "role": role, "iat": now, "exp": now + 900})
}

/// `value` with one member replaced, or removed by null.
pub(super) fn with(value: &Value, name: &str, new: Value) -> Value {
    let mut value = value.clone();
    let members = value.as_object_mut().unwrap();
    match new {
        Value::Null => members.remove(name),
        new => members.insert(name.to_owned(), new),
    };
    value
}

/// The key of another kind of token: HKDF-SHA256 of the secret, as the ring makes it.
pub(super) fn derived(secret: &[u8], label: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"tutti")
        .extract(secret)
        .expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .unwrap();
    key
}

/// The token with one bit of one letter turned over, wherever that gives another letter.
pub(super) fn flipped(token: &str) -> Vec<String> {
    let turn = |(at, letter): (usize, char)| {
        let turned = char::from(letter as u8 ^ (1 << (at % 6)));
        let fits = turned.is_ascii_graphic();
        fits.then(|| format!("{}{turned}{}", &token[..at], &token[at + 1..]))
    };
    token.char_indices().filter_map(turn).collect()
}
