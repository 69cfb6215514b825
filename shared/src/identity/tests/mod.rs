//! Users, sessions and revocations over a store in a directory. A Redis is asked where a test starts one.

mod sessions;
mod taken_back;

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::*;
use crate::clients::Clients;
use crate::config::Config;
use crate::keyring::Role;
use crate::problem::Problem;
use crate::store::Put;

const PASSWORD: &str = "correct horse battery";
/// Of the same password, as somebody hashed it when machines were slower.
const OLD_COSTS: &str = "m=8192,t=1,p=1";

/// Clients over a folder that is removed with them, unless it is another one's.
struct Place {
    clients: Clients,
    hasher: Hasher,
    dir: PathBuf,
    own: bool,
}

impl Place {
    fn new() -> Self {
        Self::with("redis://127.0.0.1:1", &[])
    }

    fn with(redis: &str, more: &[(&str, &str)]) -> Self {
        let dir = std::env::temp_dir().join(format!("identity-{}", Uuid::now_v7()));
        let mut place = Self::at(&dir, redis, more);
        place.own = true;
        place
    }

    /// Over the folder of another one.
    fn at(dir: &Path, redis: &str, more: &[(&str, &str)]) -> Self {
        let artifacts = format!("file://{}", dir.display());
        let read = |name: &str| match name {
            "REDIS_URL" => Some(redis.to_owned()),
            "ARTIFACTS_URL" => Some(artifacts.clone()),
            "JWT_SECRET" => Some("a-secret-of-more-than-thirty-two-bytes".to_owned()),
            name => more
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned()),
        };
        Self {
            clients: Clients::new(Config::read(read).unwrap()).unwrap(),
            hasher: Hasher::default(),
            dir: dir.to_owned(),
            own: false,
        }
    }

    async fn reserve(&self, email: &str, username: Option<&str>) -> Reserved {
        let person = person(email, username);
        Account::reserve(&self.clients.store, &person)
            .await
            .unwrap()
    }

    async fn user(&self, email: &str, username: Option<&str>) -> Account {
        let Reserved::For(id) = self.reserve(email, username).await else {
            panic!("{email} is taken");
        };
        let hash = self.hasher.hash(PASSWORD.to_owned()).await.unwrap();
        let account = Account::new(id, person(email, username), hash);
        let put = account.begin(&self.clients.store).await.unwrap();
        assert_eq!(put, Put::Stored);
        account
    }

    async fn login(&self, name: &str, password: &str) -> Result<(Account, Tokens), Problem> {
        let found = Account::by_name(&self.clients.store, name).await.unwrap();
        login(&self.clients, &self.hasher, found, password.to_owned()).await
    }

    async fn session(&self) -> (Account, Tokens) {
        let account = self.user("ann@example.com", None).await;
        let tokens = Tokens::begin(&self.clients, &account).await.unwrap();
        (account, tokens)
    }

    async fn rotate(&self, token: &str) -> Result<String, String> {
        match rotate(&self.clients, token).await {
            Ok((_, tokens)) => Ok(tokens.refresh),
            Err(problem) => Err(problem.code().to_owned()),
        }
    }

    async fn revise(&self, account: &Account, revision: u64) {
        let store = &self.clients.store;
        let put = store.put_user(account.id, revision, account).await;
        assert_eq!(put.unwrap(), Put::Stored);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.own {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn person(email: &str, username: Option<&str>) -> Person {
    Person {
        email: Email::parse(email).unwrap(),
        username: username.map(|name| Username::parse(name).unwrap()),
        role: Role::User,
        tenant: None,
    }
}

#[tokio::test]
async fn a_name_is_one_users_in_whatever_case() {
    let place = Place::new();
    let ann = place.user("Ann@Example.com", Some("Ann")).await;
    let taken = place.reserve("ANN@example.COM", None).await;
    assert_eq!(taken, Reserved::Taken("email"));
    let taken = place.reserve("other@example.com", Some("aNN")).await;
    assert_eq!(taken, Reserved::Taken("username"));
    // The refusal kept nothing of the address.
    place.user("other@example.com", Some("other")).await;
    for name in ["ann", "ANN", "ann@EXAMPLE.com"] {
        let (found, revision) = Account::by_name(&place.clients.store, name)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((found, revision), (ann.clone(), 1), "{name}");
    }
}

#[tokio::test]
async fn a_creation_that_broke_off_is_gone_on_with() {
    let place = Place::new();
    let Reserved::For(id) = place.reserve("ann@example.com", Some("ann")).await else {
        panic!("nobody has the name");
    };
    let store = &place.clients.store;
    let found = Account::by_name(store, "ann@example.com").await.unwrap();
    assert!(found.is_none(), "not a user yet");
    // The next try may bring another username: the first one then means nobody.
    let ann = place.user("ann@example.com", Some("annie")).await;
    assert_eq!(ann.id, id);
    assert!(Account::by_name(store, "ann").await.unwrap().is_none());
    let (found, _) = Account::by_name(store, "annie").await.unwrap().unwrap();
    assert_eq!(found.id, id);
}

#[tokio::test]
async fn of_two_creations_of_one_address_one_succeeds() {
    let place = Place::new();
    let hash = place.hasher.hash(PASSWORD.to_owned()).await.unwrap();
    let make = async || {
        let person = person("ann@example.com", None);
        match Account::reserve(&place.clients.store, &person)
            .await
            .unwrap()
        {
            Reserved::For(id) => {
                let account = Account::new(id, person, hash.clone());
                account.begin(&place.clients.store).await.unwrap() == Put::Stored
            }
            Reserved::Taken(_) => false,
        }
    };
    let (one, two, three) = tokio::join!(make(), make(), make());
    let made = [one, two, three].into_iter().filter(|made| *made);
    assert_eq!(made.count(), 1);
}

#[tokio::test]
async fn a_login_is_refused_in_the_same_words_whatever_is_wrong() {
    let place = Place::new();
    let mut ann = place.user("ann@example.com", None).await;
    let (account, tokens) = place.login("Ann@example.com", PASSWORD).await.unwrap();
    assert_eq!(account, ann);
    let claims = place.clients.config.keys.verify_access(&tokens.access);
    let claims = claims.unwrap();
    assert_eq!(claims.sub, ann.id.to_string());
    assert_eq!(claims.email.as_deref(), Some("ann@example.com"));
    assert_eq!(claims.exp - claims.iat.unwrap(), 900);
    assert!(claims.jti.is_some() && !Revocations::must_be_asked(&claims));

    let wrong = place.login("ann@example.com", "wrong").await.err().unwrap();
    let unknown = place
        .login("bob@example.com", PASSWORD)
        .await
        .err()
        .unwrap();
    ann.disabled = true;
    place.revise(&ann, 2).await;
    let disabled = place
        .login("ann@example.com", PASSWORD)
        .await
        .err()
        .unwrap();
    for problem in [&wrong, &unknown, &disabled] {
        assert_eq!(problem.code(), "wrong_credentials");
        assert_eq!(problem.body(None), wrong.body(None));
    }
}

#[tokio::test]
async fn a_hash_that_costs_too_little_is_renewed_at_the_next_login() {
    let place = Place::new();
    let mut ann = place.user("ann@example.com", None).await;
    let params = argon2::Params::new(8192, 1, 1, None).unwrap();
    let old =
        argon2::PasswordHasher::hash_password(&argon2::Argon2::from(params), PASSWORD.as_bytes());
    let old: argon2::password_hash::phc::PasswordHash = old.unwrap();
    ann.password_hash = PasswordHash::parse(&old.to_string()).unwrap();
    assert!(ann.password_hash.as_str().contains(OLD_COSTS));
    place.revise(&ann, 2).await;
    let (_, tokens) = place.login("ann@example.com", PASSWORD).await.unwrap();
    let (now, revision) = Account::read(&place.clients.store, ann.id)
        .await
        .unwrap()
        .unwrap();
    assert!(revision == 3 && now.password_hash.is_of_today());
    // Nobody changed the password: the session goes on.
    place.rotate(&tokens.refresh).await.unwrap();
    place.login("ann@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn the_first_admin_is_made_once() {
    let hash = Hasher::default().hash(PASSWORD.to_owned()).await.unwrap();
    let admin = [
        ("ADMIN_EMAIL", "ops@example.com"),
        ("ADMIN_PASSWORD_HASH", hash.as_str()),
    ];
    let place = Place::with("redis://127.0.0.1:1", &admin);
    let first = FirstAdmin::default();
    first.ensure(&place.clients).await.unwrap();
    let (mut ops, _) = place.login("ops@example.com", PASSWORD).await.unwrap();
    assert_eq!(ops.role, Role::Admin);
    let entries = place
        .clients
        .store
        .audit_page::<crate::audit::Entry>(None, 9);
    let entries = entries.await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].1.who, "configuration");
    assert!(!entries[0].1.after.to_string().contains("argon2"));
    // What is changed stays changed, in the next process too, whoever it is told of.
    ops.password_hash = place
        .hasher
        .hash("another password".to_owned())
        .await
        .unwrap();
    place.revise(&ops, 2).await;
    let other = [
        ("ADMIN_EMAIL", "else@example.com"),
        ("ADMIN_PASSWORD_HASH", hash.as_str()),
    ];
    for admin in [admin, other] {
        let again = Place::at(&place.dir, "redis://127.0.0.1:1", &admin);
        FirstAdmin::default().ensure(&again.clients).await.unwrap();
        assert!(again.login(admin[0].1, PASSWORD).await.is_err());
    }
    place
        .login("ops@example.com", "another password")
        .await
        .unwrap();
}
