//! Brings everybody who listens to a job up to date.

use std::time::Duration;

use chrono::Utc;
use futures_util::stream::{self, StreamExt};
use shared::gateway::Sent;
use shared::job::{JobId, UserId};
use shared::lookup::{self, Unreachable};
use shared::queue::{Listener, Notice, Told};
use shared::socket::ConnectionId;
use uuid::Uuid;

use crate::desk::Desk;
use crate::frames::Frames;

/// Times that one turn looks for more; a job that goes on faster than that wakes the next.
const ROUNDS: usize = 50;
/// Connections that are told at a time; what they got is noted after each such bunch.
const BUNCH: usize = 250;
/// Messages on their way at the same time.
const TOGETHER: usize = 32;
/// When those are tried again who could not be told.
const AGAIN: Duration = Duration::from_secs(2);

/// Level-triggered: whatever rang, everybody is told what he lacks, until nobody lacks anything.
pub(crate) async fn push(desk: &Desk, id: JobId) -> Result<(), Unreachable> {
    let (turn, queue) = (Uuid::new_v4(), &desk.clients.queue);
    let mut told = Told::Nothing;
    for _ in 0..ROUNDS {
        let Notice::More {
            user, unrecorded, ..
        } = queue.notice(id, turn, told).await?
        else {
            return Ok(());
        };
        told = match round(desk, id, &user, unrecorded).await {
            Ok(Round::Complete(seq)) => Told::UpTo(seq),
            // Nobody can lack anything of it: the next answer is that all is done.
            Ok(Round::Forgotten) => Told::Nothing,
            Ok(Round::Failing) => return again(desk, id, turn, later()).await,
            Err(error) => {
                again(desk, id, turn, later()).await?;
                return Err(error);
            }
        };
    }
    again(desk, id, turn, Duration::ZERO).await
}

/// Gives the turn up, and has somebody come back.
async fn again(desk: &Desk, id: JobId, turn: Uuid, after: Duration) -> Result<(), Unreachable> {
    desk.clients
        .queue
        .notice(id, turn, Told::Again(after))
        .await?;
    if let Err(error) = desk.clients.notices.ring(Some(id), 1, after).await {
        tracing::warn!(error = %error, "the sweep will come back");
    }
    Ok(())
}

fn later() -> Duration {
    AGAIN.mul_f64(0.5 + fastrand::f64())
}

enum Round {
    /// Everybody has everything up to this event.
    Complete(u64),
    /// The job was deleted.
    Forgotten,
    /// Some could not be told.
    Failing,
}

async fn round(
    desk: &Desk,
    id: JobId,
    user: &UserId,
    unrecorded: bool,
) -> Result<Round, Unreachable> {
    let (clients, queue) = (&desk.clients, &desk.clients.queue);
    if unrecorded {
        // An end is put on record before it is shown.
        lookup::find(clients, id).await?;
    }
    let Some(page) = queue.events(id, 0).await? else {
        return Ok(Round::Forgotten);
    };
    queue.enlist_feeds(id, user, &page.events).await?;
    let listeners = queue.listeners(id, page.seq).await?;
    let frames = Frames::new(id, &page.events);
    let mut failing = false;
    for bunch in listeners.chunks(BUNCH) {
        let outcomes: Vec<_> = stream::iter(bunch.to_vec())
            .map(|listener| tell(desk, &frames, listener))
            .buffer_unordered(TOGETHER)
            .collect()
            .await;
        let (mut told, mut gone) = (Vec::new(), Vec::new());
        for (connection, outcome) in outcomes {
            match outcome {
                Outcome::Told(seq) => told.push((connection, seq)),
                Outcome::Gone => gone.push(connection),
                Outcome::Failed(seq) => {
                    failing = true;
                    told.push((connection, seq));
                }
            }
        }
        queue.told(id, &told).await?;
        queue.forget_listeners(id, &gone).await?;
    }
    Ok(if failing {
        Round::Failing
    } else {
        Round::Complete(page.seq)
    })
}

/// What one listener has now.
enum Outcome {
    /// Everything up to this event.
    Told(u64),
    /// Nothing any more: it is closed.
    Gone,
    /// Everything up to this event, and then something was in the way.
    Failed(u64),
}

/// Sends one listener what it lacks, in order.
async fn tell(desk: &Desk, frames: &Frames, listener: Listener) -> (ConnectionId, Outcome) {
    let connection = listener.connection.clone();
    let told = match listener.until {
        None => Outcome::Gone,
        Some(until) if until <= Utc::now() => match desk.close(&connection).await {
            Ok(()) => Outcome::Gone,
            Err(error) => {
                tracing::warn!(error = %error, "a connection is not forgotten yet");
                Outcome::Failed(listener.seq)
            }
        },
        Some(_) => send(desk, frames, &listener).await,
    };
    (connection, told)
}

async fn send(desk: &Desk, frames: &Frames, listener: &Listener) -> Outcome {
    let mut reached = listener.seq;
    for (last, frame) in frames.after(listener.seq) {
        match desk.gateway.send(&listener.connection, &frame).await {
            Ok(Sent::Sent) => reached = last,
            Ok(Sent::Gone) => return Outcome::Gone,
            Err(error) => {
                tracing::warn!(error = %error, "a push was not sent; it is tried again");
                return Outcome::Failed(reached);
            }
        }
    }
    Outcome::Told(reached)
}
