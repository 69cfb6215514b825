//! What may stand in `Authorization` and must open nothing.
//!
//! `signatures` spoils who signed and how, `contents` what is said and how it is sent.

mod contents;
mod signatures;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::forge::{body, claims, mac, signed, with};
use super::issuer::Issuer;
use super::{KID, SECRET};

/// A name, and the value of `Authorization`, if any.
pub(super) type Case = (&'static str, Option<String>);

/// Builds cases around one sound token of ours and one of the other issuer.
pub(super) struct Forger<'a> {
    issuer: &'a Issuer,
    ours: Value,
    theirs: Value,
    header: Value,
    secret: &'a [u8],
    cases: Vec<Case>,
}

impl<'a> Forger<'a> {
    pub(super) fn new(issuer: &'a Issuer, role: &str) -> Self {
        Self {
            issuer,
            ours: claims(role),
            theirs: Issuer::claims(role),
            header: json!({"alg": "HS256", "typ": "JWT", "kid": KID}),
            secret: SECRET.as_bytes(),
            cases: Vec::new(),
        }
    }

    /// The same tokens unspoilt: each must open every door that the role opens.
    pub(super) fn sound(&self) -> Vec<(&'static str, String)> {
        let at = with(&self.header, "typ", json!("at+jwt"));
        let pair = |key: &local::KeyPair| key.sign(&key.header(), &self.theirs).unwrap();
        vec![
            ("ours, as an elder issuer writes it", self.good()),
            ("ours", mac(&body(&at, &self.ours), self.secret)),
            ("RS256", pair(&self.issuer.rsa)),
            ("ES256", pair(&self.issuer.ec)),
            ("EdDSA", pair(&self.issuer.ed)),
        ]
    }

    pub(super) fn good(&self) -> String {
        mac(&body(&self.header, &self.ours), self.secret)
    }

    /// Every case.
    pub(super) fn all(mut self) -> Vec<Case> {
        self.algorithms();
        self.confusions();
        self.names_of_keys();
        self.keys_brought_along();
        self.times();
        self.claims_of_ours();
        self.claims_of_theirs();
        self.kinds();
        self.shapes();
        self.headers();
        self.cases
    }

    fn add(&mut self, name: &'static str, token: impl AsRef<str>) {
        let value = format!("Bearer {}", token.as_ref());
        self.cases.push((name, Some(value)));
    }

    /// Ours with another header, signed with the right secret.
    fn ours_with_header(&mut self, name: &'static str, member: &str, value: Value) {
        let header = with(&self.header, member, value);
        self.add(name, mac(&body(&header, &self.ours), self.secret));
    }

    /// Ours with other claims, signed with the right secret.
    fn ours_with(&mut self, name: &'static str, member: &str, value: Value) {
        let claims = with(&self.ours, member, value);
        self.add(name, mac(&body(&self.header, &claims), self.secret));
    }

    /// Theirs with other claims, signed with the right key.
    fn theirs_with(&mut self, name: &'static str, member: &str, value: Value) {
        let (key, claims) = (&self.issuer.rsa, with(&self.theirs, member, value));
        self.add(name, key.sign(&key.header(), &claims).unwrap());
    }

    /// The issuer's claims under this header, signed by one of the issuer's keys, or the impostor's.
    fn theirs_as(
        &mut self,
        name: &'static str,
        header: &Value,
        key: &local::KeyPair,
        by: Algorithm,
    ) {
        self.add(name, signed(&body(header, &self.theirs), &key.sign, by));
    }
}
