//! Whether the API answers at all, and what it is. Asks nobody: no Redis, no store, no configuration.

use lambda_http::Error;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("health");
    http::serve(http::finish_router(health::router())).await
}
