//! What we sign for others to bring back: callback tokens for models, links to audio, list cursors.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::job::{Fence, JobId, RenderKey};
use crate::keyring::{CannotSign, KeyRing, Mac, Refused, TokenKind, now};
use crate::stage::Stage;

/// The longest sealed text that is looked at, in bytes.
const MAX_SEALED: usize = 2048;
/// Bytes of HMAC-SHA256 in base64url without padding.
const SIGNATURE: usize = 43;

/// What a model service may report on: one stage of one run of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackClaims {
    pub job: JobId,
    pub render: RenderKey,
    pub stage: Stage,
    pub fence: Fence,
    /// Seconds since 1970.
    pub exp: u64,
}

impl CallbackClaims {
    /// The token that a model is given with its job.
    pub fn sign(&self, ring: &KeyRing) -> Result<String, CannotSign> {
        ring.sign(TokenKind::Callback, self)
    }

    /// Reads back what [`Self::sign`] wrote; nothing else passes, least of all an access token.
    pub fn verify(ring: &KeyRing, token: &str) -> Result<Self, Refused> {
        ring.verify(TokenKind::Callback, token)
    }
}

/// `<path>?exp=<seconds since 1970>&sig=<base64url>`: lets whoever holds it read the path until then.
pub fn sign_link(ring: &KeyRing, path: &str, exp: u64) -> String {
    format!(
        "{path}?exp={exp}&sig={}",
        ring.seal(Mac::Link, &link_bytes(path, exp))
    )
}

/// Whether [`sign_link`] made the two parameters for this path, and it is still time.
pub fn verify_link(ring: &KeyRing, path: &str, exp: u64, sig: &str) -> Result<(), Refused> {
    if !ring.sealed(Mac::Link, &link_bytes(path, exp), sig) {
        return Err(Refused::BadSignature);
    }
    if exp < now() {
        return Err(Refused::Expired);
    }
    Ok(())
}

fn link_bytes(path: &str, exp: u64) -> Vec<u8> {
    format!("{exp}\n{path}").into_bytes()
}

/// A text that only we can have made and that only opens under the same `bind` (for a list: caller and filter).
/// It is signed, not secret.
pub fn seal(ring: &KeyRing, bind: &str, bytes: &[u8]) -> String {
    let signature = ring.seal(Mac::Cursor, &bound(bind, bytes));
    signature + &BASE64URL_NOPAD.encode(bytes)
}

/// The bytes given to [`seal`] under the same `bind`.
pub fn open(ring: &KeyRing, bind: &str, text: &str) -> Result<Vec<u8>, Refused> {
    if text.len() > MAX_SEALED {
        return Err(Refused::Malformed);
    }
    let (signature, rest) = text.split_at_checked(SIGNATURE).ok_or(Refused::Malformed)?;
    let bytes = BASE64URL_NOPAD
        .decode(rest.as_bytes())
        .map_err(|_| Refused::Malformed)?;
    if !ring.sealed(Mac::Cursor, &bound(bind, &bytes), signature) {
        return Err(Refused::BadSignature);
    }
    Ok(bytes)
}

/// The length in front keeps the two parts apart.
fn bound(bind: &str, bytes: &[u8]) -> Vec<u8> {
    let mut all = (bind.len() as u64).to_be_bytes().to_vec();
    all.extend_from_slice(bind.as_bytes());
    all.extend_from_slice(bytes);
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::keyring::{AccessClaims, Role};

    fn ring() -> KeyRing {
        KeyRing::single("a-secret-of-more-than-thirty-two-bytes").unwrap()
    }

    fn rotated() -> KeyRing {
        KeyRing::parse("new:another-secret-of-thirty-two-bytes-or-so,old:a-secret-of-more-than-thirty-two-bytes").unwrap()
    }

    fn claims(exp: u64) -> CallbackClaims {
        let job = JobId::mint();
        CallbackClaims {
            job,
            render: RenderKey::new(job, Stage::Audio, 7, 0),
            stage: Stage::Audio,
            fence: Fence("12-abc".to_owned()),
            exp,
        }
    }

    #[test]
    fn a_callback_token_is_read_back_until_it_expires() {
        let claims_now = claims(now() + 60);
        let token = claims_now.sign(&ring()).unwrap();
        assert_eq!(CallbackClaims::verify(&ring(), &token), Ok(claims_now));
        let late = claims(now() - 60).sign(&ring()).unwrap();
        assert_eq!(
            CallbackClaims::verify(&ring(), &late),
            Err(Refused::Expired)
        );
    }

    #[test]
    fn callback_and_access_tokens_do_not_stand_in_for_each_other() {
        let ring = ring();
        let callback = claims(now() + 60).sign(&ring).unwrap();
        assert_eq!(ring.verify_access(&callback), Err(Refused::WrongKind));
        let access = AccessClaims::new("alice", Role::Worker, Duration::from_secs(60));
        let access = ring.sign_access(&access).unwrap();
        assert_eq!(
            CallbackClaims::verify(&ring, &access),
            Err(Refused::WrongKind)
        );
    }

    #[test]
    fn a_token_that_another_issuer_signs_in_its_own_way_is_of_another_kind() {
        for header in [r#"{"alg":"RS256"}"#, r#"{"alg":"ES256","typ":"at+jwt"}"#] {
            let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
            let token = format!("{}.{}.AA", part(header), part("{}"));
            assert_eq!(
                CallbackClaims::verify(&ring(), &token),
                Err(Refused::WrongKind),
                "{header}"
            );
        }
    }

    #[test]
    fn a_callback_token_signed_with_the_shared_secret_itself_is_refused() {
        let header = jsonwebtoken::Header {
            typ: Some("tutti-callback+jwt".to_owned()),
            ..Default::default()
        };
        let key = jsonwebtoken::EncodingKey::from_secret(b"a-secret-of-more-than-thirty-two-bytes");
        let token = jsonwebtoken::encode(&header, &claims(now() + 60), &key).unwrap();
        assert_eq!(
            CallbackClaims::verify(&ring(), &token),
            Err(Refused::BadSignature)
        );
    }

    #[test]
    fn callback_tokens_links_and_cursors_outlive_a_rotation() {
        let token = claims(now() + 60).sign(&ring()).unwrap();
        assert!(CallbackClaims::verify(&rotated(), &token).is_ok());
        let exp = now() + 60;
        let link = sign_link(&ring(), "/jobs/1/audio", exp);
        let sig = link.rsplit_once("sig=").unwrap().1;
        assert_eq!(verify_link(&rotated(), "/jobs/1/audio", exp, sig), Ok(()));
        assert!(open(&rotated(), "alice", &seal(&ring(), "alice", b"x")).is_ok());
    }

    #[test]
    fn a_link_opens_its_path_only_and_only_in_time() {
        let (path, exp) = ("/jobs/1/audio", now() + 60);
        let link = sign_link(&ring(), path, exp);
        let sig = link
            .strip_prefix(&format!("{path}?exp={exp}&sig="))
            .unwrap();
        assert_eq!(verify_link(&ring(), path, exp, sig), Ok(()));
        assert_eq!(
            verify_link(&ring(), "/jobs/2/audio", exp, sig),
            Err(Refused::BadSignature)
        );
        assert_eq!(
            verify_link(&ring(), path, exp + 1, sig),
            Err(Refused::BadSignature)
        );
        assert_eq!(
            verify_link(&ring(), path, exp, ""),
            Err(Refused::BadSignature)
        );
        let past = sign_link(&ring(), path, now() - 1);
        let sig = past.rsplit_once("sig=").unwrap().1;
        assert_eq!(
            verify_link(&ring(), path, now() - 1, sig),
            Err(Refused::Expired)
        );
    }

    #[test]
    fn a_cursor_opens_only_under_what_it_was_bound_to() {
        let text = seal(&ring(), "alice|status=failed", b"1700000000-x");
        assert_eq!(
            open(&ring(), "alice|status=failed", &text).unwrap(),
            b"1700000000-x"
        );
        assert_eq!(
            open(&ring(), "bob|status=failed", &text),
            Err(Refused::BadSignature)
        );
        assert_eq!(
            open(&ring(), "alice|status=faile", &text),
            Err(Refused::BadSignature)
        );
    }

    #[test]
    fn a_cursor_that_we_did_not_make_is_refused_without_a_panic() {
        for text in [
            "",
            "x",
            &"é".repeat(30),
            &"A".repeat(44),
            &"A".repeat(4096),
            &"*".repeat(60),
        ] {
            assert!(open(&ring(), "alice", text).is_err(), "{text}");
        }
    }
}
