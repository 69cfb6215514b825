//! The heartbeat of one run: it begins with the acquire and goes on to the last stage.

use std::pin::Pin;
use std::time::{Duration, Instant};

use shared::clients::Clients;
use shared::queue::{HEARTBEAT, Held, Holder, LEASE};

/// A holder that could not renew for this long stops before another can hold the job.
pub(crate) const SILENT: Duration = LEASE.saturating_sub(Duration::from_secs(5));

/// Renews the lease of one job while work under it is awaited.
pub(crate) struct Heartbeat<'a>(Pin<Box<dyn Future<Output = ()> + Send + 'a>>);

impl<'a> Heartbeat<'a> {
    /// Starts with the lease that the acquire has given.
    pub(crate) fn start(clients: &'a Clients, holder: &'a Holder) -> Self {
        Self(Box::pin(beat(clients, holder)))
    }

    /// Does the work. `None`: the job was lost on the way, and the work was dropped where it stood.
    pub(crate) async fn keep<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = &mut self.0 => None,
        }
    }
}

/// Returns when the job is no longer ours.
async fn beat(clients: &Clients, holder: &Holder) {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(HEARTBEAT.min(SILENT.saturating_sub(renewed.elapsed()))).await;
        match clients.queue.renew(holder).await {
            Ok(Held::Ok) => renewed = Instant::now(),
            Ok(Held::Stale) => return,
            Err(error) => {
                tracing::warn!(error = %error, "the lease could not be renewed");
                if renewed.elapsed() >= SILENT {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
