//! What the store proves before anything is run: a Redis that was rolled back may ask for a job that has ended.

use shared::envelope::Manifest;
use shared::lookup::{self, Unreachable};
use shared::queue::Debt;

use crate::run::Work;

/// A manifest of this generation or a later one is the last word: Redis is told, and nothing runs.
pub(crate) async fn already_ended(work: &Work<'_>) -> Result<Option<Debt>, Unreachable> {
    let (id, generation) = (work.job.id, work.job.generation);
    let manifest = work
        .clients
        .store
        .manifest_since::<Manifest>(id, generation)
        .await?;
    match manifest {
        Some(manifest) => Ok(Some(lookup::adopt(work.clients, &manifest).await?)),
        None => Ok(None),
    }
}
