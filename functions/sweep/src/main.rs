//! Once a minute: expire, rescue, promote, ring, settle, hold the store against Redis, and forget what nobody can sign in with.

mod bookmark;
mod burial;
mod notes;
mod reconcile;
mod round;
#[cfg(test)]
mod tests;
mod waiting;

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
    let bookmarks = bookmark::Bookmarks::default();
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        round::go(&clients, &pruner, &bookmarks).await
    }))
    .await
}
