//! Tokens that were taken back, and what is forgotten because it ended by itself.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::super::refresh::RefreshClaims;
use super::super::revoked::is_over;
use super::super::*;
use super::Place;
use crate::keyring::{AccessClaims, Role, now};
use crate::lookup::Unreachable;

/// Every object in a folder of the store is this old.
fn age(place: &Place, folder: &str, age: Duration) {
    for entry in std::fs::read_dir(place.dir.join(folder)).unwrap() {
        let file = std::fs::File::options()
            .write(true)
            .open(entry.unwrap().path());
        file.unwrap().set_modified(SystemTime::now() - age).unwrap();
    }
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
    assert!(contains(&gone.to_string()).await && !contains(&good).await);
    // Another partition is what an emptied Redis is.
    let emptied = Place::at(&place.dir, redis.url(), &[("PARTITION", "emptied")]);
    let revocations = Revocations::from(&emptied.clients);
    let contains = async |jti: &str| revocations.contains(jti).await.unwrap();
    assert!(contains(&gone.to_string()).await && !contains(&good).await);
    assert!(!contains(&over.to_string()).await, "it ended by itself");
    // With the list in Redis nothing is asked of the store.
    std::fs::remove_dir_all(place.dir.join("auth/revoked")).unwrap();
    assert!(contains(&gone.to_string()).await && !contains(&good).await);
    redis.stop().await;
    let refused = revocations.contains(&good).await.unwrap_err();
    assert!(matches!(refused, Unreachable::Queue(_)), "{refused}");
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
    age(&place, &family(&old), 32 * day);
    age(&place, &family(&kept), 30 * day);
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
