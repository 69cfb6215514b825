//! What the result cache answers.

use crate::clients::Clients;
use crate::envelope::{Envelope, Manifest};
use crate::lookup::Unreachable;
use crate::track::Track;

/// Whether the result cache would answer the request.
pub(super) async fn is_cached(clients: &Clients, request: &Envelope) -> bool {
    let Some(digest) = track_digest(request) else {
        return false;
    };
    matches!(
        clients.queue.cached(&request.tenant, &digest).await,
        Ok(Some(_))
    )
}

fn track_digest(request: &Envelope) -> Option<String> {
    request
        .submission
        .track_digest()
        .filter(|_| !request.no_cache)
}

/// The track that the same request made before. What goes wrong with it costs a render, no more.
pub(super) async fn cached_track(clients: &Clients, request: &Envelope) -> Option<Track> {
    let digest = track_digest(request)?;
    match shared_track(clients, request, &digest).await {
        Ok(track) => track,
        Err(error) => {
            tracing::warn!(error = %error, "the result cache could not be used");
            None
        }
    }
}

/// The file stays among the objects of the job that it was made for: a copy a job would be a copy a request.
async fn shared_track(
    clients: &Clients,
    request: &Envelope,
    digest: &str,
) -> Result<Option<Track>, Unreachable> {
    let store = &clients.store;
    let Some(earlier) = clients.queue.cached(&request.tenant, digest).await? else {
        return Ok(None);
    };
    let Some(manifest) = store.newest_manifest::<Manifest>(earlier).await? else {
        return Ok(None);
    };
    let (Some(track), Some(plan)) = (manifest.track, manifest.plan) else {
        return Ok(None);
    };
    store.put_plan_if_absent(request.id, &plan).await?;
    let home = track.home(earlier);
    store.share_tracks(home, request.id).await?;
    let source = Some(home);
    Ok(Some(Track { source, ..track }))
}
