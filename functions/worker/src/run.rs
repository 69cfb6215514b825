//! One job in one worker's hands: stage after stage under a heartbeat, each ended by one transition of the queue.

use std::time::{Duration, Instant};

use shared::clients::Clients;
use shared::config::Fallback;
use shared::envelope::Envelope;
use shared::http::note_trace;
use shared::job::JobRecord;
use shared::lookup::{self, Unreachable};
use shared::models::{Outgoing, Report, ReportKind};
use shared::plan::Planned;
use shared::queue::{
    Debt, Failure, HEARTBEAT, Held, Holder, LEASE, Parked, Troubled, backoff, millis,
};
use shared::settle;
use shared::stage::Stage;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::ask::Asking;
use crate::meter::Meter;
use crate::shift::TimeLeft;
use crate::step::{Step, Stepped};
use crate::{audio, finish, plan, resume};

/// A holder that could not renew for this long stops before another can hold the job.
const SILENT: Duration = LEASE.saturating_sub(Duration::from_secs(5));
/// A fault of our own costs the job no attempt; it rests this long, ±50 %.
const OWN_FAULT: Duration = Duration::from_secs(5);
/// Between a stage's budget and the end of the invocation.
const MARGIN: Duration = Duration::from_secs(30);

/// What every stage works with.
pub(crate) struct Work<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) job: JobRecord,
    pub(crate) request: Envelope,
    pub(crate) holder: Holder,
    pub(crate) asking: Asking<'a>,
    /// As this run has stored it.
    pub(crate) planned: Option<Planned>,
}

impl Work<'_> {
    /// The headers of the calls of a stage.
    pub(crate) fn outgoing(&self, stage: Stage) -> Outgoing {
        Outgoing::of_job(&self.job, &self.request, stage)
    }
}

/// How a run ended.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// What the last transition left to do.
    pub(crate) debt: Debt,
    /// The job was given back because this invocation is about to end: another one must go on.
    pub(crate) time_is_short: bool,
}

impl From<Debt> for Ran {
    fn from(debt: Debt) -> Self {
        Self {
            debt,
            time_is_short: false,
        }
    }
}

/// Runs the job as far as it goes here.
pub(crate) async fn run(
    clients: &Clients,
    time: TimeLeft,
    job: JobRecord,
    holder: Holder,
    troubled: Troubled,
) -> Result<Ran, Unreachable> {
    let meter = Meter::start();
    let span = tracing::info_span!(
        "job", job_id = %job.id, request_id = job.request_id, trace_id = Empty, stage = %job.stage, attempt = job.attempt
    );
    async move {
        let Some(request) = lookup::envelope(clients, &job).await? else {
            tracing::error!("the job's request is gone: it was deleted while it ran");
            return Ok(clients.queue.cancel(job.id, "deleted").await?.debt.into());
        };
        note_trace(&Span::current(), &request.traceparent);
        tracing::info!("job acquired");
        stages(
            Work {
                clients,
                job,
                request,
                holder,
                asking: Asking {
                    clients,
                    meter,
                    troubled,
                },
                planned: None,
            },
            time,
        )
        .await
    }
    .instrument(span)
    .await
}

async fn stages(mut work: Work<'_>, time: TimeLeft) -> Result<Ran, Unreachable> {
    if let Some(debt) = resume::already_ended(&work).await? {
        return Ok(debt.into());
    }
    loop {
        let stage = work.job.stage;
        tracing::Span::current().record("stage", stage.as_str());
        let time_is_short = time.left() < longest(work.clients, stage) + MARGIN;
        let step = if time_is_short {
            Step::GiveBack {
                delay: Duration::ZERO,
                reason: "the worker's time is short".to_owned(),
            }
        } else {
            match under_heartbeat(&mut work).await {
                Some(Ok(step)) => step,
                Some(Err(error)) => {
                    tracing::error!(error = %error, "the stage's own means failed");
                    Step::GiveBack {
                        delay: OWN_FAULT.mul_f64(0.5 + fastrand::f64()),
                        reason: "our store did not answer".to_owned(),
                    }
                }
                None => {
                    tracing::warn!("the job is in other hands or has ended; this run stops");
                    return Ok(Ran::default());
                }
            }
        };
        match transition(&mut work, step).await? {
            Some(debt) => {
                return Ok(Ran {
                    debt,
                    time_is_short,
                });
            }
            None => work.job.stage = next(stage),
        }
    }
}

/// The longest that a stage may take: where another planner stands in, both may be asked.
fn longest(clients: &Clients, stage: Stage) -> Duration {
    let stands_in = clients.config.planner_fallback != Fallback::Nobody;
    let calls = if stage == Stage::Plan && stands_in {
        2
    } else {
        1
    };
    budget(stage) * calls
}

/// The longest that a stage's call may take, or the stage itself where it makes none.
pub(crate) fn budget(stage: Stage) -> Duration {
    Duration::from_secs(match stage {
        Stage::Plan => 120,
        Stage::Audio => 600,
        Stage::Finish => 60,
    })
}

fn next(stage: Stage) -> Stage {
    match stage {
        Stage::Plan => Stage::Audio,
        Stage::Audio | Stage::Finish => Stage::Finish,
    }
}

/// `None`: the right to the job was lost on the way, and the stage was dropped where it stood.
async fn under_heartbeat(work: &mut Work<'_>) -> Option<Stepped> {
    let (clients, holder) = (work.clients, work.holder.clone());
    let announced = announcement(work);
    let stage = async {
        let step = async {
            match work.job.stage {
                Stage::Plan => plan::step(work).await,
                Stage::Audio => audio::step(work).await,
                Stage::Finish => finish::step(work).await,
            }
        };
        tokio::select! {
            step = step => step,
            never = announced => never,
        }
    };
    tokio::select! {
        step = stage => Some(step),
        () = heartbeat(clients, &holder) => None,
    }
}

/// Returns when the job is no longer ours.
async fn heartbeat(clients: &Clients, holder: &Holder) {
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

/// Tells the API that a stage begins, as long as the stage lasts: it never delays it, and never ends. A failure is logged and changes nothing.
fn announcement<'a>(work: &Work<'a>) -> impl Future<Output = Stepped> + use<'a> {
    let (job, stage, status) = (work.job.id, work.job.stage, work.job.status);
    let (user, out, api) = (
        work.request.user_id.clone(),
        work.outgoing(stage),
        work.clients.api.as_ref(),
    );
    async move {
        if let Some(api) = api {
            let report = Report {
                job,
                user: &user,
                kind: ReportKind::Status { status, stage },
            };
            if let Err(error) = api.post(&report, &out).await {
                tracing::warn!(error = %error, "the API was not told of the stage");
            }
        }
        std::future::pending().await
    }
}

/// `None`: go on with the next stage. A stale fence ends this run and changes nothing.
async fn transition(work: &mut Work<'_>, step: Step) -> Result<Option<Debt>, Unreachable> {
    let (queue, holder, stage) = (&work.clients.queue, &work.holder, work.job.stage);
    let spent = work.asking.meter.take(stage);
    let debt = match step {
        Step::Done => {
            let answer = queue.advance(holder, next(stage), spent).await?;
            if answer.outcome == Held::Ok {
                tracing::info!(duration_ms = spent.plan_ms + spent.audio_ms, "stage done");
                settle::pay(work.clients, answer.debt, None).await;
                return Ok(None);
            }
            answer.debt
        }
        Step::Parked => {
            let answer = queue
                .park(holder, stage, work.clients.config.render_deadline, spent)
                .await?;
            match answer.outcome {
                Parked::Ok => tracing::info!("parked: the model service reports when it is done"),
                Parked::MovedOn => tracing::info!("the model's report came before the park"),
                Parked::Stale => tracing::warn!("stale: not parked"),
            }
            answer.debt
        }
        Step::Complete(track) => {
            let asked = &work.request.submission;
            let digests = asked
                .track_digest()
                .into_iter()
                .chain([asked.plan_digest()]);
            let digests: Vec<String> = digests.collect();
            let answer = queue.complete(holder, &track, spent, &digests).await?;
            tracing::info!(
                outcome = ?answer.outcome, duration_ms = spent.finish_ms, sha256 = track.sha256,
                loudness_lufs = track.measured.loudness_lufs, "track finished"
            );
            if answer.outcome == Held::Ok {
                finish::clear(work).await;
            }
            answer.debt
        }
        Step::GiveBack { delay, reason } => {
            let answer = queue.release(holder, delay, &reason, spent).await?;
            tracing::info!(reason, delay_ms = millis(delay), "job given back");
            answer.debt
        }
        Step::Failed {
            error,
            cause,
            change,
        } => {
            let delay = backoff(work.job.attempt);
            let failure = Failure {
                error: &error,
                cause,
            };
            let answer = queue
                .fail(
                    work.job.id,
                    Some(&holder.fence),
                    failure,
                    delay,
                    change,
                    spent,
                )
                .await?;
            tracing::warn!(
                outcome = ?answer.outcome, code = error.code, retryable = error.retryable,
                delay_ms = millis(delay), "attempt failed"
            );
            answer.debt
        }
    };
    Ok(Some(debt))
}
