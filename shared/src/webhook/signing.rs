//! The secrets that sign a message, read from where they lie.

use chrono::Utc;

use super::register::Hooks;
use crate::clients::Clients;
use crate::endpoint::{Hook, Signer, SigningSecret};
use crate::envelope::Manifest;
use crate::lookup::Unreachable;

/// Asks the store for what signs a message to this webhook now, the newest first.
pub(crate) async fn secrets(
    clients: &Clients,
    hook: Hook,
    manifest: &Manifest,
    hooks: &Hooks,
) -> Result<Vec<SigningSecret>, Unreachable> {
    let (store, job) = (&clients.store, &manifest.job);
    let own = manifest.request.submission.webhook.as_ref();
    if hook == Hook::Job && own.is_some_and(|own| own.signed_by == Signer::Job) {
        return Ok(store.job_secret(job.id).await?.into_iter().collect());
    }
    let mut found = Vec::new();
    for secret in hooks.in_force(Utc::now()) {
        found.extend(store.tenant_secret(&job.tenant, secret.id).await?);
    }
    Ok(found)
}
