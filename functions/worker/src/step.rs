//! What a stage comes to. The stage decides; `run` makes the transition.

use std::time::Duration;

use shared::job::JobError;
use shared::lookup::Unreachable;
use shared::models::{Fault, ModelError};
use shared::queue::{Cause, Next};
use shared::stage::Stage;
use shared::track::Track;

/// The end of one stage of one attempt.
pub(crate) enum Step {
    /// Done and stored: go on with the next stage.
    Done,
    /// The model service works on it and will report.
    Parked,
    /// The track is stored.
    Complete(Box<Track>),
    /// Not now: no attempt is used up.
    GiveBack { delay: Duration, reason: String },
    /// The attempt failed.
    Failed {
        error: JobError,
        cause: Cause,
        change: Next,
    },
}

/// Why a stage has no step: its own means failed, not the job.
pub(crate) type Stepped = Result<Step, Unreachable>;

impl Step {
    pub(crate) fn failed(stage: Stage, code: &str, message: &str, retryable: bool) -> Self {
        let error = JobError {
            code: code.to_owned(),
            message: message.to_owned(),
            stage,
            retryable,
        };
        Self::Failed {
            error,
            cause: Cause::Passing,
            change: Next::default(),
        }
    }

    /// The same step, whose failure has this cause.
    pub(crate) fn caused_by(mut self, nature: Cause) -> Self {
        if let Self::Failed { cause, .. } = &mut self {
            *cause = nature;
        }
        self
    }

    /// A service that is busy, or known to be down, costs no attempt; every other fault does.
    pub(crate) fn of_fault(stage: Stage, error: &ModelError) -> Self {
        tracing::warn!(error = %error, code = error.code(), "the model service did not deliver");
        match error.fault {
            Fault::Busy { retry_after } => Self::GiveBack {
                delay: retry_after,
                reason: error.code(),
            },
            Fault::Down { wait } => Self::GiveBack {
                delay: wait,
                reason: error.code(),
            },
            _ => Self::failed(stage, &error.code(), &error.message(), error.is_retryable()),
        }
    }
}
