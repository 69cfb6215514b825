//! Who calls: extractors that put the right to call into a handler's signature.
//!
//! They take the [`Verifier`] from the router's state (`impl FromRef<State> for Verifier`).

use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, RawPathParams};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;

use crate::callback::CallbackClaims;
use crate::job::{TenantId, UserId, sha256_hex};
use crate::keyring::{AccessClaims, Refused};
use crate::problem::Problem;
use crate::verifier::{Unverified, Verifier};

pub use crate::keyring::Role;

/// When the keys of a token's issuer are asked for again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Somebody with a valid access token; 401 otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's `sub`, as it stands there.
    pub sub: String,
    pub user: UserId,
    pub tenant: TenantId,
    pub role: Role,
}

impl Caller {
    /// The owner, or an admin.
    pub fn may_see(&self, owner: &UserId) -> bool {
        self.role == Role::Admin || self.user == *owner
    }
}

impl From<AccessClaims> for Caller {
    fn from(claims: AccessClaims) -> Self {
        Self {
            user: UserId::new(&claims.sub),
            tenant: TenantId::new(claims.tenant.as_deref().unwrap_or(&claims.sub)),
            role: claims.role,
            sub: claims.sub,
        }
    }
}

/// A caller whose role is `admin`; 403 for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin(pub Caller);

/// An admin or a service: they look after the system; 403 for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper(pub Caller);

/// Who may report on a job; 401 without a valid token, 403 for a caller without a service role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reporter {
    /// A service, on any job.
    Role(Caller),
    /// A model, on the run that its token names.
    Callback(CallbackClaims),
}

/// A model that can send no header, by the callback token that is the `{token}` of the path; 401 for any other. What it sends as
/// `Authorization` is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInPath(pub CallbackClaims);

impl<S> FromRequestParts<S> for Caller
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let verifier = Verifier::from_ref(state);
        let caller = Self::from(verifier.verify(bearer(parts)?).await?);
        note_caller(&caller.sub);
        Ok(caller)
    }
}

impl<S> FromRequestParts<S> for Admin
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.role == Role::Admin {
            Ok(Self(caller))
        } else {
            Err(Problem::forbidden("this address is for admins"))
        }
    }
}

impl<S> FromRequestParts<S> for Keeper
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.role == Role::Admin || caller.role.is_service() {
            Ok(Self(caller))
        } else {
            Err(Problem::forbidden(
                "this address is for admins and services",
            ))
        }
    }
}

impl<S> FromRequestParts<S> for Reporter
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let verifier = Verifier::from_ref(state);
        match CallbackClaims::verify(verifier.ring(), bearer(parts)?) {
            Ok(claims) => return Ok(Self::Callback(claims)),
            Err(Refused::WrongKind) => {}
            Err(refused) => return Err(refused.into()),
        }
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.role.is_service() {
            Ok(Self::Role(caller))
        } else {
            Err(Problem::forbidden(
                "only the services that render a job may report on it",
            ))
        }
    }
}

impl<S> FromRequestParts<S> for TokenInPath
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let found = params.iter().flatten().find(|(name, _)| *name == "token");
        let (_, token) =
            found.ok_or_else(|| Problem::unauthenticated("the path holds no token"))?;
        Ok(Self(CallbackClaims::verify(
            Verifier::from_ref(state).ring(),
            token,
        )?))
    }
}

impl From<Refused> for Problem {
    /// 401 (RFC 6750 §3.1).
    fn from(refused: Refused) -> Self {
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        Self::unauthenticated(refused.to_string()).with_header(WWW_AUTHENTICATE, challenge)
    }
}

impl From<Unverified> for Problem {
    /// 401, or 503 where the token may be good.
    fn from(cause: Unverified) -> Self {
        match cause {
            Unverified::Refused(refused) => refused.into(),
            Unverified::IssuerUnavailable => {
                Self::unavailable("issuer_unavailable", cause.to_string(), TRY_AGAIN)
            }
        }
    }
}

/// The token of the one `Authorization: Bearer` header.
fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (headers.next(), headers.next()) else {
        return Err(Problem::unauthenticated(
            "send exactly one Authorization header with a bearer token",
        ));
    };
    only.to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Problem::unauthenticated("the Authorization header must be a bearer token"))
}

/// The access log shows that two requests came from one caller, not who that is.
fn note_caller(sub: &str) {
    let hash = sha256_hex(sub.as_bytes());
    tracing::Span::current().record("caller", &hash[..12]);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, Response, StatusCode};
    use axum::routing::get;
    use lambda_http::tower::ServiceExt;

    use super::*;
    use crate::job::{Fence, JobId, RenderKey};
    use crate::keyring::{KeyRing, now};
    use crate::stage::Stage;

    fn ring() -> KeyRing {
        KeyRing::single("a-secret-of-more-than-thirty-two-bytes").unwrap()
    }

    fn verifier() -> Verifier {
        Verifier::new(ring(), None, crate::models::http_client().unwrap())
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
        let caller =
            |sub, role| Caller::from(AccessClaims::new(sub, role, Duration::from_secs(60)));
        let owner = UserId::new("alice");
        assert!(caller("alice", Role::User).may_see(&owner));
        assert!(caller("bob", Role::Admin).may_see(&owner));
        assert!(!caller("bob", Role::User).may_see(&owner));
        assert!(!caller("bob", Role::Orchestrator).may_see(&owner));
    }
}
