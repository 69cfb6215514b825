//! Where the messages about an end go: which webhooks are told of which ends, what signs for them, and who else is called.

mod address;
mod secret;
mod target;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::JobStatus;
use crate::pointer::{self, Fault};

pub use address::{EndpointUrl, URL_MAX, host_of};
pub use secret::SigningSecret;
pub use target::{Hook, Line, Target, UnknownTarget};

/// How a job ended, as a webhook is told of it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
pub enum Ending {
    #[serde(rename = "job.completed")]
    Completed,
    #[serde(rename = "job.failed")]
    Failed,
    #[serde(rename = "job.cancelled")]
    Cancelled,
    #[serde(rename = "job.expired")]
    Expired,
}

impl Ending {
    /// Every ending, in the order of the docs.
    pub const ALL: [Self; 4] = [
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// None while the job is live.
    pub fn of(status: JobStatus) -> Option<Self> {
        match status {
            JobStatus::Queued | JobStatus::Processing => None,
            JobStatus::Completed => Some(Self::Completed),
            JobStatus::Failed => Some(Self::Failed),
            JobStatus::Cancelled => Some(Self::Cancelled),
            JobStatus::Expired => Some(Self::Expired),
        }
    }

    /// The `type` of its message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "job.completed",
            Self::Failed => "job.failed",
            Self::Cancelled => "job.cancelled",
            Self::Expired => "job.expired",
        }
    }
}

/// The code stands where a test looks for it.
fn wrong(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Fault {
    Fault {
        pointer: pointer.into(),
        code,
        detail: detail.into(),
    }
}

/// The endings that a webhook is told of: at least one, each once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Endings(Vec<Ending>);

impl Default for Endings {
    fn default() -> Self {
        Self(Ending::ALL.into())
    }
}

impl Endings {
    /// A list of names.
    pub fn parse(value: &Value) -> Result<Self, Vec<Fault>> {
        let Value::Array(items) = value else {
            let detail = "The events must be a list of strings.";
            return Err(vec![wrong("", "wrong_type", detail)]);
        };
        let mut faults = Vec::new();
        if items.is_empty() {
            faults.push(wrong("", "too_short", "There must be at least one event."));
        }
        if items.len() > Ending::ALL.len() {
            faults.push(wrong("", "too_many", "There are four events."));
            return Err(faults);
        }
        let mut endings = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let known = Ending::ALL.into_iter().find(|e| *item == e.as_str());
            match known {
                Some(ending) => endings.push(ending),
                None => {
                    let detail =
                        "An event is job.completed, job.failed, job.cancelled or job.expired.";
                    faults.push(wrong(format!("/{index}"), "unknown_value", detail));
                }
            }
        }
        endings.sort();
        endings.dedup();
        if faults.is_empty() {
            Ok(Self(endings))
        } else {
            Err(faults)
        }
    }

    /// Whether it is told of this one.
    pub fn include(&self, ending: Ending) -> bool {
        self.0.contains(&ending)
    }

    /// In the order of the docs.
    pub fn as_slice(&self) -> &[Ending] {
        &self.0
    }
}

/// A webhook of one job, as its submission asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub url: EndpointUrl,
    #[serde(default)]
    pub events: Endings,
    #[serde(default)]
    pub signed_by: Signer,
    /// Its own secret, while it is being submitted: it is stored apart.
    #[serde(skip)]
    pub secret: Option<SigningSecret>,
}

/// Whose secrets sign the messages to a job's webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signer {
    /// The one that came with the submission.
    Job,
    #[default]
    Tenant,
}

impl Endpoint {
    /// Reads `{url, events?, secret?}`, all faults at once; `null` counts as absent. `plain`: `http` will do.
    pub fn parse(value: Value, plain: bool) -> Result<Self, Vec<Fault>> {
        let Value::Object(mut fields) = value else {
            let detail = "The webhook must be an object.";
            return Err(vec![wrong("", "wrong_type", detail)]);
        };
        let mut faults = Vec::new();
        let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_null());
        let url = match take("url").map(|value| EndpointUrl::parse(&value, plain)) {
            None => Err(wrong("", "required", "The address is missing.")),
            Some(parsed) => parsed,
        };
        let url = url.map_err(|fault| faults.push(fault.within("url"))).ok();
        let events = take("events").map_or(Ok(Endings::default()), |value| Endings::parse(&value));
        let events = events
            .map_err(|all| faults.extend(all.into_iter().map(|fault| fault.within("events"))))
            .ok();
        let secret = take("secret").map(|value| SigningSecret::parse(&value));
        let secret = secret
            .transpose()
            .map_err(|fault| faults.push(fault.within("secret")))
            .ok();
        let unknown = fields.into_iter().map(|(name, _)| pointer::of(&name));
        faults.extend(unknown.map(|at| wrong(at, "unknown_field", "There is no such field.")));
        match (url, events, secret, faults.is_empty()) {
            (Some(url), Some(events), Some(secret), true) => Ok(Self {
                url,
                events,
                signed_by: match secret {
                    Some(_) => Signer::Job,
                    None => Signer::Tenant,
                },
                secret,
            }),
            _ => Err(faults),
        }
    }
}

#[cfg(test)]
mod tests;
