//! What the store knows of an acquired job before anything is run.

use shared::clients::Clients;
use shared::envelope::{Envelope, Manifest};
use shared::job::JobRecord;
use shared::lookup::{self, Unreachable};

/// What is to be done with an acquired job.
pub(crate) enum Opened {
    /// Its stages are to be run.
    Live(Box<Envelope>),
    /// It has ended, and a Redis that was rolled back forgot that.
    Ended(Box<Manifest>),
    /// Its request is gone: it was deleted while it waited.
    Deleted,
}

/// Reads the job's request, and its manifest: one of this generation or a later one is the last word.
pub(crate) async fn open(clients: &Clients, job: &JobRecord) -> Result<Opened, Unreachable> {
    let Some(request) = lookup::envelope(clients, job).await? else {
        // A bucket or a folder that is away has no request either.
        clients.store.ready().await?;
        return Ok(Opened::Deleted);
    };
    let ended = clients
        .store
        .manifest_since::<Manifest>(job.id, job.generation);
    Ok(match ended.await? {
        Some(manifest) => Opened::Ended(Box::new(manifest)),
        None => Opened::Live(Box::new(request)),
    })
}
