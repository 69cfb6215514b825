//! Narrative in, track out: submits a job and waits for it a little.

use lambda_http::Error;
use shared::clients::Clients;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("compose");
    let clients = Clients::from_env()?;
    http::serve(http::finish_router(compose::router(clients))).await
}
