//! Access tokens and rings, against tokens written as another issuer would.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const A: &str = "a-secret-of-more-than-thirty-two-bytes";
const B: &str = "another-secret-of-thirty-two-bytes-or-so";
const HOUR: Duration = Duration::from_secs(3600);

fn header(typ: Option<&str>) -> Header {
    Header {
        typ: typ.map(str::to_owned),
        ..Header::new(Algorithm::HS256)
    }
}

/// A token as another issuer would write it.
fn foreign(header: &Header, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_secret(A.as_bytes())).unwrap()
}

fn verdict(typ: Option<&str>, claims: Value) -> Result<AccessClaims, Refused> {
    KeyRing::single(A)
        .unwrap()
        .verify_access(&foreign(&header(typ), &claims))
}

#[test]
fn a_signed_token_is_read_back() {
    let ring = KeyRing::single(A).unwrap();
    let mut claims = AccessClaims::new("alice", Role::Admin, HOUR);
    claims.tenant = Some("band".to_owned());
    let token = ring.sign_access(&claims).unwrap();
    assert_eq!(ring.verify_access(&token), Ok(claims));
}

#[test]
fn the_first_key_signs_and_all_verify() {
    let old = KeyRing::parse(&format!("one:{A}")).unwrap();
    let both = KeyRing::parse(&format!("two:{B}, one:{A}")).unwrap();
    let new = KeyRing::parse(&format!("two:{B}")).unwrap();
    let claims = AccessClaims::new("alice", Role::User, HOUR);
    let (by_old, by_both) = (
        old.sign_access(&claims).unwrap(),
        both.sign_access(&claims).unwrap(),
    );
    assert!(both.verify_access(&by_old).is_ok());
    assert!(new.verify_access(&by_both).is_ok());
    assert_eq!(old.verify_access(&by_both), Err(Refused::BadSignature));
}

#[test]
fn a_token_without_a_kid_is_tried_with_every_key() {
    let ring = KeyRing::parse(&format!("two:{B},one:{A}")).unwrap();
    let token = foreign(
        &header(Some("JWT")),
        &json!({"sub": "alice", "exp": now() + 60}),
    );
    let claims = ring.verify_access(&token).unwrap();
    assert_eq!((claims.role, claims.iat), (Role::User, None));
}

#[test]
fn a_ring_of_one_accepts_a_kid_that_it_never_heard_of() {
    let mut header = header(None);
    header.kid = Some("elsewhere".to_owned());
    let token = foreign(&header, &json!({"sub": "alice", "exp": now() + 60}));
    assert!(KeyRing::single(A).unwrap().verify_access(&token).is_ok());
    let named = KeyRing::parse(&format!("one:{A}")).unwrap();
    assert_eq!(named.verify_access(&token), Err(Refused::BadSignature));
}

#[test]
fn other_algorithms_are_refused_whatever_the_token_says() {
    let ring = KeyRing::single(A).unwrap();
    let claims = json!({"sub": "alice", "exp": now() + 60});
    let hs512 = encode(
        &Header::new(Algorithm::HS512),
        &claims,
        &EncodingKey::from_secret(A.as_bytes()),
    )
    .unwrap();
    assert_eq!(ring.verify_access(&hs512), Err(Refused::WrongAlgorithm));
    let none = format!(
        "{}.{}.",
        BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#),
        BASE64URL_NOPAD.encode(claims.to_string().as_bytes())
    );
    assert_eq!(ring.verify_access(&none), Err(Refused::Malformed));
}

#[test]
fn expired_and_early_tokens_are_refused() {
    let expired = json!({"sub": "alice", "exp": now() - 60});
    assert_eq!(verdict(None, expired), Err(Refused::Expired));
    let early = json!({"sub": "alice", "exp": now() + 120, "nbf": now() + 60});
    assert_eq!(verdict(None, early), Err(Refused::NotYet));
}

#[test]
fn a_token_of_another_type_is_refused() {
    let claims = json!({"sub": "alice", "exp": now() + 60});
    for typ in [
        "JWT",
        "jwt",
        "application/jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/AT+JWT",
    ] {
        assert!(verdict(Some(typ), claims.clone()).is_ok(), "{typ}");
    }
    assert!(verdict(None, claims.clone()).is_ok());
    for typ in [
        "tutti-callback+jwt",
        "refresh+jwt",
        "",
        "application/",
        "application/application/jwt",
        "text/at+jwt",
        "application/tutti-callback+jwt",
    ] {
        assert_eq!(
            verdict(Some(typ), claims.clone()),
            Err(Refused::WrongKind),
            "{typ}"
        );
    }
}

#[test]
fn an_unmarked_token_lives_an_hour_unless_it_is_a_service() {
    let day = |role: &str, iat: Option<u64>| {
        let mut claims = json!({"sub": "alice", "role": role, "exp": now() + 86_400});
        if let Some(iat) = iat {
            claims["iat"] = iat.into();
        }
        claims
    };
    for iat in [None, Some(now()), Some(now() + 86_000)] {
        for role in ["user", "admin"] {
            assert_eq!(verdict(Some("JWT"), day(role, iat)), Err(Refused::Unmarked));
        }
        for role in ["orchestrator", "system", "worker"] {
            assert!(verdict(Some("JWT"), day(role, iat)).is_ok(), "{role}");
        }
        assert!(verdict(Some("at+jwt"), day("user", iat)).is_ok());
    }
    let hour = json!({"sub": "alice", "iat": now() - 10, "exp": now() + 3590});
    assert!(verdict(Some("JWT"), hour).is_ok());
}

#[test]
fn the_end_of_a_long_life_does_not_make_a_refresh_token_short() {
    let old = json!({"sub": "alice", "iat": now() - 86_400, "exp": now() + 60});
    assert_eq!(verdict(Some("JWT"), old), Err(Refused::Unmarked));
}

#[test]
fn claims_out_of_shape_are_refused_by_name() {
    for (claims, word) in [
        (json!({"sub": "alice"}), "no end (exp)"),
        (json!({"sub": "alice", "exp": null}), "no end (exp)"),
        (json!({"sub": "alice", "exp": "tomorrow"}), "end (exp) must"),
        (json!({"sub": "alice", "exp": -1}), "end (exp) must"),
        (json!({"exp": now() + 60}), "no subject (sub)"),
        (json!({"sub": "", "exp": now() + 60}), "subject (sub) must"),
        (json!({"sub": 7, "exp": now() + 60}), "subject (sub) must"),
        (
            json!({"sub": "x".repeat(257), "exp": now() + 60}),
            "subject (sub) must",
        ),
        (
            json!({"sub": "alice", "tenant": "", "exp": now() + 60}),
            "tenant must",
        ),
        (
            json!({"sub": "alice", "tenant": ["a"], "exp": now() + 60}),
            "tenant must",
        ),
        (
            json!({"sub": "alice", "role": "root", "exp": now() + 60}),
            "role must",
        ),
        (
            json!({"sub": "alice", "role": ["admin"], "exp": now() + 60}),
            "role must",
        ),
        (
            json!({"sub": "alice", "nbf": "now", "exp": now() + 60}),
            "(nbf) must",
        ),
        (
            json!({"sub": "alice", "iat": {}, "exp": now() + 60}),
            "(iat) must",
        ),
        (json!(["alice"]), "not a JWT"),
    ] {
        let refused = verdict(None, claims.clone()).unwrap_err().to_string();
        assert!(refused.contains(word), "{claims}: {refused}");
    }
    let fraction = json!({"sub": "alice", "exp": now() as f64 + 60.5});
    assert!(verdict(None, fraction).is_ok());
}

#[test]
fn null_is_an_absent_claim() {
    let bare = json!({"sub": "alice", "exp": now() + 60});
    let mut nulls = bare.clone();
    for claim in ["role", "tenant", "iat", "nbf", "jti", "email", "iss", "aud"] {
        nulls[claim] = Value::Null;
    }
    assert_eq!(verdict(None, nulls), verdict(None, bare));
}

#[test]
fn a_claim_that_stands_there_twice_is_refused() {
    let key = EncodingKey::from_secret(A.as_bytes());
    let twice = format!(
        r#"{{"role":"user","role":"admin","sub":"alice","exp":{}}}"#,
        now() + 60
    );
    let twice: &serde_json::value::RawValue = serde_json::from_str(&twice).unwrap();
    let token = encode(&header(None), &twice, &key).unwrap();
    let ring = KeyRing::single(A).unwrap();
    assert_eq!(ring.verify_access(&token), Err(Refused::Malformed));
}

#[test]
fn oversized_and_critical_tokens_are_refused() {
    let ring = KeyRing::single(A).unwrap();
    let long = json!({"sub": "alice", "email": "x".repeat(MAX_TOKEN), "exp": now() + 60});
    assert_eq!(
        ring.verify_access(&foreign(&header(None), &long)),
        Err(Refused::TooLong)
    );
    let mut critical = header(None);
    critical.crit = Some(vec!["b64".to_owned()]);
    let token = foreign(&critical, &json!({"sub": "alice", "exp": now() + 60}));
    assert_eq!(ring.verify_access(&token), Err(Refused::Critical));
    assert_eq!(
        ring.verify_access("no token at all"),
        Err(Refused::Malformed)
    );
}

#[test]
fn a_ring_is_refused_for_a_plain_reason_and_shows_no_secret() {
    let parse = |text: &str| KeyRing::parse(text).map(|_| ()).unwrap_err();
    assert_eq!(parse(""), RingError::Empty);
    assert_eq!(parse("short"), RingError::Shape);
    assert_eq!(parse(&format!(":{A}")), RingError::Shape);
    assert_eq!(parse("one:short"), RingError::TooShort);
    assert_eq!(parse(&format!("one:{A},one:{B}")), RingError::Twice);
    let shown = format!("{:?}", KeyRing::parse(&format!("one:{A}")).unwrap());
    assert_eq!(shown, r#"KeyRing(["one"])"#);
}

#[test]
fn a_token_that_only_we_make_must_have_begun_as_well() {
    let ring = KeyRing::single(A).unwrap();
    let early = json!({"exp": now() + 120, "nbf": now() + 60});
    let token = ring.sign(TokenKind::Callback, &early).unwrap();
    let verified = ring.verify::<Value>(TokenKind::Callback, &token);
    assert_eq!(verified, Err(Refused::NotYet));
}
