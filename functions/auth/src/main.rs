//! Signing in, and who may: sessions of users, users, tokens of services.

use lambda_http::Error;
use shared::clients::Clients;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init("auth");
    let clients = Clients::from_env()?;
    http::serve(http::finish_router(auth::router(clients))).await
}
