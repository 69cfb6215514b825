//! Notes of what is owed, some pages in each round in which Redis has forgotten nothing: what stayed behind is removed, and what waited for room
//! comes into its line.

use futures_util::stream::{self, StreamExt};
use shared::clients::Clients;
use shared::delivery;
use shared::lookup::Unreachable;

use crate::bookmark::Bookmark;
use crate::faults::Faults;

/// Jobs of one page, in one call to Redis.
const PAGE: usize = 250;
/// Pages of one round: what waits for room comes in as fast as a receiver that answers again takes it.
const PAGES: usize = 8;
/// Jobs whose notes are looked at in the store at the same time.
const LOOKS: usize = 16;

/// Looks at the next jobs that owe something.
pub(crate) async fn go(
    clients: &Clients,
    bookmark: &Bookmark,
    faults: &Faults,
) -> Result<(), Unreachable> {
    for _ in 0..PAGES {
        page(clients, bookmark, faults).await?;
        if bookmark.get().is_none() {
            break;
        }
    }
    Ok(())
}

async fn page(clients: &Clients, bookmark: &Bookmark, faults: &Faults) -> Result<(), Unreachable> {
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
