//! One call of each kind, and what it comes to.

use chrono::Utc;

use crate::clients::Clients;
use crate::endpoint::{Ending, Hook};
use crate::envelope::Manifest;
use crate::job::JobStatus;
use crate::models::{Fault, ModelError, Outgoing, Report, ReportKind};
use crate::queue::{DeliveryState, HostSign};
use crate::settle::artifact_url;
use crate::stage::Stage;
use crate::webhook::{self, Addressed, Message, Nowhere, Verdict};

/// What a call, or the lack of one, came to.
pub(super) struct Called {
    /// Of the answer, if there was one.
    pub(super) status: Option<u16>,
    pub(super) verdict: Verdict,
}

impl Called {
    /// A host that is there answers, if only to refuse.
    pub(super) fn host(&self) -> HostSign {
        let answered = self
            .status
            .is_some_and(|status| status < 500 && status != 429);
        match &self.verdict {
            Verdict::Failed { .. } if !answered => HostSign::Failed,
            _ => HostSign::Answered,
        }
    }
}

/// Why nobody is called, as it stands in the log of a message.
pub(super) fn going_nowhere(nowhere: Nowhere) -> (DeliveryState, &'static str) {
    let state = match nowhere {
        Nowhere::Removed | Nowhere::Disabled => DeliveryState::Disabled,
        Nowhere::Unsigned => DeliveryState::GivenUp,
    };
    (state, nowhere.reason())
}

/// Tells a webhook of the end.
pub(super) async fn webhook(
    clients: &Clients,
    manifest: &Manifest,
    event: Ending,
    hook: Hook,
    to: &Addressed,
) -> Called {
    let job = &manifest.job;
    let id = webhook::message_id(job.id, job.generation, hook);
    let body = webhook::body(clients, manifest, event);
    let timestamp = Utc::now().timestamp();
    let signatures = webhook::signatures(&to.secrets, &id, timestamp, &body);
    let out = Outgoing {
        idempotency_key: None,
        ..Outgoing::of_job(job, &manifest.request, job.stage)
    };
    let message = Message {
        id: &id,
        timestamp,
        signatures: &signatures,
        body,
        out: &out,
    };
    let (status, verdict) = clients.webhooks.send(to.url.url(), message).await;
    Called { status, verdict }
}

/// Reports the end to the API.
pub(super) async fn api(clients: &Clients, manifest: &Manifest) -> Called {
    let Some(api) = &clients.api else {
        return not_configured();
    };
    let job = &manifest.job;
    let out = Outgoing::of_job(job, &manifest.request, job.stage);
    let url = artifact_url(clients, job.id);
    let plan = manifest.plan.as_ref().map(|planned| &planned.song);
    let result = serde_json::json!({"plan": plan, "track": manifest.track});
    let error = match &manifest.error {
        Some(error) if job.status == JobStatus::Failed => {
            format!("{}: {}", error.code, error.message)
        }
        _ => job.status.as_str().to_owned(),
    };
    let kind = match &manifest.track {
        Some(_) => ReportKind::Completed {
            artifact_url: &url,
            result: &result,
        },
        None => ReportKind::Failed { error: &error },
    };
    let report = Report {
        job: job.id,
        user: &manifest.request.user_id,
        kind,
    };
    called(api.post(&report, &out).await)
}

/// Tells the model that nobody waits for its render any more.
pub(super) async fn cancel(clients: &Clients, manifest: &Manifest) -> Called {
    let Some(generator) = &clients.generator else {
        return not_configured();
    };
    let job = &manifest.job;
    let out = Outgoing::of_job(job, &manifest.request, Stage::Audio);
    let render = job.render_key(Stage::Audio);
    called(generator.cancel(render.as_str(), &out).await)
}

fn not_configured() -> Called {
    Called {
        status: None,
        verdict: Verdict::Forbidden("it is not configured any more".to_owned()),
    }
}

fn called(told: Result<(), ModelError>) -> Called {
    let Err(error) = told else {
        return Called {
            status: None,
            verdict: Verdict::Delivered,
        };
    };
    let (status, after) = match &error.fault {
        Fault::Refused { status, .. } => (Some(*status), None),
        Fault::Busy { retry_after } => (None, Some(*retry_after)),
        _ => (None, None),
    };
    Called {
        status,
        verdict: Verdict::Failed {
            reason: error.code(),
            after,
        },
    }
}
