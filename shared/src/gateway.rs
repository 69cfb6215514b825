//! The socket gateway: what is sent to its connections, by API Gateway's management API.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::error::{DisplayErrorContext, SdkError};
use aws_sdk_apigatewaymanagement::operation::delete_connection::DeleteConnectionError;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use tokio::sync::OnceCell;

use crate::aws;
use crate::config::{Address, Config};
use crate::socket::ConnectionId;

/// The largest message that is sent, in bytes: one frame.
pub const MAX_MESSAGE: usize = 32 * 1024;

/// A call with its retries.
const CALL: Duration = Duration::from_secs(4);

/// `SOCKETS_URL` is not set.
#[derive(Debug, thiserror::Error)]
#[error("SOCKETS_URL must be set")]
pub struct NoGateway;

/// The gateway did not do it, or nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("socket gateway: {0}")]
pub struct GatewayError(String);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Sent,
    /// The connection is closed.
    Gone,
}

/// Cheap to clone; clones share one client.
#[derive(Clone)]
pub struct Gateway {
    address: Address,
    client: Arc<OnceCell<Client>>,
}

impl Gateway {
    /// The one that `SOCKETS_URL` names. Credentials come from `AWS_*`, read at the first message.
    pub fn new(config: &Config) -> Result<Self, NoGateway> {
        Ok(Self {
            address: config.sockets_url.clone().ok_or(NoGateway)?,
            client: Arc::default(),
        })
    }

    async fn client(&self) -> &Client {
        self.client
            .get_or_init(|| async {
                let endpoint = Some(self.address.as_str().to_owned());
                let config = aws::config(CALL, endpoint).await;
                Client::new(&config)
            })
            .await
    }

    /// Sends a text of at most [`MAX_MESSAGE`] bytes. After an error it may have been sent.
    pub async fn send(&self, connection: &ConnectionId, text: &str) -> Result<Sent, GatewayError> {
        let post = self.client().await.post_to_connection();
        let post = post
            .connection_id(connection.as_str())
            .data(Blob::new(text));
        match post.send().await {
            Ok(_) => Ok(Sent::Sent),
            Err(error) if post_is_gone(&error) => Ok(Sent::Gone),
            Err(error) => Err(trouble(&error)),
        }
    }

    /// Closes a connection; one that is closed stays so.
    pub async fn close(&self, connection: &ConnectionId) -> Result<(), GatewayError> {
        let delete = self.client().await.delete_connection();
        match delete.connection_id(connection.as_str()).send().await {
            Err(error) if !delete_is_gone(&error) => Err(trouble(&error)),
            _ => Ok(()),
        }
    }
}

fn post_is_gone<R>(error: &SdkError<PostToConnectionError, R>) -> bool {
    error
        .as_service_error()
        .is_some_and(PostToConnectionError::is_gone_exception)
}

fn delete_is_gone<R>(error: &SdkError<DeleteConnectionError, R>) -> bool {
    error
        .as_service_error()
        .is_some_and(DeleteConnectionError::is_gone_exception)
}

fn trouble(error: &impl std::error::Error) -> GatewayError {
    GatewayError(DisplayErrorContext(error).to_string())
}
