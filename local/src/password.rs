//! Passwords for this machine: their hashes, and that of the admin whom `local/up` makes.

use shared::identity::{Hasher, PASSWORD_MAX, PASSWORD_MIN};

use crate::error::{HarnessError, Result};
use crate::place::private;
use crate::token::secret_at;

/// Nobody's address (RFC 2606).
const EMAIL: &str = "admin@example.com";

/// An Argon2id PHC string, as `ADMIN_PASSWORD_HASH` takes it.
pub async fn hash_password(password: &str) -> Result<String> {
    if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.len()) {
        let text = format!("a password has {PASSWORD_MIN} to {PASSWORD_MAX} bytes");
        return Err(HarnessError::Password(text));
    }
    let hash = Hasher::default().hash(password.to_owned()).await;
    hash.map(|hash| hash.as_str().to_owned())
        .map_err(|error| HarnessError::Password(error.to_string()))
}

/// Who may sign in at a stack that was told of nobody else.
#[derive(Debug, Clone)]
pub struct LocalAdmin {
    pub email: String,
    pub password: String,
}

impl LocalAdmin {
    /// The one of this clone; its password is made at the first call and readable by its owner only.
    pub fn own() -> Result<Self> {
        Ok(Self {
            email: EMAIL.to_owned(),
            password: secret_at(&private().join("admin-password"))?,
        })
    }

    /// What the functions are told.
    pub async fn env(&self) -> Result<Vec<(String, String)>> {
        let hash = hash_password(&self.password).await?;
        Ok(vec![
            ("ADMIN_EMAIL".to_owned(), self.email.clone()),
            ("ADMIN_PASSWORD_HASH".to_owned(), hash),
        ])
    }
}
