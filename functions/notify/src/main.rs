//! Woken by a notice: tells those who listen to a job what is new, and closes connections whose time is over.

mod batch;
mod desk;
mod frames;
mod push;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::telemetry;

use crate::desk::Desk;

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("notify");
    let desk = Desk::from_env()?;
    lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<_>| {
        let desk = desk.clone();
        async move { batch::receive(&desk, event.payload).await }
    }))
    .await
}
