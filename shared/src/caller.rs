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

    /// 403 with this detail, unless it may.
    fn who(self, may: bool, detail: &str) -> Result<Self, Problem> {
        match may {
            true => Ok(self),
            false => Err(Problem::forbidden(detail)),
        }
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

/// What a valid access token says, for who hands it on; 401 otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims(pub AccessClaims);

impl<S> FromRequestParts<S> for Claims
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let verifier = Verifier::from_ref(state);
        let claims = verifier.admit(bearer(parts)?).await?;
        note_caller(&claims.sub);
        Ok(Self(claims))
    }
}

impl<S> FromRequestParts<S> for Caller
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Claims(claims) = Claims::from_request_parts(parts, state).await?;
        Ok(Self::from(claims))
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
        let may = caller.role == Role::Admin;
        caller.who(may, "this address is for admins").map(Self)
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
        let may = caller.role == Role::Admin || caller.role.is_service();
        let detail = "this address is for admins and services";
        caller.who(may, detail).map(Self)
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
        let may = caller.role.is_service();
        let detail = "only the services that render a job may report on it";
        caller.who(may, detail).map(Self::Role)
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
mod tests;
