//! Messages that waited for room in Redis, brought in where there is some.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use futures_util::stream::{self, StreamExt};
use shared::clients::Clients;
use shared::delivery;
use shared::lookup::Unreachable;

/// Lines of one round, drawn by lot: one that stays full keeps no other out.
const LINES: usize = 64;
/// Lines that are served at the same time.
const AT_ONCE: usize = 8;

/// Brings in what waits; returns of how many jobs.
pub(crate) async fn go(clients: &Clients) -> Result<u32, Unreachable> {
    let mut lines = clients.store.waiting_lines().await?;
    fastrand::shuffle(&mut lines);
    lines.truncate(LINES);
    let brought = AtomicU32::new(0);
    let served = stream::iter(lines).map(async |line| {
        match delivery::bring(clients, &line).await {
            Ok(jobs) => {
                brought.fetch_add(jobs, Relaxed);
            }
            // The others' messages have nothing to do with it.
            Err(error) => tracing::warn!(error = %error, "messages wait on for room"),
        }
    });
    let () = served.buffer_unordered(AT_ONCE).collect().await;
    Ok(brought.into_inner())
}
