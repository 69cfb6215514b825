//! Rightly signed, and not to be believed; and what is no token at all.

use jsonwebtoken::Algorithm;
use serde_json::json;
use shared::keyring::now;

use super::Forger;
use crate::attacks::forge::{body, derived, mac, part, with};
use crate::attacks::{KID, OTHER_SECRET};

impl Forger<'_> {
    pub(super) fn times(&mut self) {
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

    pub(super) fn claims_of_ours(&mut self) {
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

    pub(super) fn claims_of_theirs(&mut self) {
        self.theirs_with("wrong issuer", "iss", json!("https://evil.example/"));
        self.theirs_with("almost the issuer", "iss", json!("https://id.example"));
        self.theirs_with("no issuer", "iss", json!(null));
        self.theirs_with("issuers", "iss", json!(["https://id.example/"]));
        self.theirs_with("wrong audience", "aud", json!("another-api"));
        self.theirs_with("audience in upper case", "aud", json!("TUTTI"));
        self.theirs_with("audiences without us", "aud", json!(["a", "b"]));
        self.theirs_with("no audience", "aud", json!(null));
        self.theirs_with("theirs, no sub", "sub", json!(null));
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

    pub(super) fn kinds(&mut self) {
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

    pub(super) fn shapes(&mut self) {
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

    pub(super) fn headers(&mut self) {
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
