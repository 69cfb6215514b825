//! What a model service says of a job that it holds: progress and delivery. Its failure is `fail`, as a worker's is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::{Fence, JobId, Progress, RenderKey};
use crate::queue::{Answer, Queue, QueueError, Spent, millis, scripts};
use crate::stage::Stage;

/// Answer of `progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Heartbeat {
    Ok,
    /// Of an attempt that is over.
    Stale,
    /// The job has ended.
    Ended,
    Unknown,
}

/// Answer of `report`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Reported {
    /// Taken: the next stage is due.
    Ok,
    /// It was taken before; nothing changed.
    Repeat,
    /// The job asks for another render now.
    WrongRender,
    /// A role token speaks, and no model holds the job.
    NotParked,
    /// The job ended without a track.
    Ended,
    Unknown,
}

impl Queue {
    /// A heartbeat, with or without figures: the model may be silent for another `deadline`. No fence: by a role token. Figures show at
    /// once, and are an event no faster than the policy says.
    pub async fn progress(
        &self,
        id: JobId,
        fence: Option<&Fence>,
        progress: Option<&Progress>,
        deadline: Duration,
        usage: Spent,
    ) -> Result<Answer<Heartbeat>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            #[serde(skip_serializing_if = "Option::is_none")]
            fence: Option<&'a Fence>,
            #[serde(skip_serializing_if = "Option::is_none")]
            progress: Option<&'a Progress>,
            deadline_ms: u64,
            usage: Spent,
        }
        self.call(
            &scripts::PROGRESS,
            &Args {
                id,
                fence,
                progress,
                deadline_ms: millis(deadline),
                usage,
            },
        )
        .await
    }

    /// `stage` was delivered under `render`, and what was delivered is stored. No render key: by a role token.
    pub async fn report(
        &self,
        id: JobId,
        stage: Stage,
        render: Option<&RenderKey>,
        usage: Spent,
    ) -> Result<Answer<Reported>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            id: JobId,
            stage: Stage,
            #[serde(skip_serializing_if = "Option::is_none")]
            render: Option<&'a RenderKey>,
            usage: Spent,
        }
        let args = Args {
            id,
            stage,
            render,
            usage,
        };
        self.call(&scripts::REPORT, &args).await
    }
}
