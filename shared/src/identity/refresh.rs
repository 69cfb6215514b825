//! Sessions: a short access token, and a refresh token that is exchanged for a new pair each time.
//!
//! The refresh tokens of one login are a family and are numbered. Only the newest is good; an older one was used twice, by its owner
//! and by a thief, and nobody knows which is which: the family is revoked.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Account;
use crate::clients::Clients;
use crate::keyring::{AccessClaims, KeyRing, Refused, TokenKind, now};
use crate::lookup::Unreachable;
use crate::problem::Problem;
use crate::store::{FamilyState, Put};

/// How long an access token lives: as long as a change of its user may take to show.
pub const ACCESS_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a refresh token lives.
pub const REFRESH_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a refresh token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RefreshClaims {
    /// The user's id.
    pub(super) sub: Uuid,
    pub(super) family: Uuid,
    /// From 1.
    pub(super) n: u64,
    /// Seconds since 1970.
    pub(super) exp: u64,
}

impl RefreshClaims {
    fn new(user: Uuid, family: Uuid, n: u64) -> Self {
        Self {
            sub: user,
            family,
            n,
            exp: now().saturating_add(REFRESH_LIFE.as_secs()),
        }
    }

    pub(super) fn sign(&self, ring: &KeyRing) -> Result<String, Problem> {
        let signed = ring.sign(TokenKind::Refresh, self);
        signed.map_err(|error| Problem::internal().with_source(error))
    }

    pub(super) fn verify(ring: &KeyRing, token: &str) -> Result<Self, Refused> {
        ring.verify(TokenKind::Refresh, token)
    }
}

/// `auth/families/<family>/<n>.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Given {
    user: Uuid,
    /// [`Account::sessions`] as it was at the login.
    sessions: u32,
    at: DateTime<Utc>,
}

/// `auth/families/<family>/revoked.json`.
#[derive(Debug, Serialize, Deserialize)]
struct FamilyRevoked {
    /// `logout` or `reused`.
    why: String,
    at: DateTime<Utc>,
}

/// A pair of tokens.
#[derive(Clone)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Tokens {
    /// A new session.
    pub async fn begin(clients: &Clients, account: &Account) -> Result<Self, Problem> {
        let claims = RefreshClaims::new(account.id, Uuid::now_v7(), 1);
        let tokens = Self::signed(clients, account, &claims)?;
        give(clients, account, &claims).await?;
        Ok(tokens)
    }

    fn signed(
        clients: &Clients,
        account: &Account,
        refresh: &RefreshClaims,
    ) -> Result<Self, Problem> {
        let ring = &clients.config.keys;
        let mut claims = AccessClaims::new(&account.id.to_string(), account.role, ACCESS_LIFE);
        claims.tenant.clone_from(&account.tenant);
        claims.jti = Some(Uuid::now_v7().to_string());
        claims.email = Some(account.email.as_str().to_owned());
        let access = ring.sign_access(&claims);
        Ok(Self {
            access: access.map_err(|error| Problem::internal().with_source(error))?,
            refresh: refresh.sign(ring)?,
        })
    }
}

/// Exchanges a refresh token for a new pair; 401 for one that is not good, and for the second use of one that was.
pub async fn rotate(clients: &Clients, token: &str) -> Result<(Account, Tokens), Problem> {
    let claims = RefreshClaims::verify(&clients.config.keys, token)?;
    let (family, n) = (claims.family, claims.n);
    let state = family_state(clients, family).await?;
    match state.newest {
        Some(newest) if !state.revoked && n < newest => return reused(clients, family).await,
        Some(newest) if !state.revoked && n == newest => {}
        _ => return Err(ended()),
    }
    let given: Option<Given> = clients
        .store
        .family_token(family, n)
        .await
        .map_err(Unreachable::from)?;
    let found = Account::read(&clients.store, claims.sub).await;
    let found = found.map_err(Unreachable::from)?;
    let (Some((account, _)), Some(given)) = (found, given) else {
        return Err(ended());
    };
    let of_user = given.user == account.id && given.sessions == account.sessions;
    if account.disabled || !of_user {
        return Err(ended());
    }
    let next = RefreshClaims::new(account.id, family, n + 1);
    let tokens = Tokens::signed(clients, &account, &next)?;
    match give(clients, &account, &next).await? {
        Put::Stored => Ok((account, tokens)),
        Put::Existed => reused(clients, family).await,
    }
}

/// Ends the session of a refresh token; again changes nothing.
pub async fn end(clients: &Clients, token: &str) -> Result<(), Problem> {
    let claims = RefreshClaims::verify(&clients.config.keys, token)?;
    let state = family_state(clients, claims.family).await?;
    if state.newest.is_some() && !state.revoked {
        revoke(clients, claims.family, "logout").await?;
    }
    Ok(())
}

async fn family_state(clients: &Clients, family: Uuid) -> Result<FamilyState, Unreachable> {
    Ok(clients.store.family(family).await?)
}

async fn give(
    clients: &Clients,
    account: &Account,
    claims: &RefreshClaims,
) -> Result<Put, Unreachable> {
    let given = Given {
        user: account.id,
        sessions: account.sessions,
        at: Utc::now(),
    };
    let put = clients
        .store
        .put_family_token(claims.family, claims.n, &given);
    Ok(put.await?)
}

async fn reused<T>(clients: &Clients, family: Uuid) -> Result<T, Problem> {
    revoke(clients, family, "reused").await?;
    tracing::warn!(%family, "a refresh token was used twice; its session has ended");
    let detail = "this refresh token was used before; sign in again";
    Err(Problem::unauthorized("refresh_reused", detail))
}

async fn revoke(clients: &Clients, family: Uuid, why: &str) -> Result<(), Unreachable> {
    let revoked = FamilyRevoked {
        why: why.to_owned(),
        at: Utc::now(),
    };
    clients.store.revoke_family(family, &revoked).await?;
    Ok(())
}

fn ended() -> Problem {
    let detail = "this session has ended; sign in again";
    Problem::unauthorized("session_ended", detail)
}
