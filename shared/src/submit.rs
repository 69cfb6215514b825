//! From a caller's body to a job in line: durable first, then Redis, then the bell.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use chrono::{TimeDelta, Utc};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::caller::{Caller, Role};
use crate::clients::Clients;
use crate::config::Config;
use crate::endpoint::{Endpoint, Signer};
use crate::envelope::{Claim, ClaimName, Envelope, Manifest, Open, OpenMarker};
use crate::http::{RequestId, note_trace, traceparent};
use crate::job::{JobId, TenantId, sha256_hex};
use crate::lookup::{self, Unreachable};
use crate::priority::Priority;
use crate::problem::{FieldError, Problem};
use crate::queue::{Admission, Buried, Enqueued, QueueError, Refusal, Spent};
use crate::settle;
use crate::store::{Put, StoreError};
use crate::submission::{Catalogue, Submission};
use crate::track::Track;
use crate::view::Known;
use crate::webhook;

/// When a caller whose line is full should come back.
const LINE_FULL: Duration = Duration::from_secs(60);
/// Younger requests may still be on their way into Redis.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(60);
/// Dead jobs of one key that are walked past. The sweep frees the key after a day.
const CLAIMS_MAX: usize = 32;
/// How often a request follows its key to another id because that one died on the way.
const ROUNDS: usize = 3;

impl Catalogue for Config {
    fn max_seconds(&self, model: &str) -> Option<u32> {
        self.models.get(model).map(|known| known.max_seconds)
    }

    fn default_model(&self) -> &str {
        self.models.default_name()
    }

    fn takes_plain_webhooks(&self) -> bool {
        self.dev_mode
    }
}

/// The headers of a submission, for the API's document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Headers {
    /// Per tenant. A repeat answers the same job for as long as that exists; another body or another user: 422.
    #[param(
        rename = "Idempotency-Key",
        pattern = "^[!-~]([ -~]{0,253}[!-~])?$",
        example = "song-of-monday"
    )]
    pub idempotency_key: Option<String>,
    /// `no-cache`: plan and track are made anew.
    #[param(rename = "Cache-Control")]
    pub cache_control: Option<String>,
    /// W3C Trace Context; one that is not valid begins a new trace.
    pub traceparent: Option<String>,
}

/// What the request says beside its body.
pub struct Context {
    request_id: String,
    traceparent: String,
    idempotency_key: Option<String>,
    no_cache: bool,
    from: Instant,
}

impl Context {
    /// 400 for an `Idempotency-Key` that is not 1–255 printable ASCII characters.
    pub fn new(id: RequestId, headers: &HeaderMap) -> Result<Self, Problem> {
        let key = match headers.get("idempotency-key") {
            None => None,
            Some(value) => {
                let printable = |t: &&str| t.bytes().all(|b| matches!(b, b' '..=b'~'));
                let text = value.to_str().ok().filter(printable);
                let text = text.filter(|t| (1..=255).contains(&t.len()));
                let malformed = || {
                    let detail = "Idempotency-Key must be 1 to 255 printable ASCII characters";
                    let field = FieldError::new("/Idempotency-Key", "malformed", detail);
                    Problem::bad_request("malformed_idempotency_key", detail)
                        .with_errors(vec![field])
                };
                Some(text.ok_or_else(malformed)?.to_owned())
            }
        };
        Ok(Self {
            from: Instant::now(),
            request_id: id.0,
            traceparent: traceparent(headers),
            idempotency_key: key,
            no_cache: headers
                .get_all(CACHE_CONTROL)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|list| list.split(','))
                .any(|word| word.trim().eq_ignore_ascii_case("no-cache")),
        })
    }
}

/// The job as it stands after its submission, new or repeated.
pub async fn submit(
    clients: &Clients,
    caller: Caller,
    context: Context,
    body: Value,
) -> Result<Known, Problem> {
    let digest = sha256_hex(body.to_string().as_bytes());
    let submission = parse(clients, body)?;
    if submission.priority == Priority::High && caller.role == Role::User {
        let detail = "only admins and services may submit jobs of high priority";
        let field = FieldError::new("/priority", "not_allowed", detail);
        return Err(Problem::forbidden(detail).with_errors(vec![field]));
    }
    signed(clients, &caller.tenant, &submission).await?;
    let span = tracing::Span::current();
    note_trace(&span, &context.traceparent);
    let request = Envelope {
        id: JobId::mint(),
        tenant: caller.tenant,
        user: caller.user,
        user_id: caller.sub,
        request_id: context.request_id,
        traceparent: context.traceparent,
        created_at: Utc::now(),
        max_attempts: clients.config.max_attempts,
        digest,
        no_cache: context.no_cache,
        claim: None,
        submission,
    };
    let refusal = refusal(clients, &request).await?;
    let known = match (context.idempotency_key, refusal) {
        (Some(key), refusal) => under_key(clients, request, &key, refusal, context.from).await?,
        (None, Some(refusal)) => return Err(refusal),
        (None, None) => match accept(clients, request, context.from).await? {
            Accepted::Known(known) => *known,
            Accepted::Dead => return Err(try_again()),
        },
    };
    span.record("job_id", tracing::field::display(known.job.id));
    Ok(known)
}

/// Why new work of this tenant would be refused now: asked before anything is stored.
async fn refusal(clients: &Clients, request: &Envelope) -> Result<Option<Problem>, Problem> {
    let answer = clients.queue.admits(&request.tenant).await;
    let answer = answer.map_err(Unreachable::from)?;
    Ok(match answer.outcome {
        Admission::Open => None,
        Admission::Full if is_cached(clients, request).await => None,
        Admission::Full => Some(line_full()),
        Admission::Limited { retry_ms } => {
            let limit = clients.queue.policy().submit_per_minute;
            lookup::note_quota("submit", limit, answer.left);
            Some(too_fast(retry_ms))
        }
    })
}

/// 429: the tenant's line is as long as it may be.
pub(crate) fn line_full() -> Problem {
    let detail = "too many of your jobs are waiting";
    Problem::too_many("line_full", detail, LINE_FULL)
}

/// 429: the tenant's submissions come too fast.
pub(crate) fn too_fast(retry_ms: u64) -> Problem {
    let after = Duration::from_millis(retry_ms);
    Problem::too_many("rate_limited", "you submit too fast", after)
}

/// 503: another request with the same key is in between, or its job is being deleted.
fn try_again() -> Problem {
    let detail = "the job of this Idempotency-Key is being removed; try again";
    Problem::unavailable("store_unavailable", detail, Duration::from_secs(1))
}

/// Whose the key is.
enum Claimed {
    Ours,
    Theirs(JobId),
    /// Nobody's, and it is not to be claimed now.
    Free,
}

/// The job that the key stands for: the one of an earlier request, or this one's.
async fn under_key(
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

fn parse(clients: &Clients, body: Value) -> Result<Submission, Problem> {
    Submission::parse(body, clients.config.as_ref()).map_err(|errors| {
        let fields = errors
            .into_iter()
            .map(|e| FieldError::new(e.pointer, e.code, e.detail));
        Problem::validation(fields.collect())
    })
}

/// A webhook without a secret of its own is signed with those of its tenant, which must have one.
async fn signed(
    clients: &Clients,
    tenant: &TenantId,
    submission: &Submission,
) -> Result<(), Problem> {
    let unsigned = |hook: &Endpoint| hook.signed_by == Signer::Tenant;
    if !submission.webhook.as_ref().is_some_and(unsigned) {
        return Ok(());
    }
    let hooks = webhook::hooks(clients, tenant).await?;
    if hooks.in_force(Utc::now()).next().is_some() {
        return Ok(());
    }
    let detail = "The tenant has no secret that could sign; give one.";
    let field = FieldError::new("/webhook/secret", "required", detail);
    Err(Problem::validation(vec![field]))
}

enum Accepted {
    Known(Box<Known>),
    /// The id died on the way: another request with the same key was refused, or the job was deleted.
    Dead,
}

/// Durable first, then Redis, then the bell.
async fn accept(clients: &Clients, request: Envelope, from: Instant) -> Result<Accepted, Problem> {
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

/// Whether the result cache would answer the request.
async fn is_cached(clients: &Clients, request: &Envelope) -> bool {
    let Some(digest) = track_digest(request) else {
        return false;
    };
    matches!(
        clients.queue.cached(&request.tenant, &digest).await,
        Ok(Some(_))
    )
}

fn track_digest(request: &Envelope) -> Option<String> {
    request
        .submission
        .track_digest()
        .filter(|_| !request.no_cache)
}

/// The track that the same request made before. What goes wrong with it costs a render, no more.
async fn cached_track(clients: &Clients, request: &Envelope) -> Option<Track> {
    let digest = track_digest(request)?;
    match shared_track(clients, request, &digest).await {
        Ok(track) => track,
        Err(error) => {
            tracing::warn!(error = %error, "the result cache could not be used");
            None
        }
    }
}

/// The file stays among the objects of the job that it was made for: a copy a job would be a copy a request.
async fn shared_track(
    clients: &Clients,
    request: &Envelope,
    digest: &str,
) -> Result<Option<Track>, Unreachable> {
    let store = &clients.store;
    let Some(earlier) = clients.queue.cached(&request.tenant, digest).await? else {
        return Ok(None);
    };
    let Some(manifest) = store.newest_manifest::<Manifest>(earlier).await? else {
        return Ok(None);
    };
    let (Some(track), Some(plan)) = (manifest.track, manifest.plan) else {
        return Ok(None);
    };
    store.put_plan_if_absent(request.id, &plan).await?;
    let home = track.home(earlier);
    store.share_tracks(home, request.id).await?;
    let source = Some(home);
    Ok(Some(Track { source, ..track }))
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
    if let Err(error) = lookup::forget(clients, request).await {
        tracing::warn!(job_id = %request.id, error = %error, "a refused request could not be removed from the store");
    }
}
