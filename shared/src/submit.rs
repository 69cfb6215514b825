//! From a caller's body to a job in line: durable first, then Redis, then the bell.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use chrono::Utc;
use serde_json::Value;

use crate::caller::{Caller, Role};
use crate::clients::Clients;
use crate::config::Config;
use crate::endpoint::{Endpoint, Signer};
use crate::envelope::{Envelope, Manifest, OpenMarker};
use crate::http::{RequestId, note_trace, traceparent};
use crate::job::{JobId, TenantId, sha256_hex};
use crate::lookup::{self, Unreachable};
use crate::priority::Priority;
use crate::problem::{FieldError, Problem};
use crate::queue::{Enqueued, QueueError, Spent};
use crate::settle;
use crate::store::Put;
use crate::submission::{Catalogue, Submission};
use crate::track::Track;
use crate::view::Known;
use crate::webhook;

/// When a caller whose line is full should come back.
const LINE_FULL: Duration = Duration::from_secs(60);

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
    let mut submission = parse(clients, body)?;
    if submission.priority == Priority::High && caller.role == Role::User {
        let detail = "only admins and services may submit jobs of high priority";
        let field = FieldError::new("/priority", "not_allowed", detail);
        return Err(Problem::forbidden(detail).with_errors(vec![field]));
    }
    signed(clients, &caller.tenant, &submission).await?;
    let webhook = submission.webhook.as_mut();
    let secret = webhook.and_then(|webhook| webhook.secret.take());
    let key = context.idempotency_key.as_deref();
    let id = key.map_or_else(JobId::mint, |key| JobId::from_key(&caller.tenant, key));
    let span = tracing::Span::current();
    span.record("job_id", tracing::field::display(id));
    note_trace(&span, &context.traceparent);
    let request = Envelope {
        id,
        tenant: caller.tenant,
        user: caller.user,
        user_id: caller.sub,
        request_id: context.request_id,
        traceparent: context.traceparent,
        created_at: Utc::now(),
        max_attempts: clients.config.max_attempts,
        digest,
        no_cache: context.no_cache,
        submission,
    };
    let stored = clients
        .store
        .put_request_if_absent(id, &request)
        .await
        .map_err(Unreachable::from)?;
    if stored == Put::Existed {
        return repeated(clients, &request).await;
    }
    if let Some(secret) = secret {
        let kept = clients.store.put_job_secret(id, &secret).await;
        kept.map_err(Unreachable::from)?;
    }
    accept(clients, request, context.from).await
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

async fn accept(clients: &Clients, request: Envelope, from: Instant) -> Result<Known, Problem> {
    let id = request.id;
    let marker = OpenMarker::starting(0, request.created_at, &request);
    clients
        .store
        .put_open(id, &marker)
        .await
        .map_err(Unreachable::from)?;
    let mut job = lookup::new_job(&request, &marker);
    let cached = cached_track(clients, &request).await;
    job.spent = Spent::billed(from.elapsed());
    let enqueued = match cached {
        Some(track) => clients.queue.enqueue_cached(&job, &track).await,
        None => clients.queue.enqueue(&job).await,
    };
    let answer = match enqueued {
        Ok(answer) => answer,
        Err(error) if error.changed_nothing() => {
            forget(clients, id).await;
            return Err(Unreachable::from(error).into());
        }
        // It may stand in line or not: what is stored lets the sweep find out.
        Err(error) => return Err(Problem::from(Unreachable::from(error)).with_job(id)),
    };
    let limit = clients.queue.policy().submit_per_minute;
    lookup::note_quota("submit", limit, answer.left);
    let refused = match answer.outcome {
        Enqueued::Enqueued | Enqueued::Exists => None,
        Enqueued::Full => {
            let detail = "too many of your jobs are waiting";
            Some(Problem::too_many("line_full", detail, LINE_FULL))
        }
        Enqueued::Limited { retry_ms } => {
            let after = Duration::from_millis(retry_ms);
            Some(Problem::too_many(
                "rate_limited",
                "you submit too fast",
                after,
            ))
        }
    };
    if let Some(problem) = refused {
        forget(clients, id).await;
        return Err(problem);
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
    Ok(found.unwrap_or_else(|_| Known::accepted(request, &marker)))
}

/// The track that the same request made before, copied among this job's objects. What goes wrong with it costs a render, no more.
async fn cached_track(clients: &Clients, request: &Envelope) -> Option<Track> {
    let digest = request
        .submission
        .track_digest()
        .filter(|_| !request.no_cache)?;
    match copied(clients, request, &digest).await {
        Ok(track) => track,
        Err(error) => {
            tracing::warn!(error = %error, "the result cache could not be used");
            None
        }
    }
}

async fn copied(
    clients: &Clients,
    request: &Envelope,
    digest: &str,
) -> Result<Option<Track>, Unreachable> {
    let store = &clients.store;
    let Some(source) = clients.queue.cached(&request.tenant, digest).await? else {
        return Ok(None);
    };
    let Some(manifest) = store.manifest::<Manifest>(source).await? else {
        return Ok(None);
    };
    let (Some(track), Some(plan)) = (manifest.track, manifest.plan) else {
        return Ok(None);
    };
    store.put_plan_if_absent(request.id, &plan).await?;
    let name = track.object_name();
    let copied = store.copy_track(source, request.id, &name).await?;
    Ok(copied.then_some(track))
}

/// The same key again: the same job, if it is the same request.
async fn repeated(clients: &Clients, request: &Envelope) -> Result<Known, Problem> {
    let known = found(clients, request.id).await?;
    if known.request.digest == request.digest && known.request.user == request.user {
        return Ok(known);
    }
    let detail = "this Idempotency-Key was used for another request";
    let field = FieldError::new("/Idempotency-Key", "reused", detail);
    Err(Problem::unprocessable("idempotency_key_reused", detail).with_errors(vec![field]))
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

/// Nothing was accepted, so nothing is kept. What cannot be removed is removed by the sweep, after it asked Redis.
async fn forget(clients: &Clients, id: JobId) {
    if let Err(error) = clients.store.remove_job(id).await {
        tracing::warn!(job_id = %id, error = %error, "a refused request could not be removed from the store");
    }
}
