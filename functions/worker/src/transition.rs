//! From a stage's end to the queue: one transition, sent until Redis answers.

use std::time::{Duration, Instant};

use shared::clients::Clients;
use shared::lookup::Unreachable;
use shared::queue::{Failure, Held, Holder, Parked, Spent, backoff, millis};
use shared::stage::Stage;

use crate::finish;
use crate::heartbeat::SILENT;
use crate::payer::Payer;
use crate::run::Work;
use crate::step::Step;

/// The pause before a transition is sent again, ±50 %.
const AGAIN: Duration = Duration::from_secs(1);

/// What follows a stage.
pub(crate) enum Then {
    GoOn,
    Stop,
}

/// Ends the stage. A stale fence ends the run and changes nothing.
pub(crate) async fn transition(
    work: &mut Work<'_>,
    step: Step,
    payer: &mut Payer,
) -> Result<Then, Unreachable> {
    let (queue, holder, stage) = (&work.clients.queue, &work.holder, work.job.stage);
    let spent = work.asking.meter.take(stage);
    let debt = match step {
        Step::Done => {
            let answer = told(async || queue.advance(holder, next(stage), spent).await).await?;
            if answer.outcome == Held::Ok {
                tracing::info!(duration_ms = spent.plan_ms + spent.audio_ms, "stage done");
                payer.pay(answer.debt);
                work.job.stage = next(stage);
                return Ok(Then::GoOn);
            }
            answer.debt
        }
        Step::Parked => {
            let deadline = work.clients.config.render_deadline;
            let answer = told(async || queue.park(holder, stage, deadline, spent).await).await?;
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
            let complete = async || queue.complete(holder, &track, spent, &digests).await;
            let answer = told(complete).await?;
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
            give_back(work.clients, holder, delay, &reason, spent, payer).await?;
            return Ok(Then::Stop);
        }
        Step::Failed {
            error,
            cause,
            change,
        } => {
            let delay = backoff(work.job.attempt);
            let (id, fence) = (work.job.id, Some(&holder.fence));
            let failure = Failure {
                error: &error,
                cause,
            };
            let fail = async || queue.fail(id, fence, failure, delay, change, spent).await;
            let answer = told(fail).await?;
            tracing::warn!(
                outcome = ?answer.outcome, code = error.code, retryable = error.retryable,
                delay_ms = millis(delay), "attempt failed"
            );
            answer.debt
        }
    };
    // Its bell for now is the next acquire of this shift; only the later one must be rung.
    payer.pay(debt.without_bells());
    Ok(Then::Stop)
}

/// Releases the job: no attempt is used up.
pub(crate) async fn give_back(
    clients: &Clients,
    holder: &Holder,
    delay: Duration,
    reason: &str,
    spent: Spent,
    payer: &mut Payer,
) -> Result<(), Unreachable> {
    let release = async || clients.queue.release(holder, delay, reason, spent).await;
    let answer = told(release).await?;
    tracing::info!(reason, delay_ms = millis(delay), "job given back");
    payer.pay(answer.debt.without_bells());
    Ok(())
}

fn next(stage: Stage) -> Stage {
    match stage {
        Stage::Plan => Stage::Audio,
        Stage::Audio | Stage::Finish => Stage::Finish,
    }
}

/// Sends a transition until Redis answers, for as long as the lease lasts: a short outage of Redis costs no attempt, because a
/// transition that was sent twice counts once.
pub(crate) async fn told<T, E: Into<Unreachable>>(
    send: impl AsyncFn() -> Result<T, E>,
) -> Result<T, Unreachable> {
    let from = Instant::now();
    loop {
        let error: Unreachable = match send().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error.into(),
        };
        if error.is_unreadable() || from.elapsed() >= SILENT {
            return Err(error);
        }
        tracing::warn!(error = %error, "the queue was not told; it is told again");
        tokio::time::sleep(AGAIN.mul_f64(0.5 + fastrand::f64())).await;
    }
}
