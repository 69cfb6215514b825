//! From an SQS event to jobs that have news. A notice that could not be served comes back.

use std::time::Instant;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::Error;
use shared::doorbell::Bell;
use shared::lookup::Unreachable;
use shared::queue::millis;
use tracing::Instrument;

use crate::desk::Desk;
use crate::push;

/// Each record is judged on its own: one that fails is delivered again, the others are not.
pub(crate) async fn receive(desk: &Desk, event: SqsEvent) -> Result<SqsBatchResponse, Error> {
    let begun = Instant::now();
    let mut response = SqsBatchResponse::default();
    for record in event.records {
        if let Err(error) = serve(desk, &record).await {
            tracing::error!(error = %error, "a notice could not be served; it is delivered again");
            let received = record.attributes.get("ApproximateReceiveCount");
            let receipt = record.receipt_handle.as_deref();
            desk.clients
                .notices
                .bring_back(receipt, received.map(String::as_str))
                .await;
            response.add_failure(record.message_id.unwrap_or_default());
        }
    }
    tracing::debug!(duration_ms = millis(begun.elapsed()), "invocation over");
    Ok(response)
}

async fn serve(desk: &Desk, record: &SqsMessage) -> Result<(), Unreachable> {
    let partition = &desk.clients.config.partition;
    let Some(bell) = Bell::of(record.body.as_deref(), partition) else {
        return Ok(());
    };
    match bell.job {
        Some(job) => {
            let span =
                tracing::info_span!("notice", job_id = %job, trace_id = tracing::field::Empty);
            // On the heap: the compiler gives up on a future that holds all of this.
            Box::pin(push::push(desk, job)).instrument(span).await
        }
        None => desk.close_expired().await,
    }
}
