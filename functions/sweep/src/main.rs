//! Once a minute: rescue, promote, expire, settle, ring, and hold the store against Redis.

mod reconcile;
mod round;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::clients::Clients;
use shared::telemetry;

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("sweep");
    let clients = Clients::from_env()?;
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        round::go(&clients).await
    }))
    .await
}
