//! What the sweep forgets: sessions and service tokens that have ended by themselves.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::REFRESH_LIFE;
use super::revoked::{Revoked, is_over};
use super::service_token::ServiceToken;
use crate::store::{Store, StoreError};

/// Looked at in one round, of each kind.
const PAGE: usize = 200;
/// Rounds with nothing left to look at are followed by a rest.
const REST: Duration = Duration::from_secs(3600);
/// How much longer than its newest token a family is kept, so that clocks may differ.
const GRACE: TimeDelta = TimeDelta::days(1);
/// How long an expired service token stays in the list.
const REMEMBERED: TimeDelta = TimeDelta::days(30);

/// How far the rounds of this process have come; a new process begins anew.
#[derive(Debug, Default)]
pub struct Pruner(Mutex<Place>);

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    families: Option<Uuid>,
    tokens: Option<Uuid>,
    revoked: Option<Uuid>,
    rest_until: Option<Instant>,
}

/// What one round forgot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    pub families: u32,
    pub service_tokens: u32,
    pub revoked: u32,
}

impl Pruner {
    /// One page of each kind.
    pub async fn go(&self, store: &Store) -> Result<Pruned, StoreError> {
        let mut place = *self.0.lock().unwrap_or_else(|e| e.into_inner());
        if place.rest_until.is_some_and(|until| Instant::now() < until) {
            return Ok(Pruned::default());
        }
        let mut pruned = Pruned::default();
        place.families = families(store, place.families, &mut pruned).await?;
        place.tokens = tokens(store, place.tokens, &mut pruned).await?;
        place.revoked = revoked(store, place.revoked, &mut pruned).await?;
        let round = [place.families, place.tokens, place.revoked];
        place.rest_until = round
            .iter()
            .all(Option::is_none)
            .then(|| Instant::now() + REST);
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = place;
        Ok(pruned)
    }
}

/// Where the next page begins; none at the end.
fn next<T>(page: &[T], id: impl Fn(&T) -> Uuid) -> Option<Uuid> {
    page.last().filter(|_| page.len() == PAGE).map(id)
}

/// A family ends with its newest token, which is as old as its newest object.
async fn families(
    store: &Store,
    after: Option<Uuid>,
    pruned: &mut Pruned,
) -> Result<Option<Uuid>, StoreError> {
    let life = TimeDelta::from_std(REFRESH_LIFE).unwrap_or(TimeDelta::MAX);
    let page = store.family_page(after, PAGE).await?;
    for (family, newest) in &page {
        if *newest + life + GRACE < Utc::now() {
            store.remove_family(*family).await?;
            pruned.families += 1;
        }
    }
    Ok(next(&page, |(family, _)| *family))
}

async fn tokens(
    store: &Store,
    after: Option<Uuid>,
    pruned: &mut Pruned,
) -> Result<Option<Uuid>, StoreError> {
    let page = store.service_token_page(after, PAGE).await?;
    for jti in &page {
        let token: Option<ServiceToken> = store.service_token(*jti).await?;
        if token.is_some_and(|token| token.expires_at + REMEMBERED < Utc::now()) {
            store.remove_service_token(*jti).await?;
            pruned.service_tokens += 1;
        }
    }
    Ok(next(&page, |jti| *jti))
}

async fn revoked(
    store: &Store,
    after: Option<Uuid>,
    pruned: &mut Pruned,
) -> Result<Option<Uuid>, StoreError> {
    let page = store.revoked_page(after, PAGE).await?;
    for jti in &page {
        let revoked: Option<Revoked> = store.revoked(*jti).await?;
        if revoked.is_some_and(|revoked| is_over(revoked.exp)) {
            store.remove_revoked(*jti).await?;
            pruned.revoked += 1;
        }
    }
    Ok(next(&page, |jti| *jti))
}
