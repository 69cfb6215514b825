//! From an SQS event to a sender: one for each bell. A bell that could not be served comes back.

use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::Error;
use shared::clients::Clients;
use shared::delivery;
use shared::doorbell::Bell;
use shared::lookup::Unreachable;
use shared::queue::millis;

/// After that a sender begins no more calls, and has another one woken; the last of its calls end within the invocation.
const SHIFT: Duration = Duration::from_secs(60);

/// Each record is judged on its own: one that fails is delivered again, the others are not.
pub(crate) async fn receive(clients: &Clients, event: SqsEvent) -> Result<SqsBatchResponse, Error> {
    let begun = Instant::now();
    let mut response = SqsBatchResponse::default();
    for record in event.records {
        if let Err(error) = serve(clients, &record, begun + SHIFT).await {
            tracing::error!(error = %error, "messages could not be sent; the bell is delivered again");
            let received = record.attributes.get("ApproximateReceiveCount");
            let receipt = record.receipt_handle.as_deref();
            clients
                .messages
                .bring_back(receipt, received.map(String::as_str))
                .await;
            response.add_failure(record.message_id.unwrap_or_default());
        }
    }
    tracing::debug!(duration_ms = millis(begun.elapsed()), "invocation over");
    Ok(response)
}

async fn serve(clients: &Clients, record: &SqsMessage, end: Instant) -> Result<(), Unreachable> {
    if Bell::of(record.body.as_deref(), &clients.config.partition).is_none() {
        return Ok(());
    }
    let sent = delivery::deliver(clients, end).await?;
    tracing::debug!(sent, "messages sent");
    Ok(())
}
