//! From an SQS event to shifts: one for each bell. A bell that could not be served comes back.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{Error, LambdaEvent};
use shared::clients::Clients;
use shared::doorbell::Bell;
use shared::lookup::{self, Unreachable};
use shared::reconcile::{self, Helped};

use crate::shift::{self, TimeLeft};

/// Each record is judged on its own: one that fails is delivered again, the others are not.
pub(crate) async fn receive(
    clients: &Clients,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    let time = TimeLeft::until(event.context.deadline());
    let mut response = SqsBatchResponse::default();
    for record in event.payload.records {
        if let Err(error) = serve(clients, &record, time).await {
            tracing::error!(error = %error, "a bell could not be served; it is delivered again");
            let received = record.attributes.get("ApproximateReceiveCount");
            let receipt = record.receipt_handle.as_deref();
            clients
                .doorbell
                .bring_back(receipt, received.map(String::as_str))
                .await;
            response.add_failure(record.message_id.unwrap_or_default());
        }
    }
    tracing::info!(duration_ms = time.spent_ms(), "invocation over");
    Ok(response)
}

async fn serve(clients: &Clients, record: &SqsMessage, time: TimeLeft) -> Result<(), Unreachable> {
    let Some(bell) = Bell::of(record.body.as_deref(), &clients.config.partition) else {
        return Ok(());
    };
    if bell.compare {
        help(clients).await;
        return Ok(());
    }
    let ensured = match bell.job {
        Some(job) => lookup::ensure(clients, job).await.map(drop),
        None => Ok(()),
    };
    // The other jobs can run all the same.
    shift::work(clients, time).await?;
    match ensured {
        Err(error) if error.is_unreadable() => {
            tracing::error!(job_id = ?bell.job, error = %error, "the bell's job cannot be read");
            Ok(())
        }
        ensured => ensured,
    }
}

/// A chunk of the comparison of Redis with the store; a fresh bell goes on, so that jobs have their turn between. What breaks off comes
/// again with the sweep.
async fn help(clients: &Clients) {
    let helped = match reconcile::help(clients).await {
        Ok(Helped::Chunk) => clients.doorbell.ring_to_compare(1).await,
        Ok(Helped::Partly | Helped::NotNeeded) => Ok(()),
        Err(error) => {
            tracing::warn!(error = %error, "a chunk of the comparison with the store broke off");
            Ok(())
        }
    };
    if let Err(error) = helped {
        tracing::warn!(error = %error, "nobody was asked to go on with the comparison");
    }
}
