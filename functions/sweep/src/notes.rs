//! Notes of what is owed that stayed behind: a page in each round in which Redis has forgotten nothing.

use futures_util::stream::{self, StreamExt};
use shared::clients::Clients;
use shared::delivery;
use shared::lookup::Unreachable;
use shared::reconcile::Faults;

use crate::bookmark::Bookmark;

/// Jobs of one round, in one call to Redis.
const PAGE: usize = 250;
/// Jobs whose notes are looked at in the store at the same time.
const LOOKS: usize = 16;

/// Looks at one page of the jobs that owe something, and removes what is over.
pub(crate) async fn go(
    clients: &Clients,
    bookmark: &Bookmark,
    faults: &Faults,
) -> Result<(), Unreachable> {
    let page = clients.store.due_page(bookmark.get(), PAGE).await?;
    faults.misnamed("due", page.misnamed);
    let page = page.entries;
    let ids: Vec<_> = page.keys().copied().collect();
    bookmark.set(ids.last().copied().filter(|_| ids.len() == PAGE));
    let known = clients.queue.noted(&ids).await?;
    let looks = stream::iter(page.into_iter().zip(known)).map(|((id, notes), known)| {
        let look = delivery::clear(clients, id, notes, known);
        faults.look(id, look)
    });
    let () = looks.buffer_unordered(LOOKS).collect().await;
    Ok(())
}
