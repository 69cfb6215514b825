//! How much a client may say: counted by user and by tenant, whatever the message means.

use std::time::Duration;

use shared::caller::Caller;
use shared::clients::Clients;
use shared::lookup::Unreachable;
use shared::problem::Problem;
use shared::queue::{Attempted, Limit};
use shared::socket::ConnectionId;

/// Messages of one connection in a minute that are refused before it is closed.
const REFUSALS: u32 = 20;

/// Whether a message is within the limits.
pub(crate) enum Counted {
    Within,
    /// It is not served.
    Over {
        /// When the next one may be.
        retry: Duration,
    },
    /// The client was told so often enough.
    Insistent,
}

/// Counts a message.
pub(crate) async fn count(
    clients: &Clients,
    caller: &Caller,
    connection: &ConnectionId,
) -> Result<Counted, Unreachable> {
    let config = &clients.config;
    let of_user = ("say", caller.user.as_str(), config.socket_rate);
    let of_tenant = (
        "say-tenant",
        caller.tenant.as_str(),
        config.socket_tenant_rate,
    );
    let limited = [of_user, of_tenant].into_iter().filter(|(.., n)| *n > 0);
    let limits: Vec<_> = limited.map(|(kind, who, n)| limit(kind, who, n)).collect();
    if limits.is_empty() {
        return Ok(Counted::Within);
    }
    let Attempted::Limited { retry_ms, .. } = clients.queue.attempt(&limits).await? else {
        return Ok(Counted::Within);
    };
    let refusal = [limit("say-refused", connection.as_str(), REFUSALS)];
    Ok(match clients.queue.attempt(&refusal).await? {
        Attempted::Ok { .. } => Counted::Over {
            retry: Duration::from_millis(retry_ms),
        },
        Attempted::Limited { .. } => Counted::Insistent,
    })
}

fn limit(kind: &'static str, who: &str, per_minute: u32) -> Limit {
    Limit {
        kind,
        who: who.to_owned(),
        per_minute,
    }
}

/// The refusal of a message that is over a limit.
pub(crate) fn over(retry: Duration) -> Problem {
    let seconds = retry.as_secs() + 1;
    let detail = format!("too many messages; wait {seconds} s, or the connection is closed");
    Problem::too_many("rate_limited", detail, retry)
}
