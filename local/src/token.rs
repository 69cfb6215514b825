//! Tokens for this machine, signed with the secret that is made here once.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use shared::keyring::{AccessClaims, KeyRing};
use uuid::Uuid;

use crate::error::{HarnessError, Result};
use crate::place::{private, variable};

/// A secret that nobody else has: 64 hex digits.
pub(crate) fn fresh_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// The secret of this clone, made at the first call and readable by its owner only.
pub(crate) fn own_secret() -> Result<String> {
    secret_at(&private().join("jwt-secret"))
}

/// What signs tokens here: the first key of `JWT_SECRETS`, else `JWT_SECRET`, else the secret of this clone.
pub fn signing_secret() -> Result<String> {
    match given_secret(variable("JWT_SECRETS"), variable("JWT_SECRET"))? {
        Some(secret) => Ok(secret),
        None => own_secret(),
    }
}

/// Whether the caller's environment says what signs.
pub(crate) fn is_secret_given() -> bool {
    variable("JWT_SECRETS").is_some() || variable("JWT_SECRET").is_some()
}

/// A token without the name of its key is tried with every key of the ring.
fn given_secret(ring: Option<String>, single: Option<String>) -> Result<Option<String>> {
    let Some(ring) = ring else {
        return Ok(single);
    };
    if single.is_some() {
        return Err(trouble("JWT_SECRETS and JWT_SECRET are both set; keep one"));
    }
    KeyRing::parse(&ring).map_err(trouble)?;
    let mut entries = ring.split(',').map(str::trim);
    let first = entries.find_map(|entry| entry.split_once(':'));
    Ok(first.map(|(_, secret)| secret.to_owned()))
}

pub(crate) fn secret_at(path: &Path) -> Result<String> {
    let about = || format!("the secret {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(HarnessError::io(about()))?;
    }
    // Written aside and linked: of two that start together, one makes it and both read the same.
    let aside = path.with_extension(Uuid::new_v4().simple().to_string());
    if !path.exists() {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)
            .map_err(HarnessError::io(about()))?;
        file.write_all(fresh_secret().as_bytes())
            .map_err(HarnessError::io(about()))?;
        let _ = std::fs::hard_link(&aside, path);
        let _ = std::fs::remove_file(&aside);
    }
    let text = std::fs::read_to_string(path).map_err(HarnessError::io(about()))?;
    Ok(text.trim().to_owned())
}

/// A token signed with `secret` that runs out after `life`. Roles: user, admin, orchestrator, system, worker.
pub fn mint(secret: &str, role: &str, sub: &str, life: Duration) -> Result<String> {
    let role = role.parse().map_err(trouble)?;
    let ring = KeyRing::single(secret).map_err(trouble)?;
    ring.sign_access(&AccessClaims::new(sub, role, life))
        .map_err(trouble)
}

fn trouble(error: impl std::fmt::Display) -> HarnessError {
    HarnessError::Token(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Scratch;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_secret_is_made_once_and_is_private() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().join("secret");
        let first = secret_at(&path).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(secret_at(&path).unwrap(), first);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_signs_is_the_first_key_of_the_ring_or_the_single_secret() {
        let [new, old] = [fresh_secret(), fresh_secret()];
        let ring = format!("new:{new},old:{old}");
        let first = given_secret(Some(ring.clone()), None).unwrap().unwrap();
        assert_eq!(first, new);
        let token = mint(&first, "user", "alice", Duration::from_secs(60)).unwrap();
        let verified = KeyRing::parse(&ring).unwrap().verify_access(&token);
        assert_eq!(verified.unwrap().sub, "alice");
        assert_eq!(
            given_secret(None, Some(old.clone())).unwrap(),
            Some(old.clone())
        );
        assert_eq!(given_secret(None, None).unwrap(), None);
        assert!(given_secret(Some(ring), Some(old)).is_err());
        assert!(given_secret(Some("new:short".to_owned()), None).is_err());
    }

    #[test]
    fn a_token_says_who_and_until_when() {
        let secret = fresh_secret();
        let token = mint(&secret, "admin", "alice", Duration::from_secs(60)).unwrap();
        let claims = KeyRing::single(&secret)
            .unwrap()
            .verify_access(&token)
            .unwrap();
        assert_eq!(
            (claims.sub.as_str(), claims.role.as_str()),
            ("alice", "admin")
        );
        assert_eq!(claims.exp - claims.iat.unwrap(), 60);
        let stranger = KeyRing::single(&fresh_secret()).unwrap();
        assert!(stranger.verify_access(&token).is_err());
        assert!(mint(&secret, "emperor", "alice", Duration::from_secs(60)).is_err());
    }
}
