//! Jobs: submit, list, read, follow, fetch the audio, cancel, retry, delete.

use lambda_http::Error;
use shared::clients::Clients;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("jobs");
    let clients = Clients::from_env()?;
    http::serve_long(http::finish_router(jobs::router(clients))).await
}
