//! The secrets that sign the messages of one job, read from where they lie.

use chrono::Utc;

use super::register::Hooks;
use crate::clients::Clients;
use crate::endpoint::{Endpoint, Signer, SigningSecret};
use crate::envelope::Manifest;
use crate::lookup::Unreachable;

/// What signs now.
pub(super) struct Secrets {
    /// The one of the job's own webhook, if it has one.
    pub(super) of_job: Option<SigningSecret>,
    /// Those of its tenant, the newest first.
    pub(super) of_tenant: Vec<SigningSecret>,
}

impl Secrets {
    /// Asks the store.
    pub(super) async fn read(
        clients: &Clients,
        manifest: &Manifest,
        hooks: &Hooks,
    ) -> Result<Self, Unreachable> {
        let (store, job) = (&clients.store, &manifest.job);
        let signs_itself = |hook: &Endpoint| hook.signed_by == Signer::Job;
        let webhook = manifest.request.submission.webhook.as_ref();
        let of_job = match webhook.is_some_and(signs_itself) {
            true => store.job_secret(job.id).await?,
            false => None,
        };
        let mut of_tenant = Vec::new();
        for secret in hooks.in_force(Utc::now()) {
            of_tenant.extend(store.tenant_secret(&job.tenant, secret.id).await?);
        }
        Ok(Self { of_job, of_tenant })
    }
}
