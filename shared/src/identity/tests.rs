//! Users, sessions and revocations over a store in a directory. A Redis is asked where a test starts one.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::refresh::RefreshClaims;
use super::revoked::is_over;
use super::*;
use crate::clients::Clients;
use crate::config::Config;
use crate::keyring::{AccessClaims, Role, now};
use crate::problem::Problem;
use crate::queue::QueueError;
use crate::store::Put;

const PASSWORD: &str = "correct horse battery";
/// Of the same password, as somebody hashed it when machines were slower.
const OLD_COSTS: &str = "m=8192,t=1,p=1";

/// Clients over a folder that is removed with them.
struct Place {
    clients: Clients,
    hasher: Hasher,
    dir: PathBuf,
}

impl Place {
    fn new() -> Self {
        Self::with("redis://127.0.0.1:1", &[])
    }

    fn with(redis: &str, more: &[(&str, &str)]) -> Self {
        let dir = std::env::temp_dir().join(format!("identity-{}", Uuid::now_v7()));
        Self::at(&dir, redis, more)
    }

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
        login(&self.clients, &self.hasher, name, password.to_owned()).await
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

    /// Every object in a folder of the store is this old.
    fn age(&self, folder: &str, age: Duration) {
        for entry in std::fs::read_dir(self.dir.join(folder)).unwrap() {
            let file = std::fs::File::options()
                .write(true)
                .open(entry.unwrap().path());
            file.unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
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
async fn a_refresh_token_works_once_and_its_second_use_ends_the_session() {
    let place = Place::new();
    let (_, first) = place.session().await;
    let second = place.rotate(&first.refresh).await.unwrap();
    let third = place.rotate(&second).await.unwrap();
    let refused = |code: &str| Err(code.to_owned());
    assert_eq!(
        place.rotate(&first.refresh).await,
        refused("refresh_reused")
    );
    assert_eq!(place.rotate(&third).await, refused("session_ended"));
    assert_eq!(place.rotate(&second).await, refused("session_ended"));
}

#[tokio::test]
async fn a_token_so_old_that_its_successor_is_forgotten_is_a_second_use_as_well() {
    let place = Place::new();
    let (_, first) = place.session().await;
    let mut newest = first.refresh.clone();
    for _ in 0..10 {
        newest = place.rotate(&newest).await.unwrap();
    }
    let code = place.rotate(&first.refresh).await.unwrap_err();
    assert_eq!(code, "refresh_reused");
    assert_eq!(place.rotate(&newest).await.unwrap_err(), "session_ended");
}

#[tokio::test]
async fn of_many_refreshes_with_one_token_one_succeeds() {
    let place = Place::new();
    let (_, first) = place.session().await;
    let all = (0..8).map(|_| place.rotate(&first.refresh));
    let all = futures_util::future::join_all(all).await;
    assert_eq!(all.iter().filter(|answer| answer.is_ok()).count(), 1);
    let newest = all.into_iter().find_map(Result::ok).unwrap();
    assert_eq!(place.rotate(&newest).await.unwrap_err(), "session_ended");
}

#[tokio::test]
async fn a_logout_a_new_password_and_a_disabling_end_sessions() {
    let place = Place::new();
    let (mut ann, logged_out) = place.session().await;
    let kept = Tokens::begin(&place.clients, &ann).await.unwrap();
    for _ in 0..2 {
        end(&place.clients, &logged_out.refresh).await.unwrap();
    }
    let ended = place.rotate(&logged_out.refresh).await.unwrap_err();
    assert_eq!(ended, "session_ended");
    let kept = place.rotate(&kept.refresh).await.unwrap();
    ann.sessions += 1;
    place.revise(&ann, 2).await;
    assert_eq!(place.rotate(&kept).await.unwrap_err(), "session_ended");
    let disabled = Tokens::begin(&place.clients, &ann).await.unwrap();
    ann.disabled = true;
    place.revise(&ann, 3).await;
    let ended = place.rotate(&disabled.refresh).await.unwrap_err();
    assert_eq!(ended, "session_ended");
}

#[tokio::test]
async fn a_refresh_token_is_no_access_token_and_nobody_else_can_make_one() {
    let place = Place::new();
    let (ann, tokens) = place.session().await;
    let ring = &place.clients.config.keys;
    assert!(ring.verify_access(&tokens.refresh).is_err());
    let refused = place.rotate(&tokens.access).await.unwrap_err();
    assert_eq!(refused, "unauthenticated");
    let stranger = crate::keyring::KeyRing::single(&"x".repeat(32)).unwrap();
    let claims = RefreshClaims::verify(ring, &tokens.refresh).unwrap();
    assert_eq!(claims.sub, ann.id);
    let forged = claims.sign(&stranger).unwrap();
    assert_eq!(place.rotate(&forged).await.unwrap_err(), "unauthenticated");
    // Of a family that is not there, of a number that was never given out, and of another user.
    let variants = [
        RefreshClaims {
            family: Uuid::now_v7(),
            ..claims.clone()
        },
        RefreshClaims {
            n: 7,
            ..claims.clone()
        },
        RefreshClaims {
            sub: place.user("bob@example.com", None).await.id,
            ..claims.clone()
        },
    ];
    for claims in variants {
        let token = claims.sign(ring).unwrap();
        assert_eq!(place.rotate(&token).await.unwrap_err(), "session_ended");
    }
    let late = RefreshClaims {
        exp: now() - 60,
        ..claims
    };
    let late = late.sign(ring).unwrap();
    assert_eq!(place.rotate(&late).await.unwrap_err(), "unauthenticated");
    place.rotate(&tokens.refresh).await.unwrap();
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
        std::mem::forget(again);
    }
    place
        .login("ops@example.com", "another password")
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_taken_back_stays_so_when_redis_forgets_it() {
    let redis = local::Redis::of(local::RedisKind::Plain).await.unwrap();
    let place = Place::with(redis.url(), &[]);
    let revocations = Revocations::from(&place.clients);
    let contains = async |jti: &str| revocations.contains(jti).await.unwrap();
    let (gone, over, good) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7().to_string());
    assert!(!contains(&gone.to_string()).await);
    for _ in 0..2 {
        revocations.revoke(gone, now() + 3600).await.unwrap();
    }
    revocations.revoke(over, now() - 3600).await.unwrap();
    for _ in 0..2 {
        assert!(contains(&gone.to_string()).await && !contains(&good).await);
        let flush = redis::cmd("FLUSHALL");
        let _: () = place.clients.queue.redis().run(&flush).await.unwrap();
    }
    assert!(!contains(&over.to_string()).await, "it ended by itself");
    // With the list in Redis nothing is asked of the store.
    std::fs::remove_dir_all(place.dir.join("auth/revoked")).unwrap();
    assert!(contains(&gone.to_string()).await && !contains(&good).await);
    redis.stop().await;
    let refused = revocations.contains(&good).await.unwrap_err();
    let unreachable = crate::lookup::Unreachable::Queue(QueueError::Record(String::new()));
    assert_eq!(
        std::mem::discriminant(&refused),
        std::mem::discriminant(&unreachable)
    );
}

#[test]
fn tokens_of_services_and_those_that_live_long_are_looked_up() {
    let hours = |role, hours: u64| {
        let life = Duration::from_secs(hours * 3600);
        let mut claims = AccessClaims::new("x", role, life);
        claims.jti = Some("id".to_owned());
        claims
    };
    assert!(Revocations::must_be_asked(&hours(Role::Worker, 1)));
    assert!(Revocations::must_be_asked(&hours(Role::User, 2)));
    assert!(!Revocations::must_be_asked(&hours(Role::Admin, 1)));
    let nameless = AccessClaims::new("x", Role::Worker, Duration::from_secs(3600));
    assert!(!Revocations::must_be_asked(&nameless));
}

#[test]
fn a_service_token_says_what_the_list_says_of_it() {
    let place = Place::new();
    let ring = &place.clients.config.keys;
    let asked = NewServiceToken {
        sub: "gpu-1".to_owned(),
        role: Role::Worker,
        expires_in: LIFE_DEFAULT.as_secs(),
    };
    let (about, token) = ServiceToken::issue(ring, asked).unwrap();
    let claims = ring.verify_access(&token).unwrap();
    assert_eq!(claims.jti, Some(about.jti.to_string()));
    assert_eq!((claims.exp, claims.role), (about.exp(), about.role));
    assert_eq!(claims.exp - claims.iat.unwrap(), 365 * 24 * 3600);
}

#[tokio::test]
async fn what_ended_by_itself_is_forgotten_and_nothing_else() {
    let place = Place::new();
    let store = &place.clients.store;
    let (ann, old) = place.session().await;
    let kept = Tokens::begin(&place.clients, &ann).await.unwrap();
    let family = |tokens: &Tokens| {
        let claims = RefreshClaims::verify(&place.clients.config.keys, &tokens.refresh);
        format!("auth/families/{}", claims.unwrap().family)
    };
    let day = Duration::from_secs(24 * 3600);
    place.age(&family(&old), 32 * day);
    place.age(&family(&kept), 30 * day);
    let revocations = Revocations::from(&place.clients);
    // Redis is out of reach, and the store has it first.
    for exp in [now() - 3600, now() + 3600] {
        let told = revocations.revoke(Uuid::now_v7(), exp).await;
        assert!(told.is_err());
    }
    for days in [60, 10] {
        let issued = ServiceToken {
            jti: Uuid::now_v7(),
            sub: "x".to_owned(),
            role: Role::Worker,
            created_at: chrono::Utc::now(),
            expires_at: chrono::Utc::now() - chrono::TimeDelta::days(days),
            revoked_at: None,
        };
        store.put_service_token(issued.jti, &issued).await.unwrap();
    }
    let pruner = Pruner::default();
    let all = Pruned {
        families: 1,
        service_tokens: 1,
        revoked: 1,
    };
    assert_eq!(pruner.go(store).await.unwrap(), all);
    assert_eq!(
        Pruner::default().go(store).await.unwrap(),
        Pruned::default()
    );
    place.rotate(&kept.refresh).await.unwrap();
    assert_eq!(
        place.rotate(&old.refresh).await.unwrap_err(),
        "session_ended"
    );
    assert_eq!(store.revoked_page(None, 9).await.unwrap().len(), 1);
    assert_eq!(store.service_token_page(None, 9).await.unwrap().len(), 1);
    assert!(is_over(now() - 61) && !is_over(now()));
}
