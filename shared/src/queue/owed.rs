//! What the scripts about owed messages take and answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::endpoint::{Ending, Target};
use crate::envelope::DueName;
use crate::job::JobId;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is on its way, or tried again at `nextAt`.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It will not be tried again by itself.
    GivenUp,
    /// The endpoint is disabled or gone.
    Disabled,
}

/// A message that is the caller's for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct LeasedMessage {
    pub id: JobId,
    /// Of the end that it is about.
    pub generation: u32,
    pub event: Ending,
    pub target: Target,
    /// Tells this lease from an earlier one.
    pub take: u32,
    /// Calls before this one.
    pub tries: u32,
}

/// Names of the objects of one job that note what is owed, and are not needed any more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Over {
    pub id: JobId,
    pub names: Vec<DueName>,
}

/// What Redis knows of the objects that note what one job owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Of the newest end that it was told of.
    pub generation: u32,
    /// Objects that are still needed.
    pub names: Vec<DueName>,
}

/// Answer of `dispatch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Turn {
    pub messages: Vec<LeasedMessage>,
    /// Messages that were given up because their time is over.
    pub late: Vec<LateMessage>,
    pub over: Vec<Over>,
}

/// A message whose time was over before it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct LateMessage {
    pub id: JobId,
    pub target: Target,
}

/// What a call showed of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HostSign {
    Answered,
    Failed,
}

/// What became of a message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody was called, for a fault of our own: it is due again after that time.
    Returned(Duration),
    /// It was called, or cannot be.
    Tried {
        state: DeliveryState,
        /// Until the next try, where it is pending.
        again: Duration,
        /// Where it went, as it may be shown.
        url: Option<String>,
        /// The name under which the endpoint's failures are counted.
        failing: Option<String>,
        took: Duration,
        status: Option<u16>,
        reason: Option<String>,
        /// None where nobody was called.
        host: Option<HostSign>,
    },
}

impl Outcome {
    /// When the message is due again, if it is.
    pub fn again(&self) -> Option<Duration> {
        match self {
            Self::Returned(again) => Some(*again),
            Self::Tried { state, again, .. } => {
                (*state == DeliveryState::Pending).then_some(*again)
            }
        }
    }

    /// The receiver answered that it wants no more.
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Tried {
                state: DeliveryState::Disabled,
                status: Some(_),
                ..
            }
        )
    }
}

/// Answer of `owe`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Owed {
    Ok {
        /// Messages of the job that are not over.
        pending: u32,
        /// Objects that are not needed any more.
        #[serde(default)]
        over: Vec<DueName>,
        /// Messages whose lines have no room.
        #[serde(default)]
        left: Vec<Target>,
    },
    /// The job ended anew since.
    Stale,
}

/// Answer of `delivered`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Delivered {
    Ok {
        /// Objects that are not needed any more: nothing of the job is owed.
        #[serde(default)]
        over: Vec<DueName>,
        /// How long the endpoint has failed without a success.
        #[serde(default)]
        failing_ms: Option<u64>,
        /// How long the line rests now.
        #[serde(default)]
        rest_ms: Option<u64>,
    },
    /// Somebody else took it since, the job ended anew, or was deleted.
    Stale,
}

/// Answer of `redeliver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Redelivered {
    Ok,
    /// Too often.
    Limited {
        retry_ms: u64,
    },
    /// The job ended anew, or its messages are forgotten.
    Unknown,
}
