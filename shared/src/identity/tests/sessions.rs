//! Refresh tokens and their families.

use uuid::Uuid;

use super::super::refresh::RefreshClaims;
use super::super::*;
use super::Place;
use crate::keyring::{KeyRing, now};

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
    let stranger = KeyRing::single(&"x".repeat(32)).unwrap();
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
