//! Removing what is stored of a job that was deleted or refused, up to its claim on an `Idempotency-Key` and its tombstone.

use chrono::{DateTime, TimeDelta, Utc};

use crate::clients::Clients;
use crate::envelope::{Claim, ClaimName, Envelope, Open, Tombstone};
use crate::job::JobId;
use crate::store::{Put, Remains, StoreError};

/// A request that saw the claim before it went is over by then.
const SEALED: TimeDelta = TimeDelta::hours(1);

/// How far the burial of a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burial {
    /// Something of it must stay for now.
    GoesOn,
    /// Nothing is left.
    Over,
}

/// Removes the objects of a job that has a tombstone. May be repeated.
pub async fn bury(clients: &Clients, id: JobId, stone: &Tombstone) -> Result<Remains, StoreError> {
    let remains = clients.store.remove_job(id).await?;
    if let Some(home) = stone.track_of {
        clients.store.unshare_tracks(home, id).await?;
    }
    Ok(remains)
}

/// Removes what is stored of a submission that was refused for good.
///
/// Where a key names the id, a tombstone comes first: a repeat under that key would else store its
/// request among objects that are about to go.
pub(crate) async fn forget(clients: &Clients, request: &Envelope) -> Result<(), StoreError> {
    let (store, id) = (&clients.store, request.id);
    if request.claim.is_some() {
        let stone = Tombstone::of(request, None);
        store.put_tombstone(id, &stone).await?;
    }
    store.remove_job(id).await?;
    store.remove_open(Open { id, generation: 0 }).await
}

/// Takes a dead job for which nothing can be put any more one step nearer to being forgotten. May be
/// repeated, but only one caller may bury at a time.
pub async fn go_on(clients: &Clients, id: JobId, now: DateTime<Utc>) -> Result<Burial, StoreError> {
    let store = &clients.store;
    let Some(stone) = store.tombstone(id).await? else {
        return Ok(Burial::GoesOn);
    };
    if bury(clients, id, &stone).await? == Remains::SharedTracks {
        store.drop_stale_shares(id).await?;
        return Ok(Burial::GoesOn);
    }
    let burial = match &stone.claim {
        Some(claim) => free(clients, id, &stone, claim, now).await?,
        None => Burial::Over,
    };
    if burial == Burial::Over {
        store.remove_tombstone(id).await?;
    }
    Ok(burial)
}

/// Frees the key of a dead job, unless a later job has it by way of this one.
///
/// The seal comes first, where a later job would claim the key: so a request that still sees the old
/// claim cannot claim behind it while another one begins anew. The claim goes only while it is the dead
/// job's, because a later job may have the key under the same name by now.
async fn free(
    clients: &Clients,
    id: JobId,
    stone: &Tombstone,
    claim: &ClaimName,
    now: DateTime<Utc>,
) -> Result<Burial, StoreError> {
    let (store, tenant) = (&clients.store, &stone.tenant);
    let next = claim.following(id);
    let seal = Claim::Sealed { at: now };
    let put = store.put_claim_if_absent(tenant, &next, &seal).await?;
    let sealed_at = match (put, store.claim(tenant, &next).await?) {
        (Put::Existed, Some(Claim::Sealed { at })) => at,
        (Put::Existed, _) => return Ok(Burial::GoesOn),
        (Put::Stored, _) => now,
    };
    let stands = matches!(
        store.claim(tenant, claim).await?,
        Some(Claim::Job { id: has, .. }) if has == id
    );
    if stands {
        // The hour begins with the removal, also where an earlier round broke off before it.
        if put == Put::Existed {
            store.renew_seal(tenant, &next, now).await?;
        }
        store.remove_claim(tenant, claim).await?;
        return Ok(Burial::GoesOn);
    }
    if now - sealed_at < SEALED {
        return Ok(Burial::GoesOn);
    }
    store.remove_claim(tenant, &next).await?;
    Ok(Burial::Over)
}
