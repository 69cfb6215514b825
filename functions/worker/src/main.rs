//! Woken by a bell: acquires the best job that may run and runs its next stages.

mod ask;
mod audio;
mod batch;
mod finish;
mod meter;
mod offer;
mod plan;
mod resume;
mod run;
mod shift;
mod step;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::clients::Clients;
use shared::telemetry;

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("worker");
    let clients = Clients::from_env()?.patient()?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| {
        batch::receive(&clients, event)
    }))
    .await
}
