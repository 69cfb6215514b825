//! What may stand in `Authorization` and must open nothing.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use shared::keyring::now;

use super::forge::{body, claims, derived, mac, part, signed, with};
use super::issuer::{Issuer, SHARED};
use super::{KID, OTHER_KID, OTHER_SECRET, SECRET};

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

    fn algorithms(&mut self) {
        for (name, alg) in [
            ("alg none", "none"),
            ("alg None", "None"),
            ("alg nOnE", "nOnE"),
            ("alg NONE", "NONE"),
            ("alg empty", ""),
        ] {
            let header = with(&self.header, "alg", json!(alg));
            self.add(name, format!("{}.", body(&header, &self.ours)));
        }
        let good = self.good();
        let signature = good.rsplit('.').next().unwrap();
        let none = with(&self.header, "alg", json!("none"));
        self.add(
            "alg none, and a signature",
            format!("{}.{signature}", body(&none, &self.ours)),
        );
        self.ours_with_header("no alg", "alg", json!(null));
        self.ours_with_header("alg is a list", "alg", json!(["HS256"]));
        self.ours_with_header("alg in lower case", "alg", json!("hs256"));
        let secret = jsonwebtoken::EncodingKey::from_secret(self.secret);
        for (name, alg, by) in [
            ("HS384", "HS384", Algorithm::HS384),
            ("HS512", "HS512", Algorithm::HS512),
        ] {
            let header = with(&self.header, "alg", json!(alg));
            self.add(name, signed(&body(&header, &self.ours), &secret, by));
        }
        self.ours_with_header("RS256 in the header of an HMAC", "alg", json!("RS256"));
        let issuer = self.issuer;
        for (name, alg, by) in [
            ("RS512 by a key for RS256", "RS512", Algorithm::RS512),
            ("PS256 by a key for RS256", "PS256", Algorithm::PS256),
        ] {
            let header = json!({"alg": alg, "typ": "JWT", "kid": "rsa"});
            self.theirs_as(name, &header, &issuer.rsa, by);
        }
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": "ec"});
        let zero = part([0; 64]);
        let text = body(&header, &self.theirs);
        self.add("ES256 of nothing but zeros", format!("{text}.{zero}"));
        self.add("ES256 without a signature", format!("{text}."));
    }

    fn confusions(&mut self) {
        let issuer = self.issuer;
        let pem = issuer.rsa.public_pem.clone();
        let der = {
            use base64::Engine;
            let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            base64::prelude::BASE64_STANDARD.decode(lines).unwrap()
        };
        let point = issuer.ec.public_pem.as_bytes();
        let jwk = issuer.rsa.jwk.to_string();
        for (name, kid, secret) in [
            ("HS256 by the RSA key in PEM", "rsa", pem.as_bytes()),
            (
                "HS256 by the RSA key in PEM, trimmed",
                "rsa",
                pem.trim().as_bytes(),
            ),
            ("HS256 by the RSA key in DER", "rsa", &der),
            (
                "HS256 by the RSA modulus",
                "rsa",
                issuer.modulus().as_bytes(),
            ),
            ("HS256 by the RSA key as JSON", "rsa", jwk.as_bytes()),
            ("HS256 by the EC key in PEM", "ec", point),
            ("HS256 by the whole JWKS", "rsa", issuer.document.as_bytes()),
            ("HS256 by a symmetric key of the JWKS", "shared", SHARED),
        ] {
            let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
            self.add(name, mac(&body(&header, &self.theirs), secret));
            let header = with(&header, "kid", json!(null));
            self.add(name, mac(&body(&header, &self.theirs), secret));
        }
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "ec"});
        self.theirs_as(
            "RS256 under the name of the EC key",
            &header,
            &issuer.rsa,
            Algorithm::RS256,
        );
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "rsa"});
        self.theirs_as(
            "ES256 in the header of RS256",
            &header,
            &issuer.ec,
            Algorithm::ES256,
        );
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "encryption"});
        self.theirs_as(
            "by a key for encryption",
            &header,
            &issuer.encryption,
            Algorithm::RS256,
        );
        // Ours is not theirs, and theirs is not ours.
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": KID});
        self.add(
            "theirs, signed as ours",
            mac(&body(&header, &self.theirs), SHARED),
        );
    }

    fn names_of_keys(&mut self) {
        let issuer = self.issuer;
        self.ours_with_header("unknown kid", "kid", json!("three"));
        self.ours_with_header("kid of another key of the ring", "kid", json!(OTHER_KID));
        self.ours_with_header("kid is a number", "kid", json!(1));
        self.ours_with_header("empty kid", "kid", json!(""));
        for (name, kid, secret) in [
            (
                "kid is a path, signed with nothing",
                "../../../../../../dev/null",
                &b"\0"[..],
            ),
            (
                "kid is a path to a known file",
                "/proc/sys/kernel/randomize_va_space",
                b"2\n",
            ),
            ("kid is SQL", "x' UNION SELECT 'secret' -- ", b"secret"),
            ("kid is a command", "one|echo secret", b"secret"),
            ("kid is a template", "${SECRET}", b"${SECRET}"),
            ("kid is an address", "https://evil.example/key", b"secret"),
        ] {
            let header = with(&self.header, "kid", json!(kid));
            self.add(name, mac(&body(&header, &self.ours), secret));
        }
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "rsa-2"});
        self.theirs_as(
            "RS256 by a key that is not listed",
            &header,
            &issuer.rsa,
            Algorithm::RS256,
        );
        let header = json!({"alg": "RS256", "typ": "JWT"});
        self.theirs_as(
            "RS256 without a name",
            &header,
            &issuer.rsa,
            Algorithm::RS256,
        );
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "rsa"});
        self.theirs_as(
            "RS256 by the impostor",
            &header,
            &issuer.evil,
            Algorithm::RS256,
        );
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "evil"});
        self.theirs_as(
            "RS256 by the impostor, named",
            &header,
            &issuer.evil,
            Algorithm::RS256,
        );
    }

    fn keys_brought_along(&mut self) {
        let issuer = self.issuer;
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "evil"});
        let certificate = json!([part("a certificate")]);
        for (name, member, value) in [
            ("jku", "jku", json!(issuer.trap)),
            ("x5u", "x5u", json!(issuer.trap)),
            ("embedded jwk", "jwk", issuer.evil.jwk.clone()),
            ("x5c", "x5c", certificate),
        ] {
            let header = with(&header, member, value);
            self.theirs_as(name, &header, &issuer.evil, Algorithm::RS256);
            let header = with(&header, "kid", json!("rsa"));
            self.theirs_as(name, &header, &issuer.evil, Algorithm::RS256);
        }
        let own = b"a secret of the attacker's own, long enough";
        let jwk = json!({"kty": "oct", "k": part(own)});
        let header = with(&self.header, "jwk", jwk);
        self.add(
            "embedded symmetric jwk",
            mac(&body(&header, &self.ours), own),
        );
        self.ours_with_header("crit", "crit", json!(["exp"]));
        self.ours_with_header("crit of nothing", "crit", json!([]));
        let header = json!({"alg": "HS256", "kid": KID, "b64": false, "crit": ["b64"]});
        let text = format!("{}.{}", part(header.to_string()), self.ours);
        self.add(
            "claims that are not encoded (RFC 7797)",
            mac(&text, self.secret),
        );
    }

    fn times(&mut self) {
        let now = now();
        self.ours_with("expired", "exp", json!(now - 60));
        self.ours_with("expired in 1970", "exp", json!(0));
        self.ours_with("not yet valid", "nbf", json!(now + 120));
        self.ours_with("no exp", "exp", json!(null));
        self.ours_with("exp is text", "exp", json!((now + 900).to_string()));
        self.ours_with("exp is negative", "exp", json!(-1));
        self.theirs_with("theirs, expired", "exp", json!(now - 60));
        self.theirs_with("theirs, not yet valid", "nbf", json!(now + 120));
        self.theirs_with("theirs, no exp", "exp", json!(null));
        let user = with(&self.ours, "role", json!("user"));
        let day = with(&user, "exp", json!(now + 86_400));
        self.add(
            "a user's for a day, without a type",
            mac(&body(&self.header, &day), self.secret),
        );
        let old = with(&user, "iat", json!(now - 86_400));
        self.add(
            "the last minutes of a user's long life",
            mac(&body(&self.header, &old), self.secret),
        );
    }

    fn claims_of_ours(&mut self) {
        self.ours_with("no sub", "sub", json!(null));
        self.ours_with("empty sub", "sub", json!(""));
        self.ours_with("sub is a number", "sub", json!(7));
        self.ours_with("sub is too long", "sub", json!("x".repeat(257)));
        self.ours_with("unknown role", "role", json!("root"));
        self.ours_with("roles", "role", json!(["user", "admin"]));
        self.ours_with("role in upper case", "role", json!("ADMIN"));
        self.ours_with("empty tenant", "tenant", json!(""));
        let user = with(&self.ours, "role", json!("user"));
        let user = mac(&body(&self.header, &user), self.secret);
        let signature = user.rsplit('.').next().unwrap();
        let text = body(&self.header, &self.ours);
        self.add("role edited", format!("{text}.{signature}"));
        let bob = with(&self.ours, "sub", json!("bob"));
        let good = self.good();
        let signature = good.rsplit('.').next().unwrap();
        self.add(
            "sub edited",
            format!("{}.{signature}", body(&self.header, &bob)),
        );
        let twice = format!(r#"{{"role":"user",{}"#, &self.ours.to_string()[1..]);
        let text = format!("{}.{}", part(self.header.to_string()), part(twice));
        self.add("two roles", mac(&text, self.secret));
    }

    fn claims_of_theirs(&mut self) {
        self.theirs_with("wrong issuer", "iss", json!("https://evil.example/"));
        self.theirs_with("almost the issuer", "iss", json!("https://id.example"));
        self.theirs_with("no issuer", "iss", json!(null));
        self.theirs_with("issuers", "iss", json!(["https://id.example/"]));
        self.theirs_with("wrong audience", "aud", json!("another-api"));
        self.theirs_with("audience in upper case", "aud", json!("TUTTI"));
        self.theirs_with("audiences without us", "aud", json!(["a", "b"]));
        self.theirs_with("no audience", "aud", json!(null));
        self.theirs_with("theirs, no sub", "sub", json!(null));
        self.theirs_with("theirs, unknown role", "role", json!("root"));
        let key = &self.issuer.rsa;
        let user = with(&self.theirs, "role", json!("user"));
        let user = key.sign(&key.header(), &user).unwrap();
        let parts: Vec<_> = user.split('.').collect();
        let claims = part(self.theirs.to_string());
        self.add(
            "theirs, role edited",
            format!("{}.{claims}.{}", parts[0], parts[2]),
        );
    }

    fn kinds(&mut self) {
        let (now, secret) = (now(), self.secret);
        let of_kind = |typ: &str| json!({"alg": "HS256", "typ": typ, "kid": KID});
        let refresh = derived(secret, b"refresh");
        let family = json!({"sub": "alice", "role": self.ours["role"], "family": "f", "n": 1, "exp": now + 900});
        for (name, typ, key) in [
            ("refresh token", "tutti-refresh+jwt", &refresh[..]),
            (
                "refresh token by the secret itself",
                "tutti-refresh+jwt",
                secret,
            ),
            ("refresh token that calls itself access", "at+jwt", &refresh),
            ("refresh token without a type", "JWT", &refresh),
        ] {
            self.add(name, mac(&body(&of_kind(typ), &family), key));
        }
        let ticket = derived(secret, b"ticket");
        for (name, typ, key) in [
            ("ticket", "tutti-ticket+jwt", &ticket[..]),
            (
                "access token that calls itself ticket",
                "tutti-ticket+jwt",
                secret,
            ),
            ("id token", "id+jwt", secret),
            ("logout token", "logout+jwt", secret),
            (
                "callback token by the secret itself",
                "tutti-callback+jwt",
                secret,
            ),
            (
                "derived key of callbacks, typed access",
                "at+jwt",
                &derived(secret, b"callback"),
            ),
            (
                "derived key of links, typed access",
                "at+jwt",
                &derived(secret, b"link"),
            ),
        ] {
            self.add(name, mac(&body(&of_kind(typ), &self.ours), key));
        }
        let id_token = json!({"alg": "RS256", "typ": "id+jwt", "kid": "rsa"});
        let issuer = self.issuer;
        self.theirs_as(
            "theirs, an id token",
            &id_token,
            &issuer.rsa,
            Algorithm::RS256,
        );
        let callback = json!({"alg": "RS256", "typ": "tutti-callback+jwt", "kid": "rsa"});
        self.theirs_as(
            "theirs, a callback token",
            &callback,
            &issuer.rsa,
            Algorithm::RS256,
        );
    }

    fn shapes(&mut self) {
        let good = self.good();
        let parts: Vec<_> = good.split('.').map(str::to_owned).collect();
        let (header, claims, signature) = (&parts[0], &parts[1], &parts[2]);
        for (name, token) in [
            ("a letter more", format!("{good}A")),
            ("a part more", format!("{good}.AAAA")),
            ("a full stop more", format!("{good}.")),
            ("padding", format!("{good}=")),
            ("a word more", format!("{good} and more")),
            ("a full stop before", format!(".{good}")),
            ("encoded trailing bytes", format!("{good}%00%0d%0a")),
            ("two parts", format!("{header}.{claims}")),
            ("five parts", format!("{good}.{claims}.{signature}")),
            ("no claims", format!("{header}..{signature}")),
            ("parts swapped", format!("{claims}.{header}.{signature}")),
            ("bad base64 in the header", format!("*{good}")),
            (
                "bad base64 in the claims",
                format!("{header}.{claims}*.{signature}"),
            ),
            (
                "bad base64 in the signature",
                format!("{header}.{claims}.*{signature}"),
            ),
            (
                "the signature of a byte less",
                format!("{header}.{claims}.{}", &signature[..42]),
            ),
            (
                "JSON",
                json!({"protected": header, "payload": claims, "signature": signature}).to_string(),
            ),
            ("garbage", "garbage".to_owned()),
            ("dots", "..".to_owned()),
        ] {
            self.add(name, token);
        }
        for (name, header, claims) in [
            ("a header that is no JSON", "HS256", self.ours.to_string()),
            (
                "a header that is a list",
                r#"["HS256"]"#,
                self.ours.to_string(),
            ),
            ("claims that are no JSON", "", "alice".to_owned()),
            ("claims that are a list", "", "[]".to_owned()),
            ("claims and more", "", format!("{}x", self.ours)),
        ] {
            let own = self.header.to_string();
            let header = if header.is_empty() { &own } else { header };
            self.add(
                name,
                mac(&format!("{}.{}", part(header), part(claims)), self.secret),
            );
        }
        self.ours_with("16 KB", "email", json!("x".repeat(12_000)));
        self.add("16 KB of nothing", "x".repeat(16 * 1024));
        let foreign = mac(
            &body(&self.header, &self.ours),
            b"another-secret-of-more-than-thirty-two-bytes",
        );
        self.add("foreign secret", foreign);
        let other = mac(&body(&self.header, &self.ours), OTHER_SECRET.as_bytes());
        self.add("the secret of another key of the ring", other);
        self.add("empty secret", mac(&body(&self.header, &self.ours), b""));
    }

    fn headers(&mut self) {
        let good = self.good();
        for (name, value) in [
            ("no scheme", good.clone()),
            ("another scheme", format!("Basic {good}")),
            ("a scheme that begins alike", format!("Bearerx {good}")),
            ("no token", "Bearer ".to_owned()),
            ("quotes", format!("Bearer \"{good}\"")),
            ("bytes beyond ASCII", format!("Bearer {good}é")),
            (
                "two tokens in one header",
                format!("Bearer {good}, Bearer {good}"),
            ),
            ("a parameter after the token", format!("Bearer {good}; a=b")),
        ] {
            self.cases.push((name, Some(value)));
        }
        self.cases.push(("no header", None));
    }
}
