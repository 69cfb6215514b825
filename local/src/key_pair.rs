//! A key pair of an issuer that tests play: what it signs with, and how its JWKS lists it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{
    KeyPair as Generated, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256,
};
use serde_json::{Value, json};

use crate::error::{HarnessError, Result};

/// Made anew each time: RSA of 2048 bits, P-256, P-384 or Ed25519.
pub struct KeyPair {
    pub algorithm: Algorithm,
    pub sign: EncodingKey,
    /// The public half (RFC 7517), with `alg` and `kid`.
    pub jwk: Value,
    /// The public half as its owner publishes it elsewhere, in PEM.
    pub public_pem: String,
}

impl KeyPair {
    /// For RS256, PS256, ES256, ES384 or EdDSA.
    pub fn new(algorithm: Algorithm, kid: &str) -> Result<Self> {
        let (kind, read): (_, fn(&[u8]) -> _) = match algorithm {
            Algorithm::ES256 => (&PKCS_ECDSA_P256_SHA256, EncodingKey::from_ec_pem),
            Algorithm::ES384 => (&PKCS_ECDSA_P384_SHA384, EncodingKey::from_ec_pem),
            Algorithm::EdDSA => (&PKCS_ED25519, EncodingKey::from_ed_pem),
            _ => (&PKCS_RSA_SHA256, EncodingKey::from_rsa_pem),
        };
        let pair = Generated::generate_for(kind).map_err(trouble)?;
        let sign = read(pair.serialize_pem().as_bytes()).map_err(trouble)?;
        let mut jwk = match algorithm {
            // The library knows no private Ed25519 key with its public half beside it.
            Algorithm::EdDSA => {
                let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
                json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x})
            }
            _ => json!(Jwk::from_encoding_key(&sign, algorithm).map_err(trouble)?),
        };
        jwk["kid"] = json!(kid);
        Ok(Self {
            algorithm,
            sign,
            jwk,
            public_pem: pair.public_key_pem(),
        })
    }

    /// The public half with some members changed.
    pub fn jwk_with(&self, changes: &Value) -> Value {
        let mut jwk = self.jwk.clone();
        for (name, value) in changes.as_object().into_iter().flatten() {
            jwk[name] = value.clone();
        }
        jwk
    }

    /// A header that names the key and its algorithm.
    pub fn header(&self) -> Header {
        let mut header = Header::new(self.algorithm);
        header.kid = self.jwk["kid"].as_str().map(str::to_owned);
        header
    }

    /// A token with this header and these claims.
    pub fn sign(&self, header: &Header, claims: &Value) -> Result<String> {
        encode(header, claims, &self.sign).map_err(trouble)
    }
}

fn trouble(error: impl std::fmt::Display) -> HarnessError {
    HarnessError::Token(error.to_string())
}
