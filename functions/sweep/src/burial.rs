//! What is left of deleted jobs once nothing can be put for them any more: late objects, the
//! tombstone, and the claim on their `Idempotency-Key`.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};
use shared::change;
use shared::clients::Clients;
use shared::envelope::{Claim, ClaimName, Tombstone};
use shared::job::JobId;
use shared::store::{Put, Remains, StoreError};

/// Tombstones of one round, and how many are looked at at the same time.
const PAGE: usize = 500;
const LOOKS: usize = 16;
/// A signed upload is open for 12 hours: later nothing can come any more.
const LATEST_UPLOAD: TimeDelta = TimeDelta::hours(13);
/// A request that saw the claim before it went is over by then.
const SEALED: TimeDelta = TimeDelta::hours(1);

/// How far the rounds of this process have come; a new process begins anew.
#[derive(Debug, Default)]
pub(crate) struct Burial(Mutex<Option<JobId>>);

impl Burial {
    /// Looks at one page of tombstones. Returns how many jobs are forgotten for good.
    pub(crate) async fn go(&self, clients: &Clients) -> Result<usize, StoreError> {
        let after = *self.0.lock().unwrap_or_else(|e| e.into_inner());
        let page = clients.store.tombstone_page(after, PAGE).await?;
        let next = page
            .last()
            .filter(|_| page.len() == PAGE)
            .map(|(id, _)| *id);
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = next;
        let now = Utc::now();
        let old = page
            .into_iter()
            .filter(|(_, died)| now - *died >= LATEST_UPLOAD);
        let looks = stream::iter(old).map(|(id, _)| async move {
            match forgotten(clients, id, now).await {
                Ok(forgotten) => usize::from(forgotten),
                Err(error) => {
                    tracing::warn!(job_id = %id, error = %error, "what is left of a deleted job stays for now");
                    0
                }
            }
        });
        Ok(looks
            .buffer_unordered(LOOKS)
            .collect::<Vec<_>>()
            .await
            .iter()
            .sum())
    }
}

/// Whether nothing of the job is left now.
async fn forgotten(clients: &Clients, id: JobId, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let store = &clients.store;
    let Some(stone) = store.tombstone(id).await? else {
        return Ok(false);
    };
    if change::bury(clients, id, &stone).await? == Remains::SharedTracks {
        store.drop_stale_shares(id).await?;
        return Ok(false);
    }
    let free = match &stone.claim {
        Some(claim) => is_freed(clients, id, &stone, claim, now).await?,
        None => true,
    };
    if free {
        store.remove_tombstone(id).await?;
    }
    Ok(free)
}

/// Frees the key of a dead job, unless a later job has it by way of this one.
///
/// The seal comes first, where a later job would claim the key: so a request that still sees the old
/// claim cannot claim behind it while another one begins anew.
async fn is_freed(
    clients: &Clients,
    id: JobId,
    stone: &Tombstone,
    claim: &ClaimName,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let (store, tenant) = (&clients.store, &stone.tenant);
    let next = claim.following(id);
    let seal = Claim::Sealed { at: now };
    let sealed_at = match store.put_claim_if_absent(tenant, &next, &seal).await? {
        Put::Stored => now,
        Put::Existed => match store.claim(tenant, &next).await? {
            Some(Claim::Sealed { at }) => at,
            Some(Claim::Job { .. }) | None => return Ok(false),
        },
    };
    store.remove_claim(tenant, claim).await?;
    if now - sealed_at < SEALED {
        return Ok(false);
    }
    store.remove_claim(tenant, &next).await?;
    Ok(true)
}
