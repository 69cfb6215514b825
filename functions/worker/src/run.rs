//! One job in one worker's hands: stage after stage under a heartbeat, each ended by one transition of the queue.

use std::time::Duration;

use shared::clients::Clients;
use shared::config::Fallback;
use shared::envelope::Envelope;
use shared::http::note_trace;
use shared::job::JobRecord;
use shared::lookup::{self, Unreachable};
use shared::models::{Outgoing, Report, ReportKind};
use shared::plan::Planned;
use shared::queue::{Holder, Troubled};
use shared::stage::Stage;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::ask::Asking;
use crate::heartbeat::Heartbeat;
use crate::meter::Meter;
use crate::payer::Payer;
use crate::resume::{self, Opened};
use crate::shift::TimeLeft;
use crate::step::{Step, Stepped, own_fault};
use crate::transition::{Then, give_back, told, transition};
use crate::{audio, finish, plan};

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

/// Whether the worker may take another job after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    Over,
    /// The job was given back because this invocation is about to end.
    TimeIsShort,
}

/// Runs the job as far as it goes here. An error: Redis could not be told how it went.
pub(crate) async fn run(
    clients: &Clients,
    time: TimeLeft,
    job: JobRecord,
    holder: Holder,
    troubled: Troubled,
    payer: &mut Payer,
) -> Result<Ran, Unreachable> {
    let meter = Meter::start();
    let span = tracing::info_span!(
        "job", job_id = %job.id, request_id = job.request_id, trace_id = Empty, stage = %job.stage, attempt = job.attempt
    );
    async move {
        let mut heartbeat = Heartbeat::start(clients, &holder);
        let mut asking = Asking {
            clients,
            meter,
            troubled,
        };
        let opened = heartbeat.keep(resume::open(clients, &job)).await;
        let request = match opened {
            Some(Ok(Opened::Live(request))) => *request,
            Some(Ok(Opened::Ended(manifest))) => {
                let debt = told(async || lookup::adopt(clients, &manifest).await).await?;
                payer.pay(debt.without_bells());
                return Ok(Ran::Over);
            }
            Some(Ok(Opened::Deleted)) => {
                tracing::error!("the job's request is gone: it was deleted while it ran");
                let answer = told(async || clients.queue.cancel(job.id, "deleted").await).await?;
                payer.pay(answer.debt.without_bells());
                return Ok(Ran::Over);
            }
            Some(Err(error)) => {
                let ((delay, reason), spent) = (own_fault(&error), asking.meter.take(job.stage));
                give_back(clients, &holder, delay, reason, spent, payer).await?;
                return Ok(Ran::Over);
            }
            None => return Ok(lost()),
        };
        note_trace(&Span::current(), &request.traceparent);
        tracing::info!("job acquired");
        let work = Work {
            clients,
            job,
            request,
            holder: holder.clone(),
            asking,
            planned: None,
        };
        stages(work, time, heartbeat, payer).await
    }
    .instrument(span)
    .await
}

fn lost() -> Ran {
    tracing::warn!("the job is in other hands or has ended; this run stops");
    Ran::Over
}

async fn stages(
    mut work: Work<'_>,
    time: TimeLeft,
    mut heartbeat: Heartbeat<'_>,
    payer: &mut Payer,
) -> Result<Ran, Unreachable> {
    loop {
        let stage = work.job.stage;
        Span::current().record("stage", stage.as_str());
        let time_is_short = time.left() < longest(work.clients, stage) + MARGIN;
        let step = if time_is_short {
            Step::GiveBack {
                delay: Duration::ZERO,
                reason: "the worker's time is short".to_owned(),
            }
        } else {
            match heartbeat.keep(step(&mut work)).await {
                Some(stepped) => stepped.unwrap_or_else(|error| Step::of_own_fault(&error)),
                None => return Ok(lost()),
            }
        };
        match transition(&mut work, step, payer).await? {
            Then::GoOn => {}
            Then::Stop if time_is_short => return Ok(Ran::TimeIsShort),
            Then::Stop => return Ok(Ran::Over),
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

async fn step(work: &mut Work<'_>) -> Stepped {
    let announced = announcement(work);
    let step = async {
        match work.job.stage {
            Stage::Plan => Box::pin(plan::step(work)).await,
            Stage::Audio => Box::pin(audio::step(work)).await,
            Stage::Finish => Box::pin(finish::step(work)).await,
        }
    };
    tokio::select! {
        step = step => step,
        never = announced => never,
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
