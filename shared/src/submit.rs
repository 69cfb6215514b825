//! From a caller's body to a job in line: durable first, then Redis, then the bell.

mod accept;
mod cache;
mod claim;
mod refusal;

use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use chrono::Utc;
use serde_json::Value;

use self::accept::{Accepted, accept};
use self::cache::is_cached;
use self::claim::under_key;
use self::refusal::try_again;
pub(crate) use self::refusal::{line_full, too_fast};
use crate::caller::{Caller, Role};
use crate::clients::Clients;
use crate::config::Config;
use crate::endpoint::{Endpoint, Signer};
use crate::envelope::Envelope;
use crate::http::{RequestId, note_trace, traceparent};
use crate::job::{JobId, TenantId, sha256_hex};
use crate::lookup::{self, Unreachable};
use crate::priority::Priority;
use crate::problem::{FieldError, Problem};
use crate::queue::Admission;
use crate::submission::{Catalogue, Submission};
use crate::view::Known;
use crate::webhook;

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
