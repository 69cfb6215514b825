//! Who passes which extractor.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use lambda_http::tower::ServiceExt;

use super::*;
use crate::identity::Revocations;
use crate::job::{Fence, JobId, RenderKey};
use crate::keyring::{KeyRing, now};
use crate::stage::Stage;

fn ring() -> KeyRing {
    KeyRing::single("a-secret-of-more-than-thirty-two-bytes").unwrap()
}

fn verifier() -> Verifier {
    let client = crate::models::http_client().unwrap();
    Verifier::new(ring(), None, client, Revocations::nowhere())
}

fn app() -> Router {
    Router::new()
        .route(
            "/caller",
            get(async |caller: Caller| format!("{} {}", caller.user, caller.tenant)),
        )
        .route("/admin", get(async |Admin(caller): Admin| caller.sub))
        .route(
            "/reporter",
            get(async |reporter: Reporter| match reporter {
                Reporter::Role(caller) => caller.role.to_string(),
                Reporter::Callback(claims) => claims.fence.0,
            }),
        )
        .route(
            "/hooks/{token}",
            get(async |TokenInPath(claims): TokenInPath| claims.fence.0),
        )
        .route("/keeper", get(async |Keeper(caller): Keeper| caller.sub))
        .with_state(verifier())
}

fn token(role: Role) -> String {
    let claims = AccessClaims::new("alice", role, Duration::from_secs(60));
    ring().sign_access(&claims).unwrap()
}

fn callback(exp: u64) -> String {
    let job = JobId::mint();
    let claims = CallbackClaims {
        job,
        render: RenderKey::new(job, Stage::Audio, 1, 0),
        stage: Stage::Audio,
        fence: Fence("9-nonce".to_owned()),
        exp,
    };
    claims.sign(&ring()).unwrap()
}

async fn ask(path: &str, authorization: &[&str]) -> Response<Body> {
    let mut request = Request::get(path);
    for value in authorization {
        request = request.header(AUTHORIZATION, *value);
    }
    app()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn status(path: &str, token: &str) -> StatusCode {
    ask(path, &[&format!("Bearer {token}")]).await.status()
}

#[tokio::test]
async fn a_caller_needs_exactly_one_bearer_token() {
    let good = format!("bearer {}", token(Role::User));
    assert_eq!(ask("/caller", &[&good]).await.status(), StatusCode::OK);
    for wrong in [
        vec![],
        vec!["Basic YTpi"],
        vec!["Bearer "],
        vec!["Bearer"],
        vec![good.as_str(), good.as_str()],
    ] {
        let response = ask("/caller", &wrong).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{wrong:?}");
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    }
}

#[tokio::test]
async fn a_bad_token_is_named_as_the_reason() {
    let response = ask("/caller", &["Bearer nonsense"]).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()[WWW_AUTHENTICATE],
        r#"Bearer error="invalid_token""#
    );
    assert_eq!(
        response.extensions().get::<Problem>().unwrap().code(),
        "unauthenticated"
    );
}

#[tokio::test]
async fn only_an_admin_passes_as_admin() {
    assert_eq!(status("/admin", &token(Role::Admin)).await, StatusCode::OK);
    for role in [Role::User, Role::Orchestrator, Role::System, Role::Worker] {
        assert_eq!(
            status("/admin", &token(role)).await,
            StatusCode::FORBIDDEN,
            "{role}"
        );
    }
}

#[tokio::test]
async fn only_admins_and_services_pass_as_keepers() {
    for role in Role::ALL {
        let expected = match role {
            Role::User => StatusCode::FORBIDDEN,
            _ => StatusCode::OK,
        };
        assert_eq!(status("/keeper", &token(role)).await, expected, "{role}");
    }
}

#[tokio::test]
async fn services_and_callbacks_may_report_and_users_may_not() {
    for role in [Role::Orchestrator, Role::System, Role::Worker] {
        assert_eq!(
            status("/reporter", &token(role)).await,
            StatusCode::OK,
            "{role}"
        );
    }
    for role in [Role::User, Role::Admin] {
        assert_eq!(
            status("/reporter", &token(role)).await,
            StatusCode::FORBIDDEN,
            "{role}"
        );
    }
    assert_eq!(
        status("/reporter", &callback(now() + 60)).await,
        StatusCode::OK
    );
    assert_eq!(
        status("/reporter", &callback(now() - 60)).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask("/reporter", &[]).await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status("/caller", &callback(now() + 60)).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_path_opens_by_a_callback_token_whatever_the_header_says() {
    let status = async |token: &str, header: &[&str]| {
        let path = format!("/hooks/{token}");
        ask(&path, header).await.status()
    };
    let (good, access) = (callback(now() + 60), token(Role::Worker));
    for header in [
        &[][..],
        &["Bearer of Cog's own"],
        &["Basic YTpi", "Bearer x"],
    ] {
        assert_eq!(status(&good, header).await, StatusCode::OK, "{header:?}");
    }
    let header = format!("Bearer {good}");
    for wrong in [&access, &good[..good.len() - 2], &callback(now() - 60), "x"] {
        let answer = status(wrong, &[&header]).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED, "{wrong}");
    }
}

#[test]
fn the_tenant_is_the_claim_or_else_the_user() {
    let mut claims = AccessClaims::new("alice", Role::User, Duration::from_secs(60));
    assert_eq!(Caller::from(claims.clone()).tenant, TenantId::new("alice"));
    claims.tenant = Some("band".to_owned());
    assert_eq!(Caller::from(claims).tenant, TenantId::new("band"));
}

#[test]
fn the_owner_and_an_admin_see_a_job() {
    let caller = |sub, role| Caller::from(AccessClaims::new(sub, role, Duration::from_secs(60)));
    let owner = UserId::new("alice");
    assert!(caller("alice", Role::User).may_see(&owner));
    assert!(caller("bob", Role::Admin).may_see(&owner));
    assert!(!caller("bob", Role::User).may_see(&owner));
    assert!(!caller("bob", Role::Orchestrator).may_see(&owner));
}
