//! Bells from an SQS queue, as the event source mapping reads them.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::MessageSystemAttributeName;

use super::{Delivery, Receipt as AnyReceipt};
use crate::error::{HarnessError, Result};

/// Most messages of one ReceiveMessage.
const PAGE: usize = 10;

/// Seconds that one ReceiveMessage waits for a message.
const WAIT: i32 = 1;

/// The reading end.
#[derive(Debug)]
pub(crate) struct Sqs {
    client: Client,
    queue_url: String,
    visibility: Option<i32>,
}

/// Deletes one message.
#[derive(Debug)]
pub(super) struct Receipt {
    client: Client,
    queue_url: String,
    handle: String,
}

impl Receipt {
    pub(super) fn handle(&self) -> &str {
        &self.handle
    }

    pub(super) async fn delete(self) -> Result<()> {
        let delete = self.client.delete_message().queue_url(self.queue_url);
        delete
            .receipt_handle(self.handle)
            .send()
            .await
            .map_err(trouble)?;
        Ok(())
    }
}

/// A client of a local SQS: any credentials will do.
pub(crate) fn client(endpoint: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .build();
    Client::from_conf(config)
}

impl Sqs {
    /// `visibility`: seconds after which a message that was not deleted is delivered again; `None`: as the queue says.
    pub(crate) fn new(endpoint: &str, queue_url: &str, visibility: Option<u16>) -> Self {
        Self {
            client: client(endpoint),
            queue_url: queue_url.to_owned(),
            visibility: visibility.map(i32::from),
        }
    }

    pub(super) async fn receive(&self, room: usize) -> Result<Vec<Delivery>> {
        let page = i32::try_from(room.min(PAGE)).unwrap_or(1);
        let received = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(page)
            .wait_time_seconds(WAIT)
            .set_visibility_timeout(self.visibility)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(trouble)?;
        let messages = received.messages.unwrap_or_default();
        Ok(messages
            .into_iter()
            .map(|message| self.delivery(message))
            .collect())
    }

    fn delivery(&self, message: aws_sdk_sqs::types::Message) -> Delivery {
        let count = message
            .attributes
            .as_ref()
            .and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount))
            .and_then(|count| count.parse().ok());
        Delivery {
            id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            count: count.unwrap_or(1),
            receipt: AnyReceipt::Sqs(Receipt {
                client: self.client.clone(),
                queue_url: self.queue_url.clone(),
                handle: message.receipt_handle.unwrap_or_default(),
            }),
        }
    }
}

fn trouble(error: impl std::error::Error) -> HarnessError {
    HarnessError::Moto(format!("SQS: {}", DisplayErrorContext(error)))
}
