//! Tickets: a browser cannot send `Authorization` when it opens a WebSocket, so it brings a ticket in the address, which works once.

use std::time::Duration;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ACCESS_LIFE, Revocations};
use crate::clients::Clients;
use crate::job::UserId;
use crate::keyring::{AccessClaims, KeyRing, Refused, TokenKind, now};
use crate::lookup::Unreachable;
use crate::problem::Problem;
use crate::queue::{Connected, NewSocket, QueueError, SOCKET_LIFE};
use crate::socket::ConnectionId;

/// How long a ticket may lie about.
pub const TICKET_LIFE: Duration = Duration::from_secs(60);

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TicketClaims {
    jti: Uuid,
    /// Seconds since 1970.
    exp: u64,
    /// Whom it speaks for, and until when.
    caller: AccessClaims,
}

/// Whom a connection speaks for, and until when. A token that could be taken back keeps its name,
/// by which its connections are ended, and these live no longer than a change of a user may take to
/// show, should nobody end them.
fn spoken_for(caller: AccessClaims) -> AccessClaims {
    let (exp, jti) = match Revocations::must_be_asked(&caller) {
        true => (
            caller.exp.min(now() + ACCESS_LIFE.as_secs()),
            caller.jti.clone(),
        ),
        false => (caller.exp, None),
    };
    AccessClaims {
        exp,
        jti,
        email: None,
        ..caller
    }
}

/// A ticket for the bearer of these claims.
pub async fn issue_ticket(clients: &Clients, caller: AccessClaims) -> Result<String, Problem> {
    let claims = TicketClaims {
        jti: Uuid::new_v4(),
        exp: now().saturating_add(TICKET_LIFE.as_secs()),
        caller: spoken_for(caller),
    };
    let signed = clients.config.keys.sign(TokenKind::Ticket, &claims);
    let ticket = signed.map_err(|error| Problem::internal().with_source(error))?;
    let issued = clients.queue.issue_ticket(claims.jti, TICKET_LIFE).await;
    issued.map_err(Unreachable::from)?;
    Ok(ticket)
}

/// Opens a connection against a ticket: 401 for one that is not believed or was used, 429 when its user has too many open. Returns when
/// its token expires, in seconds since 1970.
pub async fn redeem_ticket(
    clients: &Clients,
    ticket: &str,
    connection: &ConnectionId,
) -> Result<u64, Problem> {
    let claims = verify(&clients.config.keys, ticket)?;
    let token = claims.caller.jti.as_deref();
    // Asked of the store where Redis has forgotten; the script looks again, so that none is taken
    // back in between.
    if let Some(jti) = token
        && Revocations::from(clients).contains(jti).await?
    {
        return Err(Refused::Revoked.into());
    }
    let until = claims.caller.exp.min(now() + SOCKET_LIFE.as_secs());
    let caller = serde_json::to_string(&claims.caller)
        .map_err(|error| Problem::internal().with_source(error))?;
    let socket = NewSocket {
        ticket: claims.jti,
        connection,
        user: &UserId::new(&claims.caller.sub),
        caller,
        token,
        until_ms: until.saturating_mul(1000),
        most: clients.config.sockets_max,
    };
    let opened = clients.queue.connect(&socket).await;
    match opened.map_err(Unreachable::from)? {
        Connected::Ok => Ok(until),
        Connected::Used => Err(Problem::unauthenticated(
            "the ticket was used, or is too old",
        )),
        Connected::Revoked => Err(Refused::Revoked.into()),
        Connected::Full => {
            let detail = "you have too many connections open";
            Err(Problem::too_many("too_many_sockets", detail, TICKET_LIFE))
        }
    }
}

/// Whom an open connection speaks for; `None` once it was closed or its token has ended.
pub async fn socket_caller(
    clients: &Clients,
    connection: &ConnectionId,
) -> Result<Option<AccessClaims>, Unreachable> {
    let found = clients.queue.socket(connection).await?;
    let is_open = |(_, until): &(String, i64)| *until > Utc::now().timestamp_millis();
    let Some((text, _)) = found.filter(is_open) else {
        return Ok(None);
    };
    Ok(Some(claims_of(&text)?))
}

/// Forgets a closed connection, and what it listened to.
pub async fn forget_socket(
    clients: &Clients,
    connection: &ConnectionId,
) -> Result<(), Unreachable> {
    let found = clients.queue.socket(connection).await?;
    let caller = found.map(|(text, _)| claims_of(&text)).transpose()?;
    let user = caller.map(|claims| UserId::new(&claims.sub));
    Ok(clients.queue.disconnect(connection, user.as_ref()).await?)
}

/// Ends the connections of a user, or those of one of its tokens, at once.
pub async fn hang_up(clients: &Clients, sub: &str, token: Option<Uuid>) -> Result<(), Unreachable> {
    let token = token.map(|jti| jti.to_string());
    let user = UserId::new(sub);
    let ended = clients.queue.hang_up(&user, token.as_deref()).await?;
    if ended > 0 {
        ring_for_ended(clients).await;
    }
    Ok(())
}

/// Has connections closed whose token has ended; returns whether there are any.
pub async fn ring_for_ended_sockets(clients: &Clients) -> Result<bool, Unreachable> {
    let ended = !clients.queue.expired_sockets(Utc::now()).await?.is_empty();
    if ended {
        ring_for_ended(clients).await;
    }
    Ok(ended)
}

async fn ring_for_ended(clients: &Clients) {
    if let Err(error) = clients.notices.ring(None, 1, Duration::ZERO).await {
        tracing::warn!(error = %error, "ended connections are closed by the next round of the sweep");
    }
}

fn claims_of(text: &str) -> Result<AccessClaims, QueueError> {
    serde_json::from_str(text).map_err(|error| QueueError::Record(error.to_string()))
}

fn verify(ring: &KeyRing, ticket: &str) -> Result<TicketClaims, Refused> {
    ring.verify(TokenKind::Ticket, ticket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::Role;

    #[test]
    fn a_connection_lives_as_long_as_its_token_and_a_quarter_of_an_hour_if_that_could_be_taken_back()
     {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let user = AccessClaims::new("alice", Role::User, hours(1));
        assert_eq!(spoken_for(user.clone()), user);
        let service = AccessClaims {
            jti: Some("a".to_owned()),
            email: Some("a@example.com".to_owned()),
            ..AccessClaims::new("worker", Role::Worker, hours(9))
        };
        let spoken = spoken_for(service);
        assert_eq!((spoken.jti.as_deref(), spoken.email), (Some("a"), None));
        assert!((now() + 890..=now() + 900).contains(&spoken.exp));
    }

    #[test]
    fn a_ticket_is_nothing_but_a_ticket_and_nothing_else_is_one() {
        let ring = KeyRing::single("a-secret-of-more-than-thirty-two-bytes").unwrap();
        let caller = AccessClaims::new("alice", Role::User, TICKET_LIFE);
        let claims = TicketClaims {
            jti: Uuid::new_v4(),
            exp: now() + 60,
            caller: caller.clone(),
        };
        let ticket = ring.sign(TokenKind::Ticket, &claims).unwrap();
        assert_eq!(verify(&ring, &ticket), Ok(claims));
        assert_eq!(ring.verify_access(&ticket), Err(Refused::WrongKind));
        let access = ring.sign_access(&caller).unwrap();
        assert_eq!(verify(&ring, &access), Err(Refused::WrongKind));
    }
}
