//! Tokens of another issuer, signed with real keys that a real server lists.

mod keeping;
mod providers;

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use jsonwebtoken::{EncodingKey, Header, encode};
use local::KeyPair;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::identity::Revocations;
use crate::keyring::Role;
use crate::models::testing::serve;

const SECRET: &str = "a-secret-of-more-than-thirty-two-bytes";
const ISSUER: &str = "https://id.example/";

/// A key of the issuer.
struct Pair(KeyPair);

impl Pair {
    fn new(algorithm: Algorithm, kid: &str) -> Self {
        Self(KeyPair::new(algorithm, kid).unwrap())
    }

    fn jwk(&self) -> Value {
        self.0.jwk.clone()
    }

    fn with(&self, changes: Value) -> Value {
        self.0.jwk_with(&changes)
    }

    fn header(&self) -> Header {
        self.0.header()
    }

    fn token(&self, header: &Header, claims: &Value) -> String {
        self.0.sign(header, claims).unwrap()
    }

    /// A sound token.
    fn good(&self) -> String {
        self.token(&self.header(), &claims())
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "tutti", "sub": "zoe", "role": "admin", "iat": now(), "exp": now() + 600})
}

fn verifier(jwks_url: &str) -> Verifier {
    configured(jwks_url, &[])
}

fn configured(jwks_url: &str, more: &[(&str, &str)]) -> Verifier {
    let mut variables = vec![
        ("REDIS_URL", "redis://127.0.0.1"),
        ("ARTIFACTS_URL", "file:///tmp/tutti"),
        ("JWT_SECRET", SECRET),
        ("JWKS_URL", jwks_url),
        ("JWT_ISSUER", ISSUER),
        ("JWT_AUDIENCE", "tutti"),
        ("DEV_MODE", "1"),
    ];
    variables.extend(more);
    let look = |name: &str| variables.iter().find(|(known, _)| *known == name);
    let config = Config::read(|name| look(name).map(|(_, value)| (*value).to_owned())).unwrap();
    let client = crate::models::http_client().unwrap();
    let ring = config.keys.clone();
    Verifier::new(ring, config.issuer.as_ref(), client, Revocations::nowhere())
}

/// A verifier whose issuer lists these keys.
async fn of(keys: &[Value]) -> Verifier {
    with(keys, &[]).await
}

/// The same with more variables.
async fn with(keys: &[Value], more: &[(&str, &str)]) -> Verifier {
    let document = json!({ "keys": keys }).to_string();
    let app = Router::new().route("/", get(async move || document));
    configured(serve(app).await.as_str(), more)
}

async fn verdict(verifier: &Verifier, token: &str) -> Result<AccessClaims, Unverified> {
    verifier.verify(token).await
}

fn refused<T>(why: Refused) -> Result<T, Unverified> {
    Err(Unverified::Refused(why))
}

#[tokio::test]
async fn tokens_of_every_allowed_algorithm_are_believed() {
    let algorithms = [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];
    let pairs = algorithms.map(|algorithm| Pair::new(algorithm, &format!("{algorithm:?}")));
    let verifier = of(&pairs.each_ref().map(|pair| pair.jwk())).await;
    for pair in &pairs {
        let claims = verdict(&verifier, &pair.good()).await.unwrap();
        assert_eq!((claims.sub.as_str(), claims.role), ("zoe", Role::Admin));
    }
    let ours = AccessClaims::new("alice", Role::User, Duration::from_secs(60));
    let ours = verifier.ring().sign_access(&ours).unwrap();
    assert!(verdict(&verifier, &ours).await.is_ok());
}

#[tokio::test]
async fn a_long_lived_token_passes_only_where_it_can_be_known_that_it_was_not_taken_back() {
    let pair = Pair::new(Algorithm::ES256, "a");
    let verifier = of(&[pair.jwk()]).await;
    let status = async |life: u64, jti: Option<&str>| {
        let mut claims = AccessClaims::new("gpu", Role::Worker, Duration::from_secs(life));
        claims.jti = jti.map(str::to_owned);
        let token = verifier.ring().sign_access(&claims).unwrap();
        let answer = verifier.admit(&token).await;
        answer.map_or_else(|problem| problem.status().as_u16(), |_| 200)
    };
    assert_eq!(status(86_400, None).await, 200);
    assert_eq!(status(86_400, Some("an-id")).await, 503);
}

#[tokio::test]
async fn without_an_issuer_only_our_own_tokens_are_believed() {
    let pair = Pair::new(Algorithm::ES256, "a");
    let ring = KeyRing::single(SECRET).unwrap();
    let client = crate::models::http_client().unwrap();
    let alone = Verifier::new(ring, None, client, Revocations::nowhere());
    assert_eq!(
        verdict(&alone, &pair.good()).await,
        refused(Refused::WrongAlgorithm)
    );
}

#[tokio::test]
async fn the_algorithm_comes_from_the_key() {
    let (rsa, ec) = (
        Pair::new(Algorithm::RS256, "rsa"),
        Pair::new(Algorithm::ES256, "ec"),
    );
    let verifier = of(&[rsa.jwk(), ec.jwk()]).await;
    for (algorithm, why) in [
        (Algorithm::RS512, Refused::WrongAlgorithm),
        (Algorithm::RS384, Refused::WrongAlgorithm),
        (Algorithm::PS256, Refused::BadSignature),
    ] {
        let mut header = rsa.header();
        header.alg = algorithm;
        let token = rsa.token(&header, &claims());
        assert_eq!(
            verdict(&verifier, &token).await,
            refused(why),
            "{algorithm:?}"
        );
    }
    let mut header = rsa.header();
    header.kid = Some("ec".to_owned());
    let crossed = rsa.token(&header, &claims());
    assert_eq!(
        verdict(&verifier, &crossed).await,
        refused(Refused::BadSignature)
    );
    // RSA key confusion: everything public of the key as if it were a secret.
    let n = rsa.0.jwk["n"].as_str().unwrap();
    for secret in [n.as_bytes(), rsa.0.jwk.to_string().as_bytes()] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("rsa".to_owned());
        let token = encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(
            verdict(&verifier, &token).await,
            refused(Refused::BadSignature)
        );
    }
}

#[tokio::test]
async fn keys_that_are_not_for_this_are_not_used() {
    let (rsa, ec) = (
        Pair::new(Algorithm::RS256, "rsa"),
        Pair::new(Algorithm::ES256, "ec"),
    );
    for unfit in [
        rsa.with(json!({"use": "enc"})),
        rsa.with(json!({"use": "tls"})),
        rsa.with(json!({"key_ops": ["encrypt"]})),
        rsa.with(json!({"alg": "RS512"})),
        rsa.with(json!({"alg": "RSA-OAEP"})),
        rsa.with(json!({"kid": 7})),
    ] {
        let verifier = of(std::slice::from_ref(&unfit)).await;
        assert_eq!(
            verdict(&verifier, &rsa.good()).await,
            refused(Refused::UnknownKey),
            "{unfit}"
        );
    }
    for fit in [
        rsa.with(json!({"use": "sig", "key_ops": ["verify"]})),
        rsa.with(json!({"alg": null})),
    ] {
        let verifier = of(&[
            json!({"kty": "new", "crv": 7}),
            json!("no key"),
            fit.clone(),
        ])
        .await;
        assert!(verdict(&verifier, &rsa.good()).await.is_ok(), "{fit}");
    }
    let short = &rsa.0.jwk["n"].as_str().unwrap()[..170];
    for unfit in [
        rsa.with(json!({"n": short})),
        rsa.with(json!({"n": format!("{}{short}", "A".repeat(172))})),
        ec.with(json!({"crv": "P-384", "alg": null})),
        ec.with(json!({"x": "AAAA"})),
        json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "oct"}),
    ] {
        let keys = keys::KeySet::parse(json!({"keys": [unfit]}).to_string().as_bytes()).unwrap();
        assert_eq!(keys.fitting(None).count(), 0, "{unfit}");
    }
}

#[tokio::test]
async fn a_name_is_needed_where_there_are_several_keys() {
    let (one, two) = (
        Pair::new(Algorithm::ES256, "1"),
        Pair::new(Algorithm::ES256, "2"),
    );
    let mut nameless = one.header();
    nameless.kid = None;
    let nameless = one.token(&nameless, &claims());
    let alone = of(&[one.jwk()]).await;
    assert!(verdict(&alone, &nameless).await.is_ok());
    assert!(
        verdict(&of(&[one.with(json!({"kid": null}))]).await, &one.good())
            .await
            .is_ok()
    );
    let both = of(&[one.jwk(), two.jwk()]).await;
    assert_eq!(
        verdict(&both, &nameless).await,
        refused(Refused::UnknownKey)
    );
    assert_eq!(
        verdict(&alone, &two.good()).await,
        refused(Refused::UnknownKey)
    );
    // Two keys of one name: either may have signed.
    let twins = of(&[two.with(json!({"kid": "1"})), one.jwk()]).await;
    assert!(verdict(&twins, &one.good()).await.is_ok());
}

#[tokio::test]
async fn what_a_token_must_say() {
    let pair = Pair::new(Algorithm::EdDSA, "a");
    let verifier = of(&[pair.jwk()]).await;
    let changed = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        pair.token(&pair.header(), &claims)
    };
    for (name, value, why) in [
        ("iss", json!("https://id.example"), Refused::WrongIssuer),
        ("iss", json!([ISSUER]), Refused::WrongIssuer),
        ("iss", json!(null), Refused::Missing("issuer (iss)")),
        ("aud", json!("Tutti"), Refused::WrongAudience),
        ("aud", json!(["other", "tutti2"]), Refused::WrongAudience),
        ("aud", json!([]), Refused::WrongAudience),
        ("aud", json!(null), Refused::Missing("audience (aud)")),
        ("sub", json!(null), Refused::Missing("subject (sub)")),
        ("exp", json!(null), Refused::Missing("end (exp)")),
        ("exp", json!(now() - 60), Refused::Expired),
        ("nbf", json!(now() + 60), Refused::NotYet),
        ("exp", json!(now() + 90_000), Refused::TooLongLived(86_400)),
        ("iat", json!(now() - 86_400), Refused::TooLongLived(86_400)),
    ] {
        let token = changed(name, value.clone());
        assert_eq!(
            verdict(&verifier, &token).await,
            refused(why),
            "{name} {value}"
        );
    }
    assert!(
        verdict(&verifier, &changed("aud", json!(["other", "tutti"])))
            .await
            .is_ok()
    );
    for (typ, passes) in [
        ("at+jwt", true),
        ("application/at+jwt", true),
        ("Application/AT+JWT", true),
        ("jwt", true),
        ("id+jwt", false),
        ("tutti-callback+jwt", false),
    ] {
        let mut header = pair.header();
        header.typ = Some(typ.to_owned());
        let token = pair.token(&header, &claims());
        assert_eq!(verdict(&verifier, &token).await.is_ok(), passes, "{typ}");
    }
}

#[tokio::test]
async fn a_key_that_comes_with_its_token_is_not_looked_at() {
    let (pair, evil) = (
        Pair::new(Algorithm::RS256, "a"),
        Pair::new(Algorithm::RS256, "a"),
    );
    let trap = serve(Router::new().route("/", get(async || StatusCode::IM_A_TEAPOT))).await;
    let verifier = of(&[pair.jwk()]).await;
    let mut header = evil.header();
    header.jku = Some(trap.to_string());
    header.x5u = Some(trap.to_string());
    header.jwk = serde_json::from_value(evil.jwk()).ok();
    let token = evil.token(&header, &claims());
    assert_eq!(
        verdict(&verifier, &token).await,
        refused(Refused::BadSignature)
    );
    let mut header = pair.header();
    header.crit = Some(vec!["exp".to_owned()]);
    let token = pair.token(&header, &claims());
    assert_eq!(verdict(&verifier, &token).await, refused(Refused::Critical));
}
