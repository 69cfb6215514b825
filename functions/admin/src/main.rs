//! For operators: is everything there, how busy is it, and the wheel.

use lambda_http::Error;
use shared::clients::Clients;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("admin");
    let clients = Clients::from_env()?;
    http::serve(http::finish_router(admin::router(clients))).await
}
