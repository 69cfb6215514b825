//! What the store proves before anything is run: a Redis that was rolled back may ask for a job that has ended.

use shared::envelope::Manifest;
use shared::job::{JobError, JobStatus};
use shared::lookup::Unreachable;
use shared::queue::{Debt, Held, Next, Spent};
use shared::settle;
use shared::stage::Stage;

use crate::run::Work;

/// A manifest of this generation is the last word: Redis is told, and nothing runs.
pub(crate) async fn already_ended(work: &Work<'_>) -> Result<Option<Debt>, Unreachable> {
    let (queue, holder) = (&work.clients.queue, &work.holder);
    let Some(manifest) = work.clients.store.manifest::<Manifest>(work.job.id).await? else {
        return Ok(None);
    };
    if manifest.job.generation != work.job.generation {
        return Ok(None);
    }
    tracing::warn!(status = %manifest.job.status, "the job had ended before Redis forgot it");
    let debt = match (manifest.track, manifest.error) {
        (Some(track), _) => {
            let answer = queue
                .advance(holder, Stage::Finish, Spent::default())
                .await?;
            settle::pay(work.clients, answer.debt, None).await;
            if answer.outcome == Held::Stale {
                return Ok(Some(Debt::default()));
            }
            queue.complete(holder, &track, Spent::default()).await?.debt
        }
        (None, error) if manifest.job.status == JobStatus::Failed => {
            let error = error
                .map(|e| JobError {
                    retryable: false,
                    ..e
                })
                .unwrap_or_else(|| JobError {
                    code: "failed".to_owned(),
                    message: "The job had failed.".to_owned(),
                    stage: work.job.stage,
                    retryable: false,
                });
            let fence = Some(&holder.fence);
            let delay = std::time::Duration::ZERO;
            queue
                .fail(
                    work.job.id,
                    fence,
                    &error,
                    delay,
                    Next::default(),
                    Spent::default(),
                )
                .await?
                .debt
        }
        (None, _) => {
            queue
                .cancel(work.job.id, manifest.job.status.as_str())
                .await?
                .debt
        }
    };
    Ok(Some(debt))
}
