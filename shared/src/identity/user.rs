//! Users: their names, which are nobody else's, and their revisions.
//!
//! A name is reserved first and points to an id; the first revision of that id makes the user. So a creation that broke off leaves a
//! name that points to nobody, and the next try for the same address goes on with that id.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::PasswordHash;
use crate::job::sha256_hex;
use crate::keyring::Role;
use crate::store::{Put, Store, StoreError};

/// An e-mail address is as long as SMTP can carry it (RFC 5321 §4.5.3.1.3).
const EMAIL_MAX: usize = 254;
const USERNAME_MAX: usize = 64;

/// Something that looks like an e-mail address, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// One `@` with something on both sides, no white space, at most 254 characters.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| !c.is_whitespace() && !c.is_control();
        let (local, domain) = text.split_once('@')?;
        let fits = text.chars().count() <= EMAIL_MAX && text.chars().all(plain);
        let whole = !local.is_empty() && !domain.is_empty() && !domain.contains('@');
        (fits && whole).then(|| Self(lower(text)))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 1–64 of `A-Za-z0-9._-`, so never an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Username(String);

impl Username {
    /// None if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fits = (1..=USERNAME_MAX).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn lower(name: &str) -> String {
    name.to_lowercase()
}

/// Names are told apart by this.
fn name_hash(name: &str) -> String {
    sha256_hex(lower(name).as_bytes())
}

/// What is said of a new user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub email: Email,
    pub username: Option<Username>,
    pub role: Role,
    pub tenant: Option<String>,
}

/// `auth/users/<id>/<revision>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub id: Uuid,
    pub email: Email,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    pub password_hash: PasswordHash,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    pub disabled: bool,
    /// Refresh tokens of another number are dead: it grows when the password is changed and when the user is disabled.
    pub sessions: u32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A user as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    #[schema(value_type = String)]
    pub email: Email,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub username: Option<Username>,
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    pub disabled: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<&Account> for User {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            email: account.email.clone(),
            username: account.username.clone(),
            role: account.role,
            tenant: account.tenant.clone(),
            disabled: account.disabled,
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}

/// `auth/names/<hash>.json`.
#[derive(Serialize, Deserialize)]
struct Named {
    user: Uuid,
}

/// Whether somebody has one of the names already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// The new user's id.
    For(Uuid),
    /// `email` or `username`.
    Taken(&'static str),
}

impl Account {
    /// A new user.
    pub fn new(id: Uuid, person: Person, password_hash: PasswordHash) -> Self {
        let now = Utc::now();
        Self {
            id,
            email: person.email,
            username: person.username,
            password_hash,
            role: person.role,
            tenant: person.tenant,
            disabled: false,
            sessions: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Reserves the names of somebody who is to be made.
    pub async fn reserve(store: &Store, person: &Person) -> Result<Reserved, StoreError> {
        // Looked at first, so that an address is not given away for a user who cannot be made.
        if let Some(username) = &person.username
            && Self::by_name(store, username.as_str()).await?.is_some()
        {
            return Ok(Reserved::Taken("username"));
        }
        let Some(id) = take(store, person.email.as_str(), Uuid::now_v7()).await? else {
            return Ok(Reserved::Taken("email"));
        };
        if let Some(username) = &person.username
            && take(store, username.as_str(), id).await? != Some(id)
        {
            return Ok(Reserved::Taken("username"));
        }
        Ok(Reserved::For(id))
    }

    /// Makes the user; [`Put::Existed`] if somebody else was quicker.
    pub async fn begin(&self, store: &Store) -> Result<Put, StoreError> {
        store.put_user(self.id, 1, self).await
    }

    /// Whom a name means, with the number of the revision. A name of nobody costs as many requests as one of somebody.
    pub async fn by_name(store: &Store, name: &str) -> Result<Option<(Self, u64)>, StoreError> {
        let named: Option<Named> = store.user_name(&name_hash(name)).await?;
        let id = named.map_or(Uuid::nil(), |named| named.user);
        let found = Self::read(store, id).await?;
        Ok(found.filter(|(account, _)| account.is_called(name)))
    }

    /// A user, with the number of the revision.
    pub async fn read(store: &Store, id: Uuid) -> Result<Option<(Self, u64)>, StoreError> {
        store.user(id).await
    }

    /// A name that a broken-off creation has reserved may point to somebody who never got it.
    fn is_called(&self, name: &str) -> bool {
        let own = [
            Some(self.email.as_str()),
            self.username.as_ref().map(Username::as_str),
        ];
        let name = lower(name);
        own.into_iter().flatten().any(|own| lower(own) == name)
    }
}

/// The id that has the name now: this one, or that of a creation that broke off; none if it is a user's.
async fn take(store: &Store, name: &str, id: Uuid) -> Result<Option<Uuid>, StoreError> {
    let hash = name_hash(name);
    if store.put_user_name(&hash, &Named { user: id }).await? == Put::Stored {
        return Ok(Some(id));
    }
    let named: Option<Named> = store.user_name(&hash).await?;
    let Some(Named { user }) = named else {
        return Ok(None);
    };
    let made = Account::read(store, user).await?.is_some();
    Ok((!made).then_some(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_an_at_and_a_username_has_none() {
        let email = Email::parse("Ann.Lee+x@Example.COM").unwrap();
        assert_eq!(email.as_str(), "ann.lee+x@example.com");
        let long = format!("{}@x.org", "a".repeat(250));
        for wrong in ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", &long] {
            assert_eq!(Email::parse(wrong), None, "{wrong:?}");
        }
        assert!(Username::parse("Ann_Lee-7.x").is_some());
        for wrong in ["", "a@b", "a b", "é", "a/b", &"x".repeat(65)] {
            assert_eq!(Username::parse(wrong), None, "{wrong:?}");
        }
    }
}
