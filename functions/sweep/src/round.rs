//! One round. Every part may be repeated or broken off at any point: the next round goes on.

use std::fmt::Display;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::Error;
use serde::Serialize;
use shared::audit;
use shared::clients::Clients;
use shared::control;
use shared::delivery;
use shared::doorbell::RingError;
use shared::identity::{self, Pruned, Pruner};
use shared::job::JobId;
use shared::lookup::Unreachable;
use shared::metrics::{self, Embedded, SWEEP_PASSED_OVER, SWEEPS};
use shared::queue::{Debt, millis};
use shared::reconcile::Faults;
use shared::settle;
use shared::store::StoreError;

use crate::bookmark::Bookmarks;
use crate::{burial, notes, reconcile, waiting};

/// The longest round: the next one starts after a minute.
const ROUND: Duration = Duration::from_secs(40);
/// What has not ended then is dropped: the function itself has a minute.
const LAST: Duration = Duration::from_secs(50);
/// Script calls of one round, each bounded in itself.
const STEPS_MAX: usize = 4000;
/// Bells of one call.
const BATCH: u32 = 10;
/// Such calls at the same time: thousands of slots may be free.
const RINGS: usize = 16;
/// Jobs taken to be settled together.
const SETTLES: u32 = 64;

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
    /// Objects and records that could not be read or settled.
    pub(crate) passed_over: u32,
    /// Parts that broke off.
    pub(crate) broken: Vec<&'static str>,
    /// Sessions and service tokens that ended by themselves.
    pub(crate) pruned: Pruned,
    /// Acts of operators that are on record now, though nobody told what came of them.
    pub(crate) acts: usize,
    /// There were open connections whose token has ended.
    pub(crate) sockets_ended: bool,
    /// Deleted jobs of which nothing is left now.
    pub(crate) buried: usize,
}

impl Report {
    /// A part that breaks off does not keep the round from the others.
    fn unless_broken<T>(&mut self, part: &'static str, done: Result<T, impl Display>) -> Option<T> {
        let note =
            |error: &_| tracing::error!(part, error = %error, "a part of the round broke off");
        let done = done.inspect_err(note).ok();
        if done.is_none() {
            self.broken.push(part);
        }
        done
    }
}

/// What a rescue found.
struct Rescued {
    epoch: bool,
    bells: u32,
}

/// Rescue first, then the bells: no fault of the store comes before them. Fails at its end if one of its parts broke off.
pub(crate) async fn go(
    clients: &Clients,
    pruner: &Pruner,
    bookmarks: &Bookmarks,
) -> Result<Report, Error> {
    let from = Instant::now();
    let mut report = Report::default();
    let faults = Faults::default();
    let mut ended = Vec::new();
    let expired = expire(clients, &mut report, &mut ended, from).await;
    report.unless_broken("expire", expired);
    let rescued = step(clients, &mut report, &mut ended, from).await;
    let rescued = report.unless_broken("rescue", rescued);
    // One bell is harmless where it is not known whether one is due.
    let rung = ring(clients, rescued.as_ref().map_or(1, |found| found.bells)).await;
    report.rung = report.unless_broken("bells", rung).unwrap_or_default();

    let settled = settle_due(clients, &mut report, &faults, ended, from + ROUND / 2).await;
    report.unless_broken("settle", settled);
    let synced = control::sync(clients).await;
    if let Some(synced) = report.unless_broken("settings", synced) {
        report.settings = synced.applied;
        faults.add(synced.passed_over);
    }
    let overdue = delivery::ring_due(clients).await;
    report.overdue = report
        .unless_broken("messages", overdue)
        .unwrap_or_default();
    if let Some(rescued) = rescued {
        let reconciling = reconcile::go(clients, rescued.epoch, from + ROUND, &faults);
        let reconciled = within(from + LAST, reconciling).await;
        let reconciled = report.unless_broken("reconcile", reconciled);
        report.reconciled = reconciled.unwrap_or_default();
        if rescued.epoch {
            let clearing = notes::go(clients, &bookmarks.notes, &faults);
            if let Err(error) = within(from + LAST, clearing).await {
                tracing::warn!(error = %error, "notes of what was owed stay behind for now");
            }
            match within(from + LAST, waiting::go(clients)).await {
                Ok(0) => {}
                Ok(jobs) => {
                    tracing::info!(jobs, "messages that waited for room came into their lines")
                }
                Err(error) => tracing::warn!(error = %error, "messages wait on for room"),
            }
        }
    }
    match within(from + LAST, pruner.go(&clients.store)).await {
        Ok(pruned) => report.pruned = pruned,
        Err(error) => tracing::warn!(error = %error, "ended sessions could not be forgotten"),
    }
    match within(from + LAST, identity::ring_for_ended_sockets(clients)).await {
        Ok(rung) => report.sockets_ended = rung,
        Err(error) => tracing::warn!(error = %error, "ended connections are not closed yet"),
    }
    match within(from + LAST, audit::keep_abandoned(clients)).await {
        Ok(acts) => report.acts = acts,
        Err(error) => tracing::warn!(error = %error, "abandoned acts are not on record yet"),
    }
    match within(
        from + LAST,
        burial::go(clients, &bookmarks.tombstones, &faults),
    )
    .await
    {
        Ok(buried) => report.buried = buried,
        Err(error) => tracing::warn!(error = %error, "deleted jobs could not be forgotten"),
    }
    let of_chunks = clients.queue.take_passed_over().await;
    faults.add(
        report
            .unless_broken("chunks", of_chunks)
            .unwrap_or_default(),
    );
    report.passed_over = faults.passed_over();
    let over = clients.queue.round_over(Utc::now(), report.passed_over);
    report.unless_broken("end", over.await);
    tell(&report, from.elapsed());
    tell_figures(clients, report.passed_over).await;
    match report.broken[..] {
        [] => Ok(report),
        _ => Err(format!("parts of the round broke off: {}", report.broken.join(", ")).into()),
    }
}

async fn within<T, E: Into<Unreachable>>(
    end: Instant,
    part: impl Future<Output = Result<T, E>>,
) -> Result<T, Unreachable> {
    let left = end.saturating_duration_since(Instant::now());
    match tokio::time::timeout(left, part).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(StoreError::TimedOut(left).into()),
    }
}

fn tell(report: &Report, took: Duration) {
    tracing::info!(
        duration_ms = millis(took),
        settings = report.settings,
        steps = report.steps,
        expired = report.expired,
        settled = report.settled,
        unheard = report.unheard,
        rung = report.rung,
        overdue = report.overdue,
        reconciled = report.reconciled,
        passed_over = report.passed_over,
        families = report.pruned.families,
        service_tokens = report.pruned.service_tokens,
        revoked = report.pruned.revoked,
        acts = report.acts,
        sockets_ended = report.sockets_ended,
        buried = report.buried,
        "round over"
    );
}

/// How the queue stands, once a minute, for alarms. Without it the round is not worse.
async fn tell_figures(clients: &Clients, passed_over: u32) {
    let round = Embedded::default().put(&SWEEPS, 1.0, None);
    let round = round.put(&SWEEP_PASSED_OVER, passed_over.into(), None);
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

/// Gives notice of what is new, and keeps what is to be settled until the bells are rung.
async fn pay(clients: &Clients, debt: Debt, ended: &mut Vec<JobId>) {
    ended.extend(&debt.ended);
    let notices = Debt {
        notices: debt.notices,
        ..Debt::default()
    };
    settle::pay(clients, notices, None).await;
}

async fn expire(
    clients: &Clients,
    report: &mut Report,
    ended: &mut Vec<JobId>,
    from: Instant,
) -> Result<(), Unreachable> {
    while from.elapsed() < ROUND / 8 {
        let answer = clients.queue.expire().await?;
        report.expired += answer.outcome;
        pay(clients, answer.debt, ended).await;
        if answer.outcome == 0 {
            break;
        }
    }
    Ok(())
}

/// Rescues and promotes until nothing more is due, once round all tenants.
async fn step(
    clients: &Clients,
    report: &mut Report,
    ended: &mut Vec<JobId>,
    from: Instant,
) -> Result<Rescued, Unreachable> {
    let mut after = String::new();
    loop {
        let answer = clients.queue.sweep(&after).await?;
        let found = answer.outcome;
        report.steps += 1;
        report.unheard += found.unheard.len();
        pay(clients, answer.debt, ended).await;
        let unheard = Debt {
            notices: found.unheard,
            ..Debt::default()
        };
        let more = unheard.notices.len() == 16;
        settle::pay(clients, unheard, None).await;
        after = found.after;
        let more = found.busy || !after.is_empty() || more;
        if !more || report.steps >= STEPS_MAX || from.elapsed() > ROUND / 4 {
            return Ok(Rescued {
                epoch: found.epoch,
                bells: found.bells,
            });
        }
    }
}

async fn ring(clients: &Clients, bells: u32) -> Result<u32, RingError> {
    let batches = (0..bells).step_by(BATCH as usize);
    let rings = stream::iter(batches).map(|rung| {
        let count = BATCH.min(bells - rung);
        clients.doorbell.ring(None, count, Duration::ZERO)
    });
    rings.buffer_unordered(RINGS).try_collect::<()>().await?;
    Ok(bells)
}

/// What this round ended, then what others have left; what is not reached comes with the next round.
async fn settle_due(
    clients: &Clients,
    report: &mut Report,
    faults: &Faults,
    mut jobs: Vec<JobId>,
    end: Instant,
) -> Result<(), Unreachable> {
    while Instant::now() < end {
        let mut some: Vec<JobId> = jobs
            .drain(jobs.len().saturating_sub(SETTLES as usize)..)
            .collect();
        if some.is_empty() {
            some = clients.queue.unsettled(SETTLES).await?;
        }
        if some.is_empty() {
            break;
        }
        let count = some.len();
        let left = end.saturating_duration_since(Instant::now());
        let settles = settle::settle_all(clients, some, settle::SETTLE_WITHIN);
        let Ok(unsettled) = tokio::time::timeout(left, settles).await else {
            break;
        };
        faults.add(unsettled);
        report.settled += count;
    }
    Ok(())
}
