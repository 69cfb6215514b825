//! Tokens that were taken back before their end: at every door, at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::audit::Effect;
use crate::clients::Clients;
use crate::keyring::{AccessClaims, MAX_UNMARKED_LIFE, now};
use crate::lookup::Unreachable;
use crate::queue::{MAX_REVOKED, Queue};
use crate::store::{MAX_PAGE, Put, Store, StoreError};

/// Objects read at the same time.
const READS: usize = 16;
/// Pages of revocations that are loaded at most: half a million tokens, each of which somebody took back by hand.
const PAGES: usize = 500;
/// How long Redis answers for what the store has before it is told again.
const LOADED_FOR: Duration = Duration::from_secs(600);

/// `auth/revoked/<jti>.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revoked {
    pub(super) at: DateTime<Utc>,
    /// When the token ends by itself, in seconds since 1970.
    pub(super) exp: u64,
}

/// Asks Redis, and the store where Redis has forgotten. Cheap to clone.
#[derive(Clone)]
pub struct Revocations {
    queue: Queue,
    store: Store,
}

impl From<&Clients> for Revocations {
    fn from(clients: &Clients) -> Self {
        Self {
            queue: clients.queue.clone(),
            store: clients.store.clone(),
        }
    }
}

impl Revocations {
    /// Over this Redis and this store.
    pub fn new(queue: Queue, store: Store) -> Self {
        Self { queue, store }
    }

    /// Whether a token must be looked up: it has a name, and it lives for over an hour or is a service's. Access tokens of users
    /// end sooner by themselves.
    pub fn must_be_asked(claims: &AccessClaims) -> bool {
        claims.jti.is_some() && (claims.role.is_service() || claims.life() > MAX_UNMARKED_LIFE)
    }

    /// Whether the token of this `jti` was taken back. An error while neither is known: then nobody may pass.
    pub async fn contains(&self, jti: &str) -> Result<bool, Unreachable> {
        if let Some(known) = self.queue.is_revoked(jti).await? {
            return Ok(known);
        }
        let all = self.load().await?;
        Ok(all.iter().any(|revoked| revoked == jti))
    }

    /// Takes the token back: in the store first, so that no loss of Redis gives it again. Again changes nothing.
    pub async fn revoke(&self, jti: Uuid, exp: u64) -> Result<Effect<()>, Unreachable> {
        let revoked = Revoked {
            at: Utc::now(),
            exp,
        };
        let put = self.store.put_revoked(jti, &revoked).await?;
        self.queue.revoke(&[jti.to_string()], None).await?;
        Ok(match put {
            Put::Stored => Effect::Changed(()),
            Put::Existed => Effect::Unchanged(()),
        })
    }

    /// Tells Redis of all that the store has, and returns them.
    async fn load(&self) -> Result<Vec<String>, Unreachable> {
        let mut all = self.stored().await?;
        for ids in all.chunks(MAX_REVOKED) {
            self.queue.revoke(ids, None).await?;
        }
        self.queue.revoke(&[], Some(LOADED_FOR)).await?;
        // One that came while Redis was emptied once more: it is in the store by now, if it is not in Redis.
        let mut again = self.stored().await?;
        again.retain(|jti| !all.contains(jti));
        for ids in again.chunks(MAX_REVOKED) {
            self.queue.revoke(ids, None).await?;
        }
        all.append(&mut again);
        Ok(all)
    }

    /// Those whose tokens have not ended by themselves.
    async fn stored(&self) -> Result<Vec<String>, StoreError> {
        let mut all = Vec::new();
        let mut after = None;
        for _ in 0..PAGES {
            let page = self.store.revoked_page(after, MAX_PAGE).await?;
            after = page.last().copied();
            let more = page.len() == MAX_PAGE;
            let live: Vec<Option<String>> = stream::iter(page)
                .map(async |jti| {
                    let revoked: Option<Revoked> = self.store.revoked(jti).await?;
                    let live = revoked.is_some_and(|revoked| !is_over(revoked.exp));
                    Ok::<_, StoreError>(live.then(|| jti.to_string()))
                })
                .buffered(READS)
                .try_collect()
                .await?;
            all.extend(live.into_iter().flatten());
            if !more {
                break;
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
impl Revocations {
    /// Where nothing listens: for tests of tokens that need not be looked up.
    pub(crate) fn nowhere() -> Self {
        let redis = crate::queue::Redis::open("redis://127.0.0.1:1").unwrap();
        let policy = crate::queue::Policy::new(1, 1, 1, LOADED_FOR);
        let folder = std::env::temp_dir().join(format!("nowhere-{}", Uuid::now_v7()));
        let url = url::Url::from_directory_path(&folder).unwrap();
        let store = Store::open(&url, crate::store::Pace::Prompt).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        Self::new(Queue::new(redis, "p", policy), store)
    }
}

/// A minute more than any door allows two clocks to differ.
pub(super) fn is_over(exp: u64) -> bool {
    exp.saturating_add(60) < now()
}
