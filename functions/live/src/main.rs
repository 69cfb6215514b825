//! WebSockets: opens and closes connections, and notes who listens to what. What they hear is sent by `notify`.

mod desk;
mod limit;
mod message;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::telemetry;

use crate::desk::Desk;

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("live");
    let desk = Desk::from_env()?;
    lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<_>| {
        let desk = desk.clone();
        async move { desk.receive(event.payload).await }
    }))
    .await
}
