//! Woken by a bell: makes the calls that ends of jobs owe the outside, until none is due.

mod batch;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::clients::Clients;
use shared::telemetry;

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("deliver");
    let clients = Clients::from_env()?;
    lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<_>| {
        let clients = clients.clone();
        async move { batch::receive(&clients, event.payload).await }
    }))
    .await
}
