//! Who is told of an end, and how a message gets there.

use super::register::{Hooks, failing_name};
use crate::endpoint::{Ending, EndpointUrl, Hook, SigningSecret};
use crate::envelope::Manifest;

/// The job's own webhook and the endpoints of its tenant that want to hear of this ending.
pub(crate) fn told_of(
    manifest: &Manifest,
    hooks: &Hooks,
    ending: Ending,
) -> Vec<(Hook, EndpointUrl)> {
    let own = manifest.request.submission.webhook.iter();
    let own = own.filter(|hook| hook.events.include(ending));
    let own = own.map(|hook| (Hook::Job, hook.url.clone()));
    let of_tenant = hooks
        .items
        .iter()
        .filter(|item| item.disabled.is_none() && item.events.include(ending))
        .map(|item| (Hook::Tenant(item.id), item.url.clone()));
    own.chain(of_tenant).collect()
}

/// Where a message goes, and what signs it.
pub(crate) struct Addressed {
    pub(crate) url: EndpointUrl,
    /// At least one.
    pub(crate) secrets: Vec<SigningSecret>,
    /// The name under which failures are counted; those of a job's own webhook are not.
    pub(crate) failing: Option<String>,
}

/// Why a message goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nowhere {
    Removed,
    Disabled,
    Unsigned,
}

impl Nowhere {
    /// One sentence.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Removed => "the endpoint was removed",
            Self::Disabled => "the endpoint is disabled",
            Self::Unsigned => "there is no secret to sign with",
        }
    }
}

/// As it is at this moment: an endpoint may have moved since the job ended.
pub(crate) fn address(
    hook: Hook,
    manifest: &Manifest,
    hooks: &Hooks,
    secrets: Vec<SigningSecret>,
) -> Result<Addressed, Nowhere> {
    let addressed = match hook {
        Hook::Job => {
            let own = manifest.request.submission.webhook.as_ref();
            let own = own.ok_or(Nowhere::Removed)?;
            Addressed {
                url: own.url.clone(),
                secrets,
                failing: None,
            }
        }
        Hook::Tenant(id) => {
            let item = hooks.find(id).ok_or(Nowhere::Removed)?;
            if item.disabled.is_some() {
                return Err(Nowhere::Disabled);
            }
            Addressed {
                url: item.url.clone(),
                secrets,
                failing: Some(failing_name(&manifest.job.tenant, id)),
            }
        }
    };
    if addressed.secrets.is_empty() {
        return Err(Nowhere::Unsigned);
    }
    Ok(addressed)
}
