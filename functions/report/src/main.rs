//! Where model services report and upload. Apart from `jobs`, so that waiting callers never starve them.

use lambda_http::Error;
use shared::clients::Clients;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("report");
    let clients = Clients::from_env()?;
    http::serve(http::finish_router(report::router(clients))).await
}
