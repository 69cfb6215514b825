//! What operators did. The intent is stored before an act and becomes an entry when the act changed
//! something: what cannot be put on record is not done, what changed nothing leaves no entry, and
//! an act whose process died is put on record by the sweep.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::caller::Caller;
use crate::clients::Clients;
use crate::http::RequestId;
use crate::identity::{Account, User};
use crate::job::{JobRecord, JobStatus, sha256_hex};
use crate::lookup::Unreachable;
use crate::priority::Priority;
use crate::problem::Problem;
use crate::view::Known;

/// An intent this old belongs to a process that is gone: no request lives as long.
const ABANDONED: Duration = Duration::from_secs(120);
/// Abandoned intents that one round puts on record.
const PAGE: usize = 100;

/// `audit/<when>-<id>.json`: one act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub struct Entry {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub at: DateTime<Utc>,
    /// The token's `sub`; `configuration` for what the configuration asks for, `delivery` for what a webhook brought about itself.
    pub who: String,
    /// `queue.pause`, `queue.resume`, `queue.slots`, `tenant.change`, `job.cancel`, `job.retry`,
    /// `job.priority`, `job.delete`, `job.redeliver`, `job.read`, `job.audio`, `job.list`,
    /// `user.create`, `user.change`, `service_token.create`, `service_token.revoke`,
    /// `webhook.create`, `webhook.change`, `webhook.delete`, `webhook.secret`, `webhook.disable`.
    pub action: String,
    /// A job's, a user's or a token's id, a tenant, or `queue`.
    pub target: String,
    pub before: Value,
    pub after: Value,
    pub request_id: String,
    pub outcome: Outcome,
}

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditOutcome)]
pub enum Outcome {
    Done,
    /// Its process died, or lost what it was talking to, before it could tell.
    Unknown,
}

/// Whether an act changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect<T> {
    Changed(T),
    Unchanged(T),
}

impl<T> Effect<T> {
    /// What the act answers, changed or not.
    pub fn into_inner(self) -> T {
        match self {
            Self::Changed(answer) | Self::Unchanged(answer) => answer,
        }
    }
}

/// What an operator is about to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    pub action: &'static str,
    pub target: String,
    pub before: Value,
    pub after: Value,
}

impl Act {
    /// Something that is not a job's.
    pub fn new(
        action: &'static str,
        target: impl ToString,
        before: impl Serialize,
        after: impl Serialize,
    ) -> Self {
        let value = |v: Result<Value, serde_json::Error>| v.unwrap_or(Value::Null);
        Self {
            action,
            target: target.to_string(),
            before: value(serde_json::to_value(before)),
            after: value(serde_json::to_value(after)),
        }
    }

    /// Ends a job.
    pub fn cancel(job: &JobRecord) -> Self {
        let after = json!({"status": JobStatus::Cancelled});
        Self::new("job.cancel", job.id, status(job), after)
    }

    /// Starts an ended job afresh.
    pub fn retry(known: &Known) -> Self {
        let code = known.error.as_ref().map(|error| &error.code);
        let before = json!({"status": known.job.status, "error": code});
        let after = json!({"status": JobStatus::Queued});
        Self::new("job.retry", known.job.id, before, after)
    }

    /// Moves a job to another level.
    pub fn reprioritise(known: &Known, priority: Priority) -> Self {
        let (before, after) = (known.job.priority, priority);
        let (before, after) = (json!({"priority": before}), json!({"priority": after}));
        Self::new("job.priority", known.job.id, before, after)
    }

    /// Removes a job.
    pub fn delete(known: &Known) -> Self {
        Self::new("job.delete", known.job.id, status(&known.job), Value::Null)
    }

    /// Sends a job's messages again.
    pub fn redeliver(known: &Known, message: Option<&str>) -> Self {
        let after = json!({ "message": message });
        Self::new("job.redeliver", known.job.id, Value::Null, after)
    }

    /// Makes or changes a user; of a password only that it was changed.
    pub fn user(action: &'static str, before: Option<&Account>, after: &Account) -> Self {
        let mut shown = serde_json::to_value(User::from(after)).unwrap_or(Value::Null);
        if before.is_some_and(|before| before.password_hash != after.password_hash) {
            shown["password"] = Value::from("changed");
        }
        Self::new(action, after.id, before.map(User::from), shown)
    }
}

fn status(job: &JobRecord) -> Value {
    json!({"status": job.status})
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

    /// Acts, and puts it on record if it changed anything. The log has what was done to what; who
    /// and how is in the record alone.
    pub async fn act<T>(
        &self,
        clients: &Clients,
        act: Act,
        change: impl Future<Output = Result<Effect<T>, Problem>>,
    ) -> Result<T, Problem> {
        let entry = self.entry(act);
        let store = &clients.store;
        let intended = store.put_intent(entry.id, &entry).await;
        intended.map_err(Unreachable::from)?;
        match change.await {
            Ok(Effect::Changed(answer)) => {
                tracing::info!(
                    action = entry.action,
                    target = entry.target,
                    "an operator acted"
                );
                conclude(clients, &entry).await;
                Ok(answer)
            }
            Ok(Effect::Unchanged(answer)) => {
                abandon(clients, &entry).await;
                Ok(answer)
            }
            // It may have been done: the sweep puts it on record as such.
            Err(problem) if problem.status().is_server_error() => Err(problem),
            Err(problem) => {
                abandon(clients, &entry).await;
                Err(problem)
            }
        }
    }

    /// Puts on record that somebody else's work is about to be shown: once an hour for each of
    /// these, at the beginning of the hour.
    pub async fn look(
        &self,
        clients: &Clients,
        action: &'static str,
        target: &str,
    ) -> Result<(), Problem> {
        let now = Utc::now();
        let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
        let act = Act::new(action, target, Value::Null, Value::Null);
        let named = format!("{}\n{action}\n{target}\n{hour}", self.who);
        let entry = Entry {
            id: uuid_from(&named),
            at: now,
            ..self.entry(act)
        };
        let kept = clients.store.put_audit(entry.id, hour, &entry).await;
        kept.map_err(Unreachable::from)?;
        Ok(())
    }

    fn entry(&self, act: Act) -> Entry {
        Entry {
            id: Uuid::now_v7(),
            at: Utc::now(),
            who: self.who.clone(),
            action: act.action.to_owned(),
            target: act.target,
            before: act.before,
            after: act.after,
            request_id: self.request_id.clone(),
            outcome: Outcome::Done,
        }
    }
}

/// The act changed something. What cannot be said of it now is said by the sweep, since the intent
/// stays.
async fn conclude(clients: &Clients, entry: &Entry) {
    if let Err(error) = keep(clients, entry).await {
        tracing::warn!(error = %error, "an entry of the audit log is left to the sweep");
    }
}

async fn keep(clients: &Clients, entry: &Entry) -> Result<(), Unreachable> {
    let store = &clients.store;
    store.put_audit(entry.id, entry.at, entry).await?;
    Ok(store.remove_intent(entry.id).await?)
}

/// The act changed nothing.
async fn abandon(clients: &Clients, entry: &Entry) {
    if let Err(error) = clients.store.remove_intent(entry.id).await {
        tracing::warn!(error = %error, "an act that changed nothing will be on record as of unknown outcome");
    }
}

/// Puts acts on record whose process has gone without a word; returns how many.
pub async fn keep_abandoned(clients: &Clients) -> Result<usize, Unreachable> {
    let intents: Vec<Entry> = clients.store.intents(PAGE).await?;
    let abandoned = |entry: &Entry| {
        (Utc::now() - entry.at)
            .to_std()
            .is_ok_and(|age| age > ABANDONED)
    };
    let mut kept = 0;
    for entry in intents.into_iter().filter(abandoned) {
        let entry = Entry {
            outcome: Outcome::Unknown,
            ..entry
        };
        keep(clients, &entry).await?;
        tracing::warn!(
            action = entry.action,
            target = entry.target,
            "an operator acted, and nobody knows what came of it"
        );
        kept += 1;
    }
    Ok(kept)
}

/// The same id for the same text.
fn uuid_from(text: &str) -> Uuid {
    let digest = sha256_hex(text.as_bytes());
    let number = u128::from_str_radix(&digest[..32], 16).unwrap_or_default();
    uuid::Builder::from_random_bytes(number.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests;
