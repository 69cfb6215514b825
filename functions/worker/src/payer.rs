//! Debts of transitions, paid beside the work: settling another job must not delay the run of this one.

use shared::clients::Clients;
use shared::queue::Debt;
use shared::settle;
use tokio::task::JoinSet;
use tracing::Instrument;

/// Pays debts in the background. A Lambda sleeps between invocations, so `finish` must be awaited before the end of one.
pub(crate) struct Payer {
    clients: Clients,
    open: JoinSet<()>,
}

impl Payer {
    pub(crate) fn new(clients: &Clients) -> Self {
        Self {
            clients: clients.clone(),
            open: JoinSet::new(),
        }
    }

    /// Begins to pay; returns at once.
    pub(crate) fn pay(&mut self, debt: Debt) {
        while self.open.try_join_next().is_some() {}
        if debt == Debt::default() {
            return;
        }
        let clients = self.clients.clone();
        let pay = async move { settle::pay(&clients, debt, None).await };
        self.open.spawn(pay.in_current_span());
    }

    /// Returns when every debt is paid.
    pub(crate) async fn finish(mut self) {
        while self.open.join_next().await.is_some() {}
    }
}
