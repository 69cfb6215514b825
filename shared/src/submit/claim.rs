//! The job that an `Idempotency-Key` stands for.

use std::time::Instant;

use chrono::{TimeDelta, Utc};
use serde::de::IgnoredAny;

use super::accept::{Accepted, accept};
use super::refusal::try_again;
use crate::clients::Clients;
use crate::envelope::{Claim, ClaimName, Envelope};
use crate::job::JobId;
use crate::lookup::{self, Unreachable};
use crate::problem::{FieldError, Problem};
use crate::store::Put;
use crate::view::Known;

/// Younger requests may still be on their way into Redis.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(60);
/// Dead jobs of one key that are walked past. The sweep frees the key after a day.
const CLAIMS_MAX: usize = 32;
/// How often a request follows its key to another id because that one died on the way.
const ROUNDS: usize = 3;

/// Whose the key is.
enum Claimed {
    Ours,
    Theirs(JobId),
    /// Nobody's, and it is not to be claimed now.
    Free,
}

/// The job that the key stands for: the one of an earlier request, or this one's.
pub(super) async fn under_key(
    clients: &Clients,
    mut request: Envelope,
    key: &str,
    refusal: Option<Problem>,
    from: Instant,
) -> Result<Known, Problem> {
    for _ in 0..ROUNDS {
        match claim(clients, &mut request, key, refusal.is_none()).await? {
            Claimed::Ours => {}
            Claimed::Theirs(id) => {
                request.id = id;
                if let Some(known) = accepted_before(clients, id).await? {
                    return Ok(known);
                }
            }
            Claimed::Free => break,
        }
        match accept(clients, request.clone(), from).await? {
            Accepted::Known(known) => return Ok(*known),
            Accepted::Dead => {}
        }
    }
    Err(refusal.unwrap_or_else(try_again))
}

/// Walks from the first claim on the key past the jobs that are dead; claims the key behind them.
async fn claim(
    clients: &Clients,
    request: &mut Envelope,
    key: &str,
    may_claim: bool,
) -> Result<Claimed, Problem> {
    let (store, tenant) = (&clients.store, &request.tenant);
    let ours = Claim::Job {
        id: JobId::mint(),
        user: request.user.clone(),
        digest: request.digest.clone(),
    };
    let mut name = ClaimName::first(key);
    for _ in 0..CLAIMS_MAX {
        if may_claim {
            let put = store.put_claim_if_absent(tenant, &name, &ours).await;
            if let (Put::Stored, Claim::Job { id, .. }) = (put.map_err(Unreachable::from)?, &ours) {
                (request.id, request.claim) = (*id, Some(name));
                return Ok(Claimed::Ours);
            }
        }
        let found = store
            .claim(tenant, &name)
            .await
            .map_err(Unreachable::from)?;
        let Some(Claim::Job { id, user, digest }) = found else {
            return Ok(Claimed::Free);
        };
        if !store.is_deleted(id).await.map_err(Unreachable::from)? {
            if (&digest, &user) != (&request.digest, &request.user) {
                return Err(reused());
            }
            request.claim = Some(name);
            return Ok(Claimed::Theirs(id));
        }
        name = name.following(id);
    }
    let detail = "too many jobs of this Idempotency-Key were deleted within a day; use another key";
    let field = FieldError::new("/Idempotency-Key", "worn_out", detail);
    Err(Problem::unprocessable("idempotency_key_reused", detail).with_errors(vec![field]))
}

fn reused() -> Problem {
    let detail = "this Idempotency-Key was used for another request";
    let field = FieldError::new("/Idempotency-Key", "reused", detail);
    Problem::unprocessable("idempotency_key_reused", detail).with_errors(vec![field])
}

/// The job, if an earlier request has brought it in.
///
/// A request that is not in Redis is still on its way, or broke off: whoever repeats it goes the same
/// way and past the same limits. One that is too old to be on its way was accepted, or has not been
/// answered: it is put back, as the sweep would.
async fn accepted_before(clients: &Clients, id: JobId) -> Result<Option<Known>, Problem> {
    let snapshot = clients.queue.read(id).await.map_err(Unreachable::from)?;
    if let Some(snapshot) = snapshot {
        return Ok(lookup::known(clients, snapshot).await?);
    }
    let store = &clients.store;
    let first: Option<Envelope> = store.request(id).await.map_err(Unreachable::from)?;
    let Some(first) = first else {
        return Ok(None);
    };
    let ended = store.newest_manifest::<IgnoredAny>(id).await;
    let ended = ended.map_err(Unreachable::from)?.is_some();
    if ended || Utc::now() - first.created_at >= ON_ITS_WAY {
        return Ok(lookup::find(clients, id).await?);
    }
    Ok(None)
}
