//! The secrets, the keys derived from them, and signing and verifying with each.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;
/// HS256 takes keys of at least its hash length (RFC 7518 §3.2).
const MIN_SECRET: usize = 32;
/// How far two clocks may differ, in seconds.
pub(crate) const LEEWAY: u64 = 10;

/// The ring's text is not usable. Never quotes a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    #[error("must hold at least one secret")]
    Empty,
    #[error("must be a list of `kid:secret`, separated by commas")]
    Shape,
    #[error("must have secrets of at least {MIN_SECRET} bytes")]
    TooShort,
    #[error("must not name a kid twice")]
    Twice,
    #[error("could not be turned into keys")]
    Derivation,
}

/// Why a signed text was not believed. Says what its owner may know, never what the parser saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Also of a sealed text that is no token.
    #[error("the token is not a JWT with a known `alg`: header, claims and signature in base64url")]
    Malformed,
    #[error("the token has more than {MAX_TOKEN} bytes")]
    TooLong,
    #[error("the token's header has an extension (crit), and none is known here")]
    Critical,
    #[error(
        "the token's algorithm (alg) is not taken here, or only from an issuer that is not configured"
    )]
    WrongAlgorithm,
    #[error("the token has no {0}")]
    Missing(&'static str),
    #[error("the token's {0}")]
    WrongClaim(&'static str),
    #[error("the signature does not match")]
    BadSignature,
    #[error("the token is of another kind: its typ is not one that is taken here")]
    WrongKind,
    #[error("it was taken back")]
    Revoked,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("the token's issuer (iss) is not the one that is configured here")]
    WrongIssuer,
    #[error("the token's audience (aud) does not name this service")]
    WrongAudience,
    #[error("it names a key that its issuer does not have, or none where there are several")]
    UnknownKey,
    #[error("a token without the typ at+jwt may live for one hour, unless it has a service role")]
    Unmarked,
    #[error("the token lives for longer than {0} seconds, the longest that its issuer's may")]
    TooLongLived(u64),
}

/// The claims could not be written as a token.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct CannotSign(#[source] jsonwebtoken::errors::Error);

/// What a JWT is for. Each kind has its own `typ`, and all but access tokens a derived key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Access,
    Callback,
    Refresh,
    Ticket,
}

impl TokenKind {
    /// The `typ` of the tokens that we sign (RFC 9068 §2.1 for the first).
    pub(crate) fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Callback => "tutti-callback+jwt",
            Self::Refresh => "tutti-refresh+jwt",
            Self::Ticket => "tutti-ticket+jwt",
        }
    }

    /// Whether the token bears the `typ` that we write ourselves. An access token may come from another issuer, which writes `JWT` or
    /// nothing. `application/` may stand before a type or be left out (RFC 7515 §4.1.9).
    pub(crate) fn admits(self, typ: Option<&str>) -> Result<bool, Refused> {
        let typ = typ.map(short_type);
        let plain = |typ: &str| self == Self::Access && typ.eq_ignore_ascii_case("JWT");
        match typ {
            Some(typ) if typ.eq_ignore_ascii_case(self.typ()) => Ok(true),
            Some(typ) if plain(typ) => Ok(false),
            None if self == Self::Access => Ok(false),
            _ => Err(Refused::WrongKind),
        }
    }
}

/// A media type without the `application/` that may be left out.
fn short_type(typ: &str) -> &str {
    const LONG: &str = "application/";
    match typ.split_at_checked(LONG.len()) {
        Some((long, rest)) if long.eq_ignore_ascii_case(LONG) && !rest.contains('/') => rest,
        _ => typ,
    }
}

/// What a bare signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mac {
    Cursor,
    Link,
}

/// HS256 keys in order: the first signs, all verify. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing(Arc<[Key]>);

struct Key {
    /// A key without a name verifies whatever `kid` a token has.
    kid: Option<String>,
    access: JwtKey,
    callback: JwtKey,
    refresh: JwtKey,
    ticket: JwtKey,
    cursor: hmac::Key,
    link: hmac::Key,
}

struct JwtKey {
    sign: EncodingKey,
    verify: DecodingKey,
}

impl KeyRing {
    /// A ring of one secret without a name, as an elder issuer shares it.
    pub fn single(secret: &str) -> Result<Self, RingError> {
        Ok(Self(Arc::new([Key::new(None, secret)?])))
    }

    /// `kid:secret,kid:secret,…`. A secret may hold colons, not commas.
    pub fn parse(list: &str) -> Result<Self, RingError> {
        let mut keys: Vec<Key> = Vec::new();
        for entry in list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let (kid, secret) = entry.split_once(':').ok_or(RingError::Shape)?;
            if kid.is_empty() {
                return Err(RingError::Shape);
            }
            if keys.iter().any(|key| key.kid.as_deref() == Some(kid)) {
                return Err(RingError::Twice);
            }
            keys.push(Key::new(Some(kid.to_owned()), secret)?);
        }
        if keys.is_empty() {
            return Err(RingError::Empty);
        }
        Ok(Self(keys.into()))
    }

    pub(crate) fn sign(
        &self,
        kind: TokenKind,
        claims: &impl Serialize,
    ) -> Result<String, CannotSign> {
        let key = &self.0[0];
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(kind.typ().to_owned());
        header.kid.clone_from(&key.kid);
        encode(&header, claims, &key.jwt(kind).sign).map_err(CannotSign)
    }

    /// The claims of a token that only we make, within its time.
    pub(crate) fn verify<T: DeserializeOwned>(
        &self,
        kind: TokenKind,
        token: &str,
    ) -> Result<T, Refused> {
        let mut validation = signature_alone(Algorithm::HS256);
        validation.validate_exp = true;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp"]);
        self.signed(kind, token, &validation)
            .map(|(claims, _)| claims)
    }

    /// The claims, and whether the token bears the `typ` that we write ourselves.
    pub(super) fn signed<T: DeserializeOwned>(
        &self,
        kind: TokenKind,
        token: &str,
        validation: &Validation,
    ) -> Result<(T, bool), Refused> {
        let header = read_header(token)?;
        // The kind first: a token of another kind may be one that another issuer signs in its own way.
        let marked = kind.admits(header.typ.as_deref())?;
        if header.alg != Algorithm::HS256 {
            return Err(Refused::WrongAlgorithm);
        }
        for key in self
            .0
            .iter()
            .filter(|key| key.may_have_signed(header.kid.as_deref()))
        {
            match decode(token, &key.jwt(kind).verify, validation) {
                Ok(data) => return Ok((data.claims, marked)),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(error) => return Err(refusal(error.kind())),
            }
        }
        Err(Refused::BadSignature)
    }

    /// Signs bytes: base64url of an HMAC-SHA256.
    pub(crate) fn seal(&self, mac: Mac, bytes: &[u8]) -> String {
        BASE64URL_NOPAD.encode(hmac::sign(self.0[0].mac(mac), bytes).as_ref())
    }

    /// Whether [`Self::seal`] of a key in the ring made the signature; takes the same time for every wrong one.
    pub(crate) fn sealed(&self, mac: Mac, bytes: &[u8], signature: &str) -> bool {
        BASE64URL_NOPAD
            .decode(signature.as_bytes())
            .is_ok_and(|tag| {
                self.0
                    .iter()
                    .any(|key| hmac::verify(key.mac(mac), bytes, &tag).is_ok())
            })
    }
}

/// Names the keys, never shows them.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .0
            .iter()
            .map(|key| key.kid.as_deref().unwrap_or("unnamed"));
        f.debug_tuple("KeyRing")
            .field(&names.collect::<Vec<_>>())
            .finish()
    }
}

impl Key {
    fn new(kid: Option<String>, secret: &str) -> Result<Self, RingError> {
        let secret = secret.as_bytes();
        if secret.len() < MIN_SECRET {
            return Err(RingError::TooShort);
        }
        Ok(Self {
            kid,
            access: JwtKey::new(secret),
            callback: JwtKey::new(&derive(secret, b"callback")?),
            refresh: JwtKey::new(&derive(secret, b"refresh")?),
            ticket: JwtKey::new(&derive(secret, b"ticket")?),
            cursor: hmac::Key::new(hmac::HMAC_SHA256, &derive(secret, b"cursor")?),
            link: hmac::Key::new(hmac::HMAC_SHA256, &derive(secret, b"link")?),
        })
    }

    fn may_have_signed(&self, kid: Option<&str>) -> bool {
        kid.is_none() || self.kid.is_none() || self.kid.as_deref() == kid
    }

    fn jwt(&self, kind: TokenKind) -> &JwtKey {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Callback => &self.callback,
            TokenKind::Refresh => &self.refresh,
            TokenKind::Ticket => &self.ticket,
        }
    }

    fn mac(&self, mac: Mac) -> &hmac::Key {
        match mac {
            Mac::Cursor => &self.cursor,
            Mac::Link => &self.link,
        }
    }
}

impl JwtKey {
    fn new(secret: &[u8]) -> Self {
        Self {
            sign: EncodingKey::from_secret(secret),
            verify: DecodingKey::from_secret(secret),
        }
    }
}

/// HKDF-SHA256 (RFC 5869) under a fixed salt; the label keeps the kinds apart.
fn derive(secret: &[u8], label: &[u8]) -> Result<[u8; 32], RingError> {
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"tutti")
        .extract(secret)
        .expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .map_err(|_| RingError::Derivation)?;
    Ok(key)
}

/// The header of a token that is short enough to look at.
pub(crate) fn read_header(token: &str) -> Result<Header, Refused> {
    if token.len() > MAX_TOKEN {
        return Err(Refused::TooLong);
    }
    let header = decode_header(token).map_err(|_| Refused::Malformed)?;
    // RFC 7515 §4.1.11: an extension that one must understand, and we understand none.
    if header.crit.is_some() {
        return Err(Refused::Critical);
    }
    Ok(header)
}

/// A look at the signature alone. The algorithm comes from here, never from the token.
pub(crate) fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims::<&str>(&[]);
    validation
}

fn refusal(kind: &ErrorKind) -> Refused {
    match kind {
        ErrorKind::ExpiredSignature => Refused::Expired,
        ErrorKind::ImmatureSignature => Refused::NotYet,
        _ => Refused::Malformed,
    }
}
