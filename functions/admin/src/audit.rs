//! What operators did. An entry is kept before its action: what cannot be put on record is not done.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::http::RequestId;
use shared::lookup::Unreachable;
use uuid::Uuid;

/// `audit/<when>-<id>.json`: one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub(crate) struct Entry {
    #[schema(value_type = String, format = "uuid")]
    pub(crate) id: Uuid,
    pub(crate) at: DateTime<Utc>,
    /// The token's `sub`.
    pub(crate) who: String,
    /// `queue.pause`, `queue.resume`, `queue.slots`, `tenant.change`, `job.cancel`, `job.retry`, `job.priority`, `dead.redrive`.
    pub(crate) action: String,
    /// A job id, a tenant, or `queue`.
    pub(crate) target: String,
    pub(crate) before: Value,
    pub(crate) after: Value,
    pub(crate) request_id: String,
}

/// An operator at work: who, and in which request.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) who: String,
    pub(crate) request_id: String,
}

impl Operator {
    pub(crate) fn new(caller: &Caller, id: RequestId) -> Self {
        Self {
            who: caller.sub.clone(),
            request_id: id.0,
        }
    }

    /// Puts an action on record.
    pub(crate) async fn record(
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
        tracing::info!(action, target, before = %entry.before, after = %entry.after, "an operator acted");
        Ok(())
    }
}
