//! The secrets that sign a message, read from where they lie.

use chrono::Utc;

use super::register::{Hooks, hooks};
use crate::clients::Clients;
use crate::endpoint::{Hook, Signer, SigningSecret};
use crate::envelope::Manifest;
use crate::job::TenantId;
use crate::lookup::Unreachable;

/// The webhooks of a job's tenant, and what signs a message to this one of them now, the newest first.
pub(crate) async fn hooks_and_secrets(
    clients: &Clients,
    hook: Hook,
    manifest: &Manifest,
) -> Result<(Hooks, Vec<SigningSecret>), Unreachable> {
    let job = &manifest.job;
    let hooks = hooks(clients, &job.tenant).await?;
    let own = manifest.request.submission.webhook.as_ref();
    if hook == Hook::Job && own.is_some_and(|own| own.signed_by == Signer::Job) {
        let secret = clients.store.job_secret(job.id).await?;
        return Ok((hooks, secret.into_iter().collect()));
    }
    of_tenant(clients, &job.tenant, hooks).await
}

/// The secrets that these webhooks name. Where one is missing, it may have been replaced since the webhooks were read: they are read
/// again, until all that they name is there, or they stand as before.
async fn of_tenant(
    clients: &Clients,
    tenant: &TenantId,
    mut known: Hooks,
) -> Result<(Hooks, Vec<SigningSecret>), Unreachable> {
    loop {
        let (mut found, mut missing) = (Vec::new(), false);
        for secret in known.in_force(Utc::now()) {
            let stored = clients.store.tenant_secret(tenant, secret.id).await?;
            missing |= stored.is_none();
            found.extend(stored);
        }
        if !missing {
            return Ok((known, found));
        }
        let now = hooks(clients, tenant).await?;
        if now == known {
            return Ok((known, found));
        }
        known = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::super::register::Secret;
    use super::*;
    use crate::config::Config;

    /// The tenant's secret is replaced at once, and what was replaced is removed.
    async fn rotate(clients: &Clients, tenant: &TenantId, hooks: &mut Hooks, revision: u64) {
        let store = &clients.store;
        for old in &hooks.secrets {
            store.remove_tenant_secret(tenant, old.id).await.unwrap();
        }
        let fresh = SigningSecret::make().unwrap();
        let secret = Secret {
            id: Uuid::now_v7(),
            fresh: None,
            created_at: Utc::now(),
            expires_at: None,
        };
        let stored = store.put_tenant_secret(tenant, secret.id, &fresh);
        stored.await.unwrap();
        assert!(hooks.rotate(secret, Duration::ZERO));
        let name = ["webhooks", tenant.as_str()];
        store.put_setting(&name, revision, hooks).await.unwrap();
    }

    #[tokio::test]
    async fn a_secret_replaced_since_the_webhooks_were_read_is_looked_up_again() {
        let dir = std::env::temp_dir().join(format!("signing-{}", Uuid::now_v7()));
        let artifacts = format!("file://{}", dir.display());
        let read = |name: &str| match name {
            "REDIS_URL" => Some("redis://127.0.0.1:1".to_owned()),
            "ARTIFACTS_URL" => Some(artifacts.clone()),
            "JWT_SECRET" => Some("a-secret-of-more-than-thirty-two-bytes".to_owned()),
            _ => None,
        };
        let clients = Clients::new(Config::read(read).unwrap()).unwrap();
        let (tenant, mut hooks) = (TenantId::new("a"), Hooks::default());
        rotate(&clients, &tenant, &mut hooks, 1).await;
        let before = hooks.clone();
        rotate(&clients, &tenant, &mut hooks, 2).await;
        let (now, secrets) = of_tenant(&clients, &tenant, before).await.unwrap();
        assert_eq!((&now, secrets.len()), (&hooks, 1));

        // The settings stand, and what they name is not there: nothing can sign.
        let gone = hooks.secrets[0].id;
        let removed = clients.store.remove_tenant_secret(&tenant, gone);
        removed.await.unwrap();
        let (now, secrets) = of_tenant(&clients, &tenant, hooks).await.unwrap();
        assert_eq!((now.secrets.len(), secrets.len()), (1, 0));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
