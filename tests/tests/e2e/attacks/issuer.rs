//! Another issuer, and an impostor beside it who counts whoever comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::routing::get;
use jsonwebtoken::Algorithm;
use local::KeyPair;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(super) const ISSUER: &str = "https://id.example/";
pub(super) const AUDIENCE: &str = "tutti";
/// What the issuer shares with somebody else, and lists by mistake.
pub(super) const SHARED: &[u8] = b"a-symmetric-key-that-has-no-place-in-a-jwks";

pub(super) struct Issuer {
    pub(super) rsa: KeyPair,
    pub(super) ec: KeyPair,
    pub(super) ed: KeyPair,
    /// Listed, and not for signatures.
    pub(super) encryption: KeyPair,
    /// Of the impostor.
    pub(super) evil: KeyPair,
    /// The JWKS, as it is served.
    pub(super) document: String,
    pub(super) url: String,
    /// Where the impostor's keys lie.
    pub(super) trap: String,
    pub(super) asked: Arc<AtomicUsize>,
    trapped: Arc<AtomicUsize>,
}

impl Issuer {
    pub(super) async fn start() -> Self {
        let pair = |algorithm, kid| KeyPair::new(algorithm, kid).unwrap();
        let rsa = pair(Algorithm::RS256, "rsa");
        let ec = pair(Algorithm::ES256, "ec");
        let ed = pair(Algorithm::EdDSA, "ed");
        let encryption = pair(Algorithm::RS256, "encryption");
        let evil = pair(Algorithm::RS256, "evil");
        let shared = {
            use base64::Engine;
            base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(SHARED)
        };
        let keys = [
            rsa.jwk.clone(),
            ec.jwk.clone(),
            ed.jwk.clone(),
            encryption.jwk_with(&json!({"use": "enc"})),
            json!({"kty": "oct", "kid": "shared", "alg": "HS256", "k": shared}),
        ];
        let document = json!({ "keys": keys }).to_string();
        let bad = json!({"keys": [evil.jwk]}).to_string();
        let (asked, trapped) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let counted = |counter: &Arc<AtomicUsize>, text: &str| {
            let (counter, text) = (counter.clone(), text.to_owned());
            get(async move || {
                counter.fetch_add(1, SeqCst);
                text
            })
        };
        let app = Router::new()
            .route("/keys", counted(&asked, &document))
            .route("/evil", counted(&trapped, &bad));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            rsa,
            ec,
            ed,
            encryption,
            evil,
            document,
            url: format!("{base}/keys"),
            trap: format!("{base}/evil"),
            asked,
            trapped,
        }
    }

    /// What the functions must know of it.
    pub(super) fn env(&self) -> Vec<(String, String)> {
        let set = [
            ("JWKS_URL", self.url.as_str()),
            ("JWT_ISSUER", ISSUER),
            ("JWT_AUDIENCE", AUDIENCE),
        ];
        set.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    /// How often somebody looked at the impostor's keys.
    pub(super) fn trapped(&self) -> usize {
        self.trapped.load(SeqCst)
    }

    /// `n` of the RSA key, as it is listed.
    pub(super) fn modulus(&self) -> &str {
        self.rsa.jwk["n"].as_str().unwrap()
    }

    /// Sound claims of its own.
    pub(super) fn claims(role: &str) -> Value {
        let now = shared::keyring::now();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": crate::app::ALICE, "role": role, "iat": now, "exp": now + 900,
        })
    }
}
