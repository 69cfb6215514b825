//! What this function talks to, and what it does to connections as such.

use std::collections::BTreeSet;

use chrono::Utc;
use lambda_runtime::Error;
use shared::clients::Clients;
use shared::gateway::Gateway;
use shared::identity::forget_socket;
use shared::lookup::Unreachable;
use shared::socket::ConnectionId;

/// Pages of ended connections that one bell closes.
const PAGES: usize = 20;

#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) clients: Clients,
    pub(crate) gateway: Gateway,
}

impl Desk {
    pub(crate) fn from_env() -> Result<Self, Error> {
        let clients = Clients::from_env()?;
        let gateway = Gateway::new(&clients.config)?;
        Ok(Self { clients, gateway })
    }

    /// Closes connections whose token has expired or was taken back.
    pub(crate) async fn close_expired(&self) -> Result<(), Unreachable> {
        let mut before = BTreeSet::new();
        for _ in 0..PAGES {
            let expired = self.clients.queue.expired_sockets(Utc::now()).await?;
            // None is left, or none could be closed.
            if expired.is_empty() || expired == before {
                break;
            }
            for connection in &expired {
                self.close(connection).await?;
            }
            tracing::info!(
                connections = expired.len(),
                "connections of expired tokens are closed"
            );
            before = expired;
        }
        Ok(())
    }

    /// Closes and forgets; one that the gateway cannot close now is closed by the next bell.
    pub(crate) async fn close(&self, connection: &ConnectionId) -> Result<(), Unreachable> {
        match self.gateway.close(connection).await {
            Ok(()) => forget_socket(&self.clients, connection).await,
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be closed");
                Ok(())
            }
        }
    }
}
