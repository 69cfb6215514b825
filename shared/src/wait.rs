//! Long polling: a caller waits until a job moves, for a bounded time and among a bounded number.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::clients::Clients;
use crate::job::{JobId, TenantId};
use crate::queue::{QueueError, Waiting};

/// The longest wait: API Gateway gives up after 30 s.
pub const WAIT_MAX: Duration = Duration::from_secs(25);
/// First and last interval between two looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(250));

/// What ends the wait early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The job ends.
    End,
    /// It has an event after this one, or ends.
    After(u64),
}

/// Returns when the job has moved, has gone, or the time is over; at once when too many wait already, of all or of this tenant.
pub async fn wait(
    clients: &Clients,
    id: JobId,
    tenant: &TenantId,
    until: Until,
    length: Duration,
) -> Result<(), QueueError> {
    let end = Instant::now() + length.min(WAIT_MAX);
    if has_moved(clients, id, until).await? || length.is_zero() {
        return Ok(());
    }
    let waiter = Uuid::new_v4();
    let (queue, most) = (&clients.queue, clients.config.waiters_max);
    if queue.wait(waiter, tenant, length, most).await? == Waiting::Full {
        return Ok(());
    }
    let outcome = look(clients, id, until, end).await;
    // One that is not counted out here is when its time is over.
    if let Err(error) = queue.wait(waiter, tenant, Duration::ZERO, 0).await {
        tracing::debug!(error = %error, "a waiter was not counted out");
    }
    outcome
}

async fn look(clients: &Clients, id: JobId, until: Until, end: Instant) -> Result<(), QueueError> {
    let mut interval = LOOK.0;
    while Instant::now() < end {
        tokio::time::sleep(interval.min(end.saturating_duration_since(Instant::now()))).await;
        if has_moved(clients, id, until).await? {
            return Ok(());
        }
        interval = (interval * 3 / 2).min(LOOK.1);
    }
    Ok(())
}

async fn has_moved(clients: &Clients, id: JobId, until: Until) -> Result<bool, QueueError> {
    Ok(match clients.queue.glance(id).await? {
        None => true,
        Some(job) => {
            job.status.is_terminal() || matches!(until, Until::After(after) if job.seq > after)
        }
    })
}
