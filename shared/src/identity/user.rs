//! Users: their names, which are nobody else's, and their revisions.
//!
//! A name is reserved first and points to an id; the first revision of that id makes the user. So a
//! creation that broke off leaves a name that points to nobody, and the next try for the same
//! address goes on with that id. A username that points to nobody for longer than a creation can
//! take is free again, and so is one that points to a user who got another.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::PasswordHash;
use crate::job::sha256_hex;
use crate::keyring::Role;
use crate::store::{Put, Store, StoreError};

/// An e-mail address is as long as SMTP can carry it (RFC 5321 §4.5.3.1.3).
const EMAIL_MAX: usize = 254;
const USERNAME_MAX: usize = 64;
/// Longer than any creation takes.
const CREATION: TimeDelta = TimeDelta::minutes(10);

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

/// `auth/names/<hash>/<revision>.json`.
#[derive(Serialize, Deserialize)]
struct Named {
    user: Uuid,
    at: DateTime<Utc>,
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
        let id = match take(store, person.email.as_str(), Uuid::now_v7()).await? {
            Holder::Us(id) | Holder::Nobody(id) => id,
            Holder::User => return Ok(Reserved::Taken("email")),
        };
        if let Some(username) = &person.username
            && take(store, username.as_str(), id).await? != Holder::Us(id)
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
        let named: Option<(Named, u64)> = store.user_name(&name_hash(name)).await?;
        let id = named.map_or(Uuid::nil(), |(named, _)| named.user);
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

/// Who has a name after somebody tried to take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// It points to the id for which it was taken.
    Us(Uuid),
    /// It points to the id of a creation that broke off, or is under way.
    Nobody(Uuid),
    /// A user has it.
    User,
}

/// Points a name to `id`, unless a user has it or a creation that may be under way.
async fn take(store: &Store, name: &str, id: Uuid) -> Result<Holder, StoreError> {
    let hash = name_hash(name);
    let found: Option<(Named, u64)> = store.user_name(&hash).await?;
    let revision = match &found {
        None => 1,
        Some((named, _)) if named.user == id => return Ok(Holder::Us(id)),
        Some((named, revision)) => match Account::read(store, named.user).await? {
            Some((account, _)) if account.is_called(name) => return Ok(Holder::User),
            None if Utc::now() - named.at < CREATION => return Ok(Holder::Nobody(named.user)),
            _ => revision + 1,
        },
    };
    let named = Named {
        user: id,
        at: Utc::now(),
    };
    match store.put_user_name(&hash, revision, &named).await? {
        Put::Stored => Ok(Holder::Us(id)),
        // Somebody else was quicker, with a creation of his own.
        Put::Existed => {
            let found: Option<(Named, u64)> = store.user_name(&hash).await?;
            let user = found.map_or(Uuid::nil(), |(named, _)| named.user);
            Ok(Holder::Nobody(user))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Pace;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$5n3XW0w7sXlC1nJmD0Q2Bg$q0b8yO6yA4kZ8nB1v4sGm3xJw5rT7uH2eL9dKcFiP0M";

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

    /// A store with a reservation of the username `ann` for an id, so many minutes ago.
    async fn reserved(user: Uuid, minutes: i64) -> (local::Scratch, Store) {
        let files = local::Scratch::new().unwrap();
        let url = url::Url::from_directory_path(files.path()).unwrap();
        let store = Store::open(&url, Pace::Prompt).unwrap();
        let named = Named {
            user,
            at: Utc::now() - TimeDelta::minutes(minutes),
        };
        let put = store.put_user_name(&name_hash("ann"), 1, &named).await;
        assert_eq!(put.unwrap(), Put::Stored);
        (files, store)
    }

    fn person(username: &str) -> Person {
        Person {
            email: Email::parse("new@example.com").unwrap(),
            username: Username::parse(username),
            role: Role::User,
            tenant: None,
        }
    }

    #[tokio::test]
    async fn a_username_of_a_creation_that_broke_off_is_free_after_ten_minutes() {
        for (minutes, is_free) in [(9, false), (11, true)] {
            let (_files, store) = reserved(Uuid::now_v7(), minutes).await;
            let reserved = Account::reserve(&store, &person("ann")).await.unwrap();
            assert_eq!(matches!(reserved, Reserved::For(_)), is_free, "{minutes}");
        }
    }

    #[tokio::test]
    async fn a_username_that_points_to_a_user_of_another_name_is_free() {
        let user = Uuid::now_v7();
        let (_files, store) = reserved(user, 0).await;
        let hash = PasswordHash::parse(HASH).unwrap();
        let other = Account::new(user, person("other"), hash.clone());
        other.begin(&store).await.unwrap();
        let Reserved::For(id) = Account::reserve(&store, &person("ann")).await.unwrap() else {
            panic!("it is taken")
        };
        let ann = Account::new(id, person("ann"), hash);
        ann.begin(&store).await.unwrap();
        let found = Account::by_name(&store, "ann").await.unwrap();
        assert_eq!(found, Some((ann, 1)));
        let again = Account::reserve(&store, &person("ann")).await.unwrap();
        assert_eq!(again, Reserved::Taken("username"));
    }
}
