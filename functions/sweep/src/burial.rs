//! What is left of deleted jobs once nothing can be put for them any more: late objects, the
//! tombstone, and the claim on their `Idempotency-Key`.

use chrono::{TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};
use shared::burial::{self, Burial};
use shared::clients::Clients;
use shared::reconcile::Faults;
use shared::store::StoreError;

use crate::bookmark::Bookmark;

/// Tombstones of one round, and how many are looked at at the same time.
const PAGE: usize = 500;
const LOOKS: usize = 16;
/// A signed upload is open for 12 hours: later nothing can come any more.
const LATEST_UPLOAD: TimeDelta = TimeDelta::hours(13);

/// Looks at one page of tombstones. Returns how many jobs are forgotten for good.
pub(crate) async fn go(
    clients: &Clients,
    bookmark: &Bookmark,
    faults: &Faults,
) -> Result<usize, StoreError> {
    let page = clients.store.tombstone_page(bookmark.get(), PAGE).await?;
    faults.misnamed("deleted", page.misnamed);
    let page = page.entries;
    let last = page.last().filter(|_| page.len() == PAGE);
    bookmark.set(last.map(|(id, _)| *id));
    let now = Utc::now();
    let old = page
        .into_iter()
        .filter(|(_, died)| now - *died >= LATEST_UPLOAD);
    let looks = stream::iter(old).map(|(id, _)| async move {
        match burial::go_on(clients, id, now).await {
            Ok(burial) => usize::from(burial == Burial::Over),
            Err(error) => {
                tracing::warn!(job_id = %id, error = %error, "what is left of a deleted job stays for now");
                0
            }
        }
    });
    let buried: Vec<_> = looks.buffer_unordered(LOOKS).collect().await;
    Ok(buried.iter().sum())
}
