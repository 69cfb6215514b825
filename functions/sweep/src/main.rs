//! Once a minute: rescue, promote, expire, settle, ring, hold the store against Redis, and forget what nobody can sign in with.

mod burial;
mod reconcile;
mod round;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::clients::Clients;
use shared::identity::Pruner;
use shared::telemetry;

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("sweep");
    let clients = Clients::from_env()?;
    let pruner = Pruner::default();
    let burial = burial::Burial::default();
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        round::go(&clients, &pruner, &burial).await
    }))
    .await
}
