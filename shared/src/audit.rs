//! What operators did. An entry is kept before its action: what cannot be put on record is not done.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::caller::Caller;
use crate::clients::Clients;
use crate::http::RequestId;
use crate::identity::{Account, User};
use crate::lookup::Unreachable;

/// `audit/<when>-<id>.json`: one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub struct Entry {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub at: DateTime<Utc>,
    /// The token's `sub`; `configuration` for what the configuration asks for, `delivery` for what a webhook brought about itself.
    pub who: String,
    /// `queue.pause`, `queue.resume`, `queue.slots`, `tenant.change`, `job.cancel`, `job.retry`, `job.priority`, `dead.redrive`,
    /// `user.create`, `user.change`, `service_token.create`, `service_token.revoke`,
    /// `webhook.create`, `webhook.change`, `webhook.delete`, `webhook.secret`, `webhook.disable`.
    pub action: String,
    /// A job's, a user's or a token's id, a tenant, or `queue`.
    pub target: String,
    pub before: Value,
    pub after: Value,
    pub request_id: String,
}

/// An operator at work: who, and in which request.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The token's `sub`.
    pub who: String,
    request_id: String,
}

impl Operator {
    /// A caller who may steer.
    pub fn new(caller: &Caller, id: RequestId) -> Self {
        Self {
            who: caller.sub.clone(),
            request_id: id.0,
        }
    }

    /// Whoever wrote the configuration.
    pub(crate) fn configuration() -> Self {
        Self {
            who: "configuration".to_owned(),
            request_id: Uuid::now_v7().to_string(),
        }
    }

    /// Who delivers messages.
    pub(crate) fn delivery() -> Self {
        Self {
            who: "delivery".to_owned(),
            request_id: Uuid::now_v7().to_string(),
        }
    }

    /// Puts an action on record. The log has what was done to what; who and how is in the record alone.
    pub async fn record(
        &self,
        clients: &Clients,
        action: &str,
        target: &str,
        before: impl Serialize,
        after: impl Serialize,
    ) -> Result<(), Unreachable> {
        let value = |v: Result<Value, serde_json::Error>| v.unwrap_or(Value::Null);
        let entry = Entry {
            id: Uuid::now_v7(),
            at: Utc::now(),
            who: self.who.clone(),
            action: action.to_owned(),
            target: target.to_owned(),
            before: value(serde_json::to_value(before)),
            after: value(serde_json::to_value(after)),
            request_id: self.request_id.clone(),
        };
        clients.store.put_audit(entry.id, entry.at, &entry).await?;
        tracing::info!(action, target, "an operator acted");
        Ok(())
    }

    /// Puts on record what becomes of a user; of a password only that it was changed.
    pub async fn record_user(
        &self,
        clients: &Clients,
        action: &str,
        before: Option<&Account>,
        after: &Account,
    ) -> Result<(), Unreachable> {
        let mut shown = serde_json::to_value(User::from(after)).unwrap_or(Value::Null);
        if before.is_some_and(|before| before.password_hash != after.password_hash) {
            shown["password"] = Value::from("changed");
        }
        let target = after.id.to_string();
        let before = before.map(User::from);
        self.record(clients, action, &target, before, shown).await
    }
}
