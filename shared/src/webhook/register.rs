//! The webhooks of a tenant: its endpoints, and the secrets that sign for them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::audit::{Act, Effect, Operator};
use crate::clients::Clients;
use crate::endpoint::{Ending, Endings, EndpointUrl, SigningSecret};
use crate::job::TenantId;
use crate::lookup::Unreachable;
use crate::problem::Problem;
use crate::store::Put;

/// Endpoints of one tenant.
pub const ENDPOINTS_MAX: usize = 10;
/// Secrets of one tenant that sign at the same time.
pub const SECRETS_MAX: usize = 4;
/// Seconds that a secret goes on signing beside its successor, where nobody says how long.
pub const KEEP_DEFAULT: u64 = 24 * 3600;
/// The longest.
pub const KEEP_MAX: u64 = 30 * 24 * 3600;
/// The setting's name in the store.
const NAME: &str = "webhooks";
/// Of two who change it one is first; the other looks again.
const TRIES: usize = 8;
/// Tenants of one call.
const AT_A_TIME: usize = 500;

/// `config/webhooks/<tenant>`: all of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hooks {
    /// The oldest first.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    #[serde(default)]
    pub items: Vec<Registered>,
}

/// What is known of a secret. It is shown when it is made and never again, and lies apart in the
/// store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    pub id: Uuid,
    /// The secret itself, while it is new.
    #[serde(skip)]
    pub fresh: Option<SigningSecret>,
    pub created_at: DateTime<Utc>,
    /// It signs until then; the newest has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TenantWebhook)]
pub struct Registered {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    #[schema(value_type = String)]
    pub url: EndpointUrl,
    #[schema(value_type = Vec<Ending>)]
    pub events: Endings,
    /// While it is told of nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    pub created_at: DateTime<Utc>,
}

/// Why an endpoint is told of nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = WebhookDisabled)]
pub struct Disabled {
    pub at: DateTime<Utc>,
    /// One sentence.
    pub reason: String,
}

impl Hooks {
    /// The secrets that sign now, the newest first.
    pub fn in_force(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Secret> {
        let alive = move |secret: &&Secret| secret.expires_at.is_none_or(|end| end > now);
        self.secrets.iter().rev().filter(alive)
    }

    /// Adds a secret; the others sign for `keep` longer. False where that would be more than [`SECRETS_MAX`].
    pub fn rotate(&mut self, new: Secret, keep: Duration) -> bool {
        let now = new.created_at;
        let end = now + keep;
        self.secrets
            .retain(|old| !keep.is_zero() && old.expires_at.is_none_or(|end| end > now));
        for old in &mut self.secrets {
            old.expires_at = Some(old.expires_at.map_or(end, |known| known.min(end)));
        }
        self.secrets.push(new);
        self.secrets.len() <= SECRETS_MAX
    }

    /// The endpoint of this id.
    pub fn find(&self, id: Uuid) -> Option<&Registered> {
        self.items.iter().find(|item| item.id == id)
    }

    /// As it stands in the audit log: neither secrets nor queries.
    fn on_record(&self) -> serde_json::Value {
        let secrets = self.secrets.iter().map(|secret| {
            serde_json::json!({"id": secret.id, "createdAt": secret.created_at, "expiresAt": secret.expires_at})
        });
        let items = self.items.iter().map(|item| {
            let url = item.url.shown();
            serde_json::json!({"id": item.id, "url": url, "events": item.events, "disabled": item.disabled})
        });
        let (secrets, items): (Vec<_>, Vec<_>) = (secrets.collect(), items.collect());
        serde_json::json!({"secrets": secrets, "items": items})
    }
}

/// What a tenant has registered.
pub async fn hooks(clients: &Clients, tenant: &TenantId) -> Result<Hooks, Unreachable> {
    Ok(read(clients, tenant).await?.0)
}

/// The same; Redis knows who has nothing, so that the store is not asked at the end of each job.
pub(crate) async fn hooks_if_any(
    clients: &Clients,
    tenant: &TenantId,
) -> Result<Hooks, Unreachable> {
    let hooked = match clients.queue.is_hooked(tenant).await? {
        Some(hooked) => hooked,
        None => all_hooked(clients).await?.contains(tenant),
    };
    match hooked {
        true => hooks(clients, tenant).await,
        false => Ok(Hooks::default()),
    }
}

/// All tenants that ever had webhooks; Redis is told.
async fn all_hooked(clients: &Clients) -> Result<Vec<TenantId>, Unreachable> {
    let settings = clients.store.settings(NAME).await?;
    let names = settings
        .entries
        .keys()
        .filter_map(|name| name.strip_prefix(NAME));
    let tenants: Vec<_> = names
        .filter_map(|name| Some(TenantId::stored(name.strip_prefix('/')?)))
        .collect();
    for some in tenants.chunks(AT_A_TIME) {
        clients.queue.hook(some, false).await?;
    }
    clients.queue.hook(&[], true).await?;
    Ok(tenants)
}

async fn read(clients: &Clients, tenant: &TenantId) -> Result<(Hooks, u64), Unreachable> {
    let name = [NAME, tenant.as_str()];
    Ok(clients.store.newest_setting(&name).await?)
}

/// Changes it: on record, then stored. `change` may refuse, and is asked again when somebody else was quicker; what changes nothing is
/// not stored.
pub async fn change<T: Send>(
    clients: &Clients,
    operator: &Operator,
    action: &'static str,
    tenant: &TenantId,
    change: impl Fn(&mut Hooks) -> Result<T, Problem> + Send + Sync,
) -> Result<T, Problem> {
    // Before the change is stored, and after it: Redis may be emptied in between, and filled by somebody who did not see it.
    let hook = async || {
        let hooked = clients.queue.hook(std::slice::from_ref(tenant), false);
        hooked.await.map_err(Unreachable::from)
    };
    for _ in 0..TRIES {
        hook().await?;
        let (before, revision) = read(clients, tenant).await?;
        let mut after = before.clone();
        let done = change(&mut after)?;
        if after == before {
            return Ok(done);
        }
        let act = Act::new(action, tenant, before.on_record(), after.on_record());
        let name = [NAME, tenant.as_str()];
        let put = async {
            keep_fresh(clients, tenant, &after).await?;
            let put = clients.store.put_setting(&name, revision + 1, &after).await;
            Ok(match put.map_err(Unreachable::from)? {
                Put::Stored => Effect::Changed(Put::Stored),
                Put::Existed => Effect::Unchanged(Put::Existed),
            })
        };
        if operator.act(clients, act, put).await? == Put::Stored {
            forget_ended(clients, tenant, &before, &after).await;
            hook().await?;
            return Ok(done);
        }
    }
    let detail = "others are changing the same webhooks; try again";
    Err(Problem::unavailable(
        "setting_contended",
        detail,
        Duration::from_secs(1),
    ))
}

/// Stores the new secrets, before anything names them.
async fn keep_fresh(
    clients: &Clients,
    tenant: &TenantId,
    hooks: &Hooks,
) -> Result<(), Unreachable> {
    for secret in &hooks.secrets {
        if let Some(fresh) = &secret.fresh {
            clients
                .store
                .put_tenant_secret(tenant, secret.id, fresh)
                .await?;
        }
    }
    Ok(())
}

/// Removes the secrets that nothing names any more. What stays of them signs nothing.
async fn forget_ended(clients: &Clients, tenant: &TenantId, before: &Hooks, after: &Hooks) {
    let stays = |id: Uuid| after.secrets.iter().any(|secret| secret.id == id);
    for secret in before.secrets.iter().filter(|secret| !stays(secret.id)) {
        if let Err(error) = clients.store.remove_tenant_secret(tenant, secret.id).await {
            tracing::warn!(%tenant, secret = %secret.id, error = %error, "a secret that ended is still stored");
        }
    }
}

/// Tells an endpoint of nothing more, until an operator enables it again.
pub(crate) async fn disable(
    clients: &Clients,
    tenant: &TenantId,
    id: Uuid,
    reason: &str,
) -> Result<(), Problem> {
    let operator = Operator::delivery();
    let disabled = Disabled {
        at: Utc::now(),
        reason: reason.to_owned(),
    };
    change(clients, &operator, "webhook.disable", tenant, |hooks| {
        let found = hooks.items.iter_mut().find(|item| item.id == id);
        if let Some(item) = found.filter(|item| item.disabled.is_none()) {
            item.disabled = Some(disabled.clone());
        }
        Ok(())
    })
    .await
}

/// The name under which the failures of a tenant's endpoint are counted.
pub fn failing_name(tenant: &TenantId, id: Uuid) -> String {
    format!("{tenant}:{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(created_at: DateTime<Utc>) -> Secret {
        Secret {
            id: Uuid::now_v7(),
            fresh: Some(SigningSecret::make().unwrap()),
            created_at,
            expires_at: None,
        }
    }

    #[test]
    fn an_old_secret_signs_beside_the_new_one_for_as_long_as_was_said() {
        let (mut hooks, now) = (Hooks::default(), Utc::now());
        let (first, second) = (secret(now), secret(now));
        let hour = Duration::from_secs(3600);
        assert!(hooks.rotate(first.clone(), hour) && hooks.rotate(second.clone(), hour));
        let ids = |at| hooks.in_force(at).map(|s| s.id).collect::<Vec<_>>();
        assert_eq!(ids(now), [second.id, first.id]);
        assert_eq!(ids(now + hour), [second.id]);
    }

    #[test]
    fn a_second_change_does_not_lengthen_the_life_of_a_secret() {
        let (mut hooks, now) = (Hooks::default(), Utc::now());
        let minutes = |n: u64| Duration::from_secs(60 * n);
        hooks.rotate(secret(now), minutes(0));
        hooks.rotate(secret(now), minutes(1));
        hooks.rotate(secret(now), minutes(9));
        assert_eq!(hooks.secrets[0].expires_at, Some(now + minutes(1)));
        assert_eq!(hooks.secrets[1].expires_at, Some(now + minutes(9)));
    }

    #[test]
    fn four_sign_at_a_time_and_a_secret_that_leaked_is_gone_at_once() {
        let (mut hooks, now) = (Hooks::default(), Utc::now());
        let keep = Duration::from_secs(60);
        for _ in 0..SECRETS_MAX {
            assert!(hooks.rotate(secret(now), keep));
        }
        assert!(!hooks.clone().rotate(secret(now), keep), "a fifth");
        assert!(hooks.clone().rotate(secret(now + keep), keep), "they ended");
        let mut leaked = hooks.clone();
        assert!(leaked.rotate(secret(now), Duration::ZERO));
        assert_eq!(leaked.secrets.len(), 1);
    }

    #[test]
    fn the_record_holds_neither_secrets_nor_queries() {
        let (mut hooks, now) = (Hooks::default(), Utc::now());
        hooks.rotate(secret(now), Duration::ZERO);
        let url = serde_json::json!("https://example.com/a?token=hunter2");
        hooks.items.push(Registered {
            id: Uuid::now_v7(),
            url: EndpointUrl::parse(&url, false).unwrap(),
            events: Endings::default(),
            disabled: None,
            created_at: now,
        });
        let record = hooks.on_record().to_string();
        assert!(record.contains("https://example.com/a"), "{record}");
        assert!(
            !record.contains("hunter2") && !record.contains("whsec_"),
            "{record}"
        );
    }
}
