//! An envelope on its way into the line: durable first, then Redis, then the bell.

use std::time::Instant;

use super::cache::cached_track;
use super::refusal::{line_full, too_fast};
use crate::burial;
use crate::clients::Clients;
use crate::envelope::{Envelope, Open, OpenMarker};
use crate::job::JobId;
use crate::lookup::{self, Unreachable};
use crate::problem::Problem;
use crate::queue::{Buried, Enqueued, QueueError, Refusal, Spent};
use crate::settle;
use crate::store::{Put, StoreError};
use crate::view::Known;

/// What became of an envelope.
pub(super) enum Accepted {
    Known(Box<Known>),
    /// The id died on the way: another request with the same key was refused, or the job was deleted.
    Dead,
}

/// Durable first, then Redis, then the bell.
pub(super) async fn accept(
    clients: &Clients,
    request: Envelope,
    from: Instant,
) -> Result<Accepted, Problem> {
    let (id, store) = (request.id, &clients.store);
    let webhook = request.submission.webhook.as_ref();
    if let Some(secret) = webhook.and_then(|webhook| webhook.secret.as_ref()) {
        // Before the request, since whoever finds that may run the job. Who repeats it has the same secret.
        match store.put_job_secret(id, secret).await {
            Err(StoreError::Deleted { .. }) => return Ok(Accepted::Dead),
            put => put.map_err(Unreachable::from)?,
        }
    }
    let put = store.put_request_if_absent(id, &request).await;
    let (request, refusal) = match put.map_err(Unreachable::from)? {
        Put::Stored => (request, Refusal::Final),
        Put::Existed => match store.request(id).await.map_err(Unreachable::from)? {
            Some(first) => (first, Refusal::Passing),
            None => return Ok(Accepted::Dead),
        },
    };
    let marker = OpenMarker::starting(0, request.created_at, &request);
    let open = Open { id, generation: 0 };
    match store.put_open(open, &marker).await {
        Err(StoreError::Deleted { .. }) => {
            let removed = store.remove_job(id).await;
            removed.map_err(Unreachable::from)?;
            return Ok(Accepted::Dead);
        }
        put => put.map_err(Unreachable::from)?,
    }
    let mut job = lookup::new_job(&request, &marker);
    job.refusal = refusal;
    let cached = cached_track(clients, &request).await;
    job.spent = Spent::billed(from.elapsed());
    let enqueued = match cached {
        Some(track) => clients.queue.enqueue_cached(&job, &track).await,
        None => clients.queue.enqueue(&job).await,
    };
    let answer = match enqueued {
        Ok(answer) => answer,
        Err(error) => return given_up(clients, &request, refusal, error).await,
    };
    let limit = clients.queue.policy().submit_per_minute;
    lookup::note_quota("submit", limit, answer.left);
    let refused = match answer.outcome {
        Enqueued::Enqueued | Enqueued::Exists => None,
        Enqueued::Full => Some(line_full()),
        Enqueued::Limited { retry_ms } => Some(too_fast(retry_ms)),
        Enqueued::Refused => return Ok(Accepted::Dead),
    };
    if let Some(problem) = refused {
        if refusal == Refusal::Final {
            forget(clients, &request).await;
        }
        return Err(problem);
    }
    if is_shell(clients, &request).await? {
        return Ok(Accepted::Dead);
    }
    tracing::info!(job_id = %id, duration_seconds = request.submission.duration, model = request.submission.model, "job accepted");
    // At the same time: a Redis that has just fallen silent holds up the caller once.
    let (is_cached, ring) = (
        !answer.debt.ended.is_empty(),
        settle::pay(clients, answer.debt, Some(id)),
    );
    let found = if is_cached {
        ring.await;
        found(clients, id).await
    } else {
        tokio::join!(ring, found(clients, id)).1
    };
    // It is accepted, whatever can be said of it now.
    let known = found.unwrap_or_else(|_| Known::accepted(request, &marker));
    Ok(Accepted::Known(Box::new(known)))
}

/// Whether the id died before its job was entered, under a key, into a Redis that was emptied meanwhile
/// and had forgotten the death. Then Redis forgets the job.
async fn is_shell(clients: &Clients, request: &Envelope) -> Result<bool, Problem> {
    let id = request.id;
    if request.claim.is_none() {
        return Ok(false);
    }
    let dead = clients.store.is_deleted(id).await;
    let dead = dead.map_err(|e| Problem::from(Unreachable::from(e)).with_job(id))?;
    if dead {
        let answer = clients.queue.cancel(id, "deleted").await;
        let answer = answer.map_err(|e| Problem::from(Unreachable::from(e)).with_job(id))?;
        settle::pay(clients, answer.debt, None).await;
        let deleted = clients.queue.delete(id).await;
        deleted.map_err(|e| Problem::from(Unreachable::from(e)).with_job(id))?;
    }
    Ok(dead)
}

/// Redis did not answer. What it certainly did not take is forgotten, unless another request with the
/// same key has brought it in; else what is stored lets the sweep find out.
async fn given_up(
    clients: &Clients,
    request: &Envelope,
    refusal: Refusal,
    error: QueueError,
) -> Result<Accepted, Problem> {
    let certain = error.changed_nothing() && refusal == Refusal::Final;
    let problem = Problem::from(Unreachable::from(error));
    if !certain {
        return Err(problem.with_job(request.id));
    }
    let buried = match (&request.claim, clients.queue.refuse(request.id).await) {
        (_, Ok(buried)) => buried,
        // Nobody else knows the id.
        (None, Err(_)) => Buried::Refused,
        (Some(_), Err(_)) => return Err(problem.with_job(request.id)),
    };
    match buried {
        Buried::Refused => {
            forget(clients, request).await;
            Err(problem)
        }
        Buried::Live => Ok(Accepted::Known(Box::new(found(clients, request.id).await?))),
    }
}

async fn found(clients: &Clients, id: JobId) -> Result<Known, Problem> {
    let vanished = || {
        Unreachable::from(QueueError::Record(
            "the job vanished as it was submitted".to_owned(),
        ))
    };
    Ok(lookup::find(clients, id)
        .await
        .map_err(|e| Problem::from(e).with_job(id))?
        .ok_or_else(vanished)?)
}

/// Nothing was accepted, so nothing is kept. What cannot be removed now is removed by the sweep.
async fn forget(clients: &Clients, request: &Envelope) {
    if let Err(error) = burial::forget(clients, request).await {
        tracing::warn!(job_id = %request.id, error = %error, "a refused request could not be removed from the store");
    }
}
