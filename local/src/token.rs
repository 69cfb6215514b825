//! Tokens for this machine, signed with the secret that is made here once.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use uuid::Uuid;

use crate::error::{HarnessError, Result};
use crate::place::private;

/// A secret that nobody else has: 64 hex digits.
pub(crate) fn fresh_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// The secret of this clone, made at the first call and readable by its owner only.
pub fn own_secret() -> Result<String> {
    secret_at(&private().join("jwt-secret"))
}

fn secret_at(path: &Path) -> Result<String> {
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

/// A token of this clone for `sub`, good for an hour.
pub fn mint(role: &str, sub: &str) -> Result<String> {
    mint_for(&own_secret()?, role, sub, Duration::from_secs(3600))
}

/// A token signed with `secret` that runs out after `life`; one of more than an hour is only accepted for a service role.
pub fn mint_for(secret: &str, role: &str, sub: &str, life: Duration) -> Result<String> {
    let now = Utc::now().timestamp();
    let end = now.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
    let claims = json!({"sub": sub, "role": role, "iat": now, "exp": end});
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
        .map_err(|error| HarnessError::Token(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Scratch;
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;
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
    fn a_token_says_who_and_until_when() {
        let token = mint_for(
            "s".repeat(32).as_str(),
            "admin",
            "alice",
            Duration::from_secs(60),
        )
        .unwrap();
        let key = DecodingKey::from_secret("s".repeat(32).as_bytes());
        let claims =
            jsonwebtoken::decode::<Value>(&token, &key, &Validation::new(Algorithm::HS256))
                .unwrap()
                .claims;
        assert_eq!(
            (&claims["sub"], &claims["role"]),
            (&json!("alice"), &json!("admin"))
        );
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            60
        );
        let other = DecodingKey::from_secret("t".repeat(32).as_bytes());
        assert!(
            jsonwebtoken::decode::<Value>(&token, &other, &Validation::new(Algorithm::HS256))
                .is_err()
        );
    }
}
