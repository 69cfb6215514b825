//! One round. Every part may be repeated or broken off at any point: the next round goes on.

use std::time::{Duration, Instant};

use chrono::Utc;
use lambda_runtime::Error;
use serde::Serialize;
use shared::audit;
use shared::clients::Clients;
use shared::control;
use shared::delivery;
use shared::identity::{self, Pruned, Pruner};
use shared::lookup::Unreachable;
use shared::metrics::{self, Embedded, SWEEPS};
use shared::queue::millis;
use shared::settle;

use crate::burial::Burial;
use crate::reconcile;

/// The longest round: the next one starts after a minute.
const ROUND: Duration = Duration::from_secs(40);
/// Script calls of one round, each bounded in itself.
const STEPS_MAX: usize = 4000;
/// Bells of one call.
const BATCH: u32 = 10;

/// What the round did, for the log and for whoever invoked it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Settings that Redis did not have in force.
    pub(crate) settings: u32,
    pub(crate) steps: usize,
    pub(crate) expired: u32,
    pub(crate) settled: usize,
    /// Jobs whose listeners had not been told of what is new.
    pub(crate) unheard: usize,
    pub(crate) rung: u32,
    /// Lines with messages that were due, and that nobody came for.
    pub(crate) overdue: u32,
    pub(crate) reconciled: usize,
    /// Sessions and service tokens that ended by themselves.
    pub(crate) pruned: Pruned,
    /// Acts of operators that are on record now, though nobody told what came of them.
    pub(crate) acts: usize,
    /// There were open connections whose token has ended.
    pub(crate) sockets_ended: bool,
    /// Deleted jobs of which nothing is left now.
    pub(crate) buried: usize,
}

/// Caretaking first, bells last: whoever may run then is rung for once.
pub(crate) async fn go(
    clients: &Clients,
    pruner: &Pruner,
    burial: &Burial,
) -> Result<Report, Error> {
    let from = Instant::now();
    let mut report = Report::default();
    match control::sync(clients).await {
        Ok(settings) => report.settings = settings,
        // A store that does not answer must not keep us from rescuing jobs.
        Err(error) => {
            tracing::warn!(error = %error, "what operators set could not be compared");
        }
    }
    expire(clients, &mut report, from).await?;
    let (epoch, bells) = step(clients, &mut report, from).await?;
    report.reconciled = reconcile::go(clients, epoch, from + ROUND).await?;
    report.rung = ring(clients, bells).await?;
    report.overdue = delivery::ring_due(clients).await?;
    match pruner.go(&clients.store).await {
        Ok(pruned) => report.pruned = pruned,
        Err(error) => tracing::warn!(error = %error, "ended sessions could not be forgotten"),
    }
    match identity::ring_for_ended_sockets(clients).await {
        Ok(rung) => report.sockets_ended = rung,
        Err(error) => tracing::warn!(error = %error, "ended connections are not closed yet"),
    }
    match audit::keep_abandoned(clients).await {
        Ok(acts) => report.acts = acts,
        Err(error) => tracing::warn!(error = %error, "abandoned acts are not on record yet"),
    }
    match burial.go(clients).await {
        Ok(buried) => report.buried = buried,
        Err(error) => tracing::warn!(error = %error, "deleted jobs could not be forgotten"),
    }
    clients.queue.round_over(Utc::now()).await?;
    tracing::info!(
        duration_ms = millis(from.elapsed()),
        settings = report.settings,
        steps = report.steps,
        expired = report.expired,
        settled = report.settled,
        unheard = report.unheard,
        rung = report.rung,
        overdue = report.overdue,
        reconciled = report.reconciled,
        families = report.pruned.families,
        service_tokens = report.pruned.service_tokens,
        revoked = report.pruned.revoked,
        acts = report.acts,
        sockets_ended = report.sockets_ended,
        buried = report.buried,
        "round over"
    );
    tell_figures(clients).await;
    Ok(report)
}

/// How the queue stands, once a minute, for alarms. Without it the round is not worse.
async fn tell_figures(clients: &Clients) {
    let round = Embedded::default().put(&SWEEPS, 1.0, None);
    let line = match clients.queue.figures().await {
        Ok(figures) => metrics::gauges(&figures)
            .into_iter()
            .fold(round, |line, (metric, value)| line.put(metric, value, None)),
        Err(error) => {
            tracing::warn!(error = %error, "the queue has no figures to tell");
            round
        }
    };
    line.send();
}

async fn expire(clients: &Clients, report: &mut Report, from: Instant) -> Result<(), Unreachable> {
    while from.elapsed() < ROUND / 4 {
        let answer = clients.queue.expire().await?;
        report.expired += answer.outcome;
        report.settled += answer.debt.ended.len();
        settle::pay(clients, answer.debt.without_bells(), None).await;
        if answer.outcome == 0 {
            break;
        }
    }
    Ok(())
}

/// Rescue and promote until nothing more is due, once round all tenants, and settle what is left.
async fn step(
    clients: &Clients,
    report: &mut Report,
    from: Instant,
) -> Result<(bool, u32), Unreachable> {
    let mut after = String::new();
    loop {
        let answer = clients.queue.sweep(&after).await?;
        let found = answer.outcome;
        report.steps += 1;
        report.settled += answer.debt.ended.len() + found.unsettled.len();
        settle::pay(clients, answer.debt.without_bells(), None).await;
        for id in &found.unheard {
            // What does not ring stays where the next round finds it.
            if let Err(error) = clients.notices.ring(Some(*id), 1, Duration::ZERO).await {
                tracing::warn!(job_id = %id, error = %error, "listeners are not told");
            }
        }
        report.unheard += found.unheard.len();
        let mut all_settled = true;
        for id in &found.unsettled {
            if let Err(error) = settle::settle(clients, *id).await {
                tracing::warn!(job_id = %id, error = %error, "not settled; the next round tries again");
                all_settled = false;
            }
        }
        after = found.after;
        let more = found.busy
            || !after.is_empty()
            || (all_settled && found.unsettled.len() == 16)
            || found.unheard.len() == 16;
        if !more || report.steps >= STEPS_MAX || from.elapsed() > ROUND / 2 {
            return Ok((found.epoch, found.bells));
        }
    }
}

async fn ring(clients: &Clients, bells: u32) -> Result<u32, Error> {
    let mut rung = 0;
    while rung < bells {
        let count = BATCH.min(bells - rung);
        clients.doorbell.ring(None, count, Duration::ZERO).await?;
        rung += count;
    }
    Ok(rung)
}
