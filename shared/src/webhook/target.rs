//! Who is told of an end, and how a message gets there.

use super::register::{Hooks, failing_name};
use super::signing::Secrets;
use crate::endpoint::{Ending, EndpointUrl, Signer, SigningSecret, Target};
use crate::envelope::{DueTarget, Manifest};

/// The job's own webhook and the endpoints of its tenant that want to hear of this ending.
pub(super) fn told_of(manifest: &Manifest, hooks: &Hooks, ending: Ending) -> Vec<DueTarget> {
    let own = manifest.request.submission.webhook.iter();
    let own = own.filter(|hook| hook.events.include(ending));
    let own = own.map(|hook| (Target::Job, hook.url.shown()));
    let of_tenant = hooks
        .items
        .iter()
        .filter(|item| item.disabled.is_none() && item.events.include(ending))
        .map(|item| (Target::Tenant(item.id), item.url.shown()));
    own.chain(of_tenant)
        .map(|(target, url)| DueTarget { target, url })
        .collect()
}

/// Where a message goes, and what signs it.
pub(super) struct Addressed {
    pub(super) url: EndpointUrl,
    /// At least one.
    pub(super) secrets: Vec<SigningSecret>,
    /// The name under which failures are counted; those of a job's own webhook are not.
    pub(super) failing: Option<String>,
}

/// Why a message goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nowhere {
    Removed,
    Disabled,
    Unsigned,
}

impl Nowhere {
    /// One sentence.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Removed => "the endpoint was removed",
            Self::Disabled => "the endpoint is disabled",
            Self::Unsigned => "there is no secret to sign with",
        }
    }
}

/// As it is at this moment: an endpoint may have moved since the job ended.
pub(super) fn address(
    target: Target,
    manifest: &Manifest,
    hooks: &Hooks,
    secrets: &Secrets,
) -> Result<Addressed, Nowhere> {
    let addressed = match target {
        Target::Job => {
            let own = manifest.request.submission.webhook.as_ref();
            let own = own.ok_or(Nowhere::Removed)?;
            Addressed {
                url: own.url.clone(),
                secrets: match own.signed_by {
                    Signer::Job => secrets.of_job.iter().cloned().collect(),
                    Signer::Tenant => secrets.of_tenant.clone(),
                },
                failing: None,
            }
        }
        Target::Tenant(id) => {
            let item = hooks.find(id).ok_or(Nowhere::Removed)?;
            if item.disabled.is_some() {
                return Err(Nowhere::Disabled);
            }
            Addressed {
                url: item.url.clone(),
                secrets: secrets.of_tenant.clone(),
                failing: Some(failing_name(&manifest.job.tenant, id)),
            }
        }
    };
    if addressed.secrets.is_empty() {
        return Err(Nowhere::Unsigned);
    }
    Ok(addressed)
}
